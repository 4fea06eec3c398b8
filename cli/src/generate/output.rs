//! What an answer looks like: text as it comes, or one JSON object at the end.

use helixflow_proto::v1::generate_response::Event;
use helixflow_proto::v1::{FinishReason, StreamStart, TokenChunk, Usage};
use serde::Serialize;

use crate::terminal;

/// Prints text as it comes. Dropping it ends the last line, also of a stream that broke off.
#[derive(Debug)]
pub(crate) struct Printer {
    visible: bool,
    inside_a_line: bool,
}

impl Printer {
    /// Prints on standard output.
    pub(crate) const fn to_stdout() -> Self {
        Self { visible: true, inside_a_line: false }
    }

    /// Prints nothing.
    pub(crate) const fn silent() -> Self {
        Self { visible: false, inside_a_line: false }
    }

    /// Prints an event's text at once.
    pub(crate) fn print(&mut self, event: &Event) -> anyhow::Result<()> {
        let Event::Chunk(chunk) = event else { return Ok(()) };
        if !self.visible || chunk.text.is_empty() {
            return Ok(());
        }
        self.inside_a_line = !chunk.text.ends_with('\n');
        terminal::write(&chunk.text)
    }
}

impl Drop for Printer {
    fn drop(&mut self) {
        if self.inside_a_line {
            // Whoever cannot be told of the end of a line has been told of its beginning in vain already.
            let _ = terminal::line("");
        }
    }
}

/// A whole answer, as `--json` prints it.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Answer {
    model: String,
    version: String,
    seed: u64,
    stream_id: String,
    request_id: String,
    replica: u64,
    numerics_class: String,
    choices: Vec<Choice>,
    usage: Tokens,
}

/// One continuation.
#[derive(Debug, Default, Serialize)]
struct Choice {
    text: String,
    tokens: Vec<u32>,
    finish_reason: &'static str,
}

/// What it cost.
#[derive(Debug, Default, Serialize)]
struct Tokens {
    prompt_tokens: u32,
    cached_tokens: u32,
    generated_tokens: u32,
    replayed_tokens: u32,
}

impl Answer {
    /// Adds an event to the answer.
    pub(crate) fn take(&mut self, event: Event) {
        match event {
            Event::Start(start) => self.begin(start),
            Event::Chunk(chunk) => self.extend(chunk),
            Event::ChoiceEnd(end) => {
                let reason = finish_reason(end.reason());
                self.choice(end.choice).finish_reason = reason;
            }
            Event::End(end) => self.usage = end.usage.unwrap_or_default().into(),
        }
    }

    /// The text of the first choice.
    pub(crate) fn text(&self) -> &str {
        self.choices.first().map_or("", |choice| choice.text.as_str())
    }

    fn begin(&mut self, start: StreamStart) {
        self.model = start.model;
        self.version = start.model_version;
        self.seed = start.seed;
        self.stream_id = start.stream_id;
        self.request_id = start.request_id;
        self.replica = start.replica;
        self.numerics_class = start.numerics_class;
    }

    fn extend(&mut self, chunk: TokenChunk) {
        let choice = self.choice(chunk.choice);
        choice.text.push_str(&chunk.text);
        choice.tokens.extend(chunk.token_ids);
    }

    fn choice(&mut self, index: u32) -> &mut Choice {
        // A service of ours sends at most MAX_CHOICES; a larger index would be somebody else's.
        let index = index.min(helixflow_model::MAX_CHOICES - 1) as usize;
        if self.choices.len() <= index {
            self.choices.resize_with(index + 1, Choice::default);
        }
        &mut self.choices[index]
    }
}

impl From<Usage> for Tokens {
    fn from(usage: Usage) -> Self {
        let Usage { prompt_tokens, cached_tokens, generated_tokens, replayed_tokens } = usage;
        Self { prompt_tokens, cached_tokens, generated_tokens, replayed_tokens }
    }
}

const fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Unspecified => "",
        FinishReason::EndOfSequence => "end_of_sequence",
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
    }
}

#[cfg(test)]
mod tests {
    use helixflow_proto::v1::{ChoiceEnd, StreamEnd};

    use super::*;

    #[test]
    fn events_add_up_to_an_answer() {
        let mut answer = Answer::default();
        answer.take(Event::Start(StreamStart { seed: 7, ..Default::default() }));
        for (text, id) in [("Par", 1), ("is", 2)] {
            answer.take(Event::Chunk(TokenChunk {
                text: text.to_owned(),
                token_ids: vec![id],
                ..Default::default()
            }));
        }
        answer.take(Event::ChoiceEnd(ChoiceEnd {
            reason: FinishReason::EndOfSequence.into(),
            ..Default::default()
        }));
        answer
            .take(Event::End(StreamEnd { usage: Some(Usage { generated_tokens: 2, ..Default::default() }) }));
        assert_eq!(answer.text(), "Paris");
        let json = serde_json::to_value(&answer).expect("JSON");
        assert_eq!(json["seed"], 7);
        assert_eq!(json["choices"][0]["tokens"], serde_json::json!([1, 2]));
        assert_eq!(json["choices"][0]["finish_reason"], "end_of_sequence");
        assert_eq!(json["usage"]["generated_tokens"], 2);
    }
}
