//! What the tidy rules need to know of one Rust file: where its functions, its test modules and its unsafe code are.
//!
//! The measuring walks the file's tokens rather than a syntax tree, so that functions inside a macro's braces
//! (`proptest! { … }`) count as well. Names and types are not resolved.

use std::ops::RangeInclusive;

use anyhow::{Context, Result, anyhow};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

use crate::tree::TextFile;

/// One function, method or default method of a trait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// The name after `fn`.
    pub name: String,
    /// The line of `fn`, counted from 1.
    pub line: usize,
    /// Lines from `fn` to the closing brace, both counted.
    pub lines: usize,
    /// Whether it is test code.
    pub is_test: bool,
}

/// One Rust file, measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RustFile {
    /// Its path from the workspace root, with `/` between the parts.
    pub path: String,
    /// All of its text.
    pub text: String,
    /// Its functions, in the order of the text.
    pub functions: Vec<Function>,
    /// Lines on which the keyword `unsafe` stands, counted from 1.
    pub unsafe_lines: Vec<usize>,
    /// Items under `#[cfg(test)]`, from the attribute's line to the last.
    test_items: Vec<RangeInclusive<usize>>,
}

impl RustFile {
    /// Measures one file.
    ///
    /// # Errors
    /// When the text is not made of Rust tokens.
    pub fn measure(file: &TextFile) -> Result<Self> {
        let tokens: TokenStream = file
            .text
            .parse()
            .map_err(|error| anyhow!("{error}"))
            .with_context(|| format!("reading the tokens of {}", file.path))?;
        let mut measured = Self {
            path: file.path.clone(),
            text: file.text.clone(),
            functions: Vec::new(),
            unsafe_lines: Vec::new(),
            test_items: Vec::new(),
        };
        measured.walk(tokens);
        for index in 0..measured.functions.len() {
            measured.functions[index].is_test = measured.is_test_line(measured.functions[index].line);
        }
        Ok(measured)
    }

    /// Whether the line is test code: under `#[cfg(test)]`, or anywhere in a file of tests or benchmarks.
    #[must_use]
    pub fn is_test_line(&self, line: usize) -> bool {
        self.is_test_file() || self.test_items.iter().any(|lines| lines.contains(&line))
    }

    /// How many lines the file has outside its `#[cfg(test)]` items.
    #[must_use]
    pub fn lines_without_tests(&self) -> usize {
        let inside = |line: &usize| self.test_items.iter().any(|lines| lines.contains(line));
        (1..=self.text.lines().count()).filter(|line| !inside(line)).count()
    }

    fn is_test_file(&self) -> bool {
        self.path.split('/').any(|part| matches!(part, "tests" | "tests.rs" | "benches"))
    }

    fn walk(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            let after = &tokens[index + 1..];
            match token {
                TokenTree::Ident(word) if word == "unsafe" => self.unsafe_lines.push(line_of(token)),
                TokenTree::Ident(word) if word == "fn" => self.functions.extend(function(token, after)),
                TokenTree::Punct(mark) if mark.as_char() == '#' && opens_test_item(after) => {
                    self.test_items.push(line_of(token)..=end_of_item(after, line_of(token)));
                }
                TokenTree::Group(group) => self.walk(group.stream()),
                _ => {}
            }
        }
    }
}

/// The function that starts at `keyword`; `None` for a function pointer's type and for a signature without a body.
fn function(keyword: &TokenTree, after: &[TokenTree]) -> Option<Function> {
    let Some(TokenTree::Ident(name)) = after.first() else { return None };
    let end = body_end(after)?;
    let line = line_of(keyword);
    Some(Function { name: name.to_string(), line, lines: end + 1 - line, is_test: false })
}

/// The line on which the first braces end before the next `;`. Braces after `<` are a constant's, not a body.
fn body_end(after: &[TokenTree]) -> Option<usize> {
    let mut opened_angle = false;
    for token in after {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace && !opened_angle => {
                return Some(group.span_close().end().line);
            }
            TokenTree::Punct(mark) if mark.as_char() == ';' => return None,
            _ => {}
        }
        opened_angle = matches!(token, TokenTree::Punct(mark) if mark.as_char() == '<');
    }
    None
}

fn opens_test_item(after_hash: &[TokenTree]) -> bool {
    let Some(TokenTree::Group(attribute)) = after_hash.first() else { return false };
    let written: String = attribute.stream().to_string().split_whitespace().collect();
    attribute.delimiter() == Delimiter::Bracket && written == "cfg(test)"
}

/// The last line of the item whose attribute starts here: its braces' end, or its `;`.
fn end_of_item(after: &[TokenTree], start: usize) -> usize {
    let end = after.iter().find_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
            Some(group.span_close().end().line)
        }
        TokenTree::Punct(mark) if mark.as_char() == ';' => Some(line_of(token)),
        _ => None,
    });
    end.unwrap_or(start)
}

fn line_of(token: &TokenTree) -> usize {
    token.span().start().line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(path: &str, text: &str) -> RustFile {
        RustFile::measure(&TextFile { path: path.into(), text: text.into() }).unwrap()
    }

    fn lengths(file: &RustFile) -> Vec<(&str, usize, usize, bool)> {
        file.functions.iter().map(|f| (f.name.as_str(), f.line, f.lines, f.is_test)).collect()
    }

    #[test]
    fn functions_methods_and_functions_inside_macros_are_measured() {
        let file = measured(
            "a/src/b.rs",
            "fn one() {}\nimpl A {\n    pub fn two(&self) -> [u8; 2] {\n        x\n    }\n}\nproptest! {\n    fn three(a in 0..9) {\n    }\n}\n",
        );
        assert_eq!(lengths(&file), [("one", 1, 1, false), ("two", 3, 3, false), ("three", 8, 2, false)]);
    }

    #[test]
    fn function_pointers_and_signatures_without_a_body_are_not_functions() {
        let file =
            measured("a/src/b.rs", "type F = fn(u8) -> u8;\ntrait T {\n    fn one(&self);\n}\nstruct S {}\n");
        assert_eq!(lengths(&file), []);
    }

    #[test]
    fn test_modules_are_told_from_the_rest() {
        let file = measured(
            "a/src/b.rs",
            "fn one() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn two() {}\n}\n#[cfg(not(test))]\nfn three() {}\n",
        );
        assert_eq!(lengths(&file), [("one", 1, 1, false), ("two", 5, 1, true), ("three", 8, 1, false)]);
        assert_eq!(file.lines_without_tests(), 3);
    }

    #[test]
    fn every_line_of_a_test_file_is_test_code_and_counts_for_its_length() {
        let file = measured("tests/tests/b.rs", "fn one() {\n}\n");
        assert!(file.is_test_line(1));
        assert_eq!(file.lines_without_tests(), 2);
    }

    #[test]
    fn unsafe_is_found_as_code_only() {
        let file = measured(
            "a/src/b.rs",
            "//! unsafe\n#![expect(unsafe_code, reason = \"unsafe\")]\nfn one() {\n    unsafe { two() }\n}\n",
        );
        assert_eq!(file.unsafe_lines, [4]);
    }
}
