//! The data of a chat: messages, the time that a template may print, and the rendered prompt.

/// One turn of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks: `system`, `user`, `assistant`, or what else the template knows.
    pub role: String,
    /// What is said: words, never control tokens.
    pub content: String,
}

impl Message {
    /// A message of the given role.
    pub fn new(role: impl Into<String>, content: impl Into<String>) -> Self {
        Self { role: role.into(), content: content.into() }
    }
}

/// The moment that a template sees as now, in seconds since 1970-01-01 00:00:00 UTC.
///
/// An argument rather than a clock, so that a continued stream renders the same prompt as the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenderTime(pub i64);

/// A rendered chat, with marks wherever a message spells a part of a control token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatPrompt {
    marked: String,
    mark: char,
}

impl ChatPrompt {
    pub(crate) fn new(marked: String, mark: char) -> Self {
        Self { marked, mark }
    }

    /// The prompt as people read it. Tokenize the prompt itself, not this text, or words become control tokens.
    pub fn text(&self) -> String {
        self.without_marks(&self.marked)
    }

    pub(crate) fn marked(&self) -> &str {
        &self.marked
    }

    pub(crate) fn has_mark(&self, part: &str) -> bool {
        part.contains(self.mark)
    }

    pub(crate) fn without_marks(&self, part: &str) -> String {
        part.replace(self.mark, "")
    }
}
