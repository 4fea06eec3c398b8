//! How tokens are chosen: the parameters of a request, checked once at the door.

use serde::{Deserialize, Serialize};

/// Most choices (`n`) in one request.
pub const MAX_CHOICES: u32 = 16;
/// Most alternatives reported beside each token.
pub const MAX_LOGPROBS: u32 = 20;
/// Most stop strings in one request.
pub const MAX_STOP_STRINGS: usize = 16;
/// Longest stop string, in bytes.
pub const MAX_STOP_BYTES: usize = 256;

/// A token of one model's vocabulary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenId(pub u32);

/// How the next token is chosen and when to stop.
///
/// The default is greedy: the same prompt gives the same text without a seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 chooses the likeliest token; above, logits are divided by it. 0 to 100.
    pub temperature: f32,
    /// Keep only this many of the likeliest tokens; 0 keeps all.
    pub top_k: u32,
    /// Keep the likeliest tokens until their probabilities reach this sum; 1 keeps all. Above 0, at most 1.
    pub top_p: f32,
    /// Drop tokens less likely than this share of the likeliest; 0 drops none. 0 to 1.
    pub min_p: f32,
    /// Divides positive and multiplies negative logits of tokens seen before; 1 changes nothing. Above 0, at most 100.
    pub repetition_penalty: f32,
    /// Most tokens to generate, at least 1.
    pub max_tokens: u32,
    /// Neither end-of-sequence nor a stop string ends the choice before this many tokens.
    pub min_tokens: u32,
    /// Text that ends a choice; it is not part of the output.
    pub stop: Vec<String>,
    /// Go on past the end-of-sequence token.
    pub ignore_eos: bool,
    /// Report the log-probability of each token, and of this many alternatives.
    pub logprobs: Option<u32>,
    /// How many independent continuations (`n`) to generate.
    pub choices: u32,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            max_tokens: 256,
            min_tokens: 0,
            stop: Vec::new(),
            ignore_eos: false,
            logprobs: None,
            choices: 1,
        }
    }
}

/// A parameter that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be {expected}, got {got}")]
pub struct InvalidSampling {
    /// The parameter's name on the wire.
    pub field: &'static str,
    /// What it may be.
    pub expected: String,
    /// What it was.
    pub got: String,
}

impl Sampling {
    /// Refuses what no sampler can mean, with the field's name and its bounds.
    pub fn validate(&self) -> Result<(), InvalidSampling> {
        real("temperature", self.temperature, "a number from 0 to 100", |v| (0.0..=100.0).contains(&v))?;
        real("top_p", self.top_p, "a number above 0 and at most 1", |v| v > 0.0 && v <= 1.0)?;
        real("min_p", self.min_p, "a number from 0 to 1", |v| (0.0..=1.0).contains(&v))?;
        real("repetition_penalty", self.repetition_penalty, "a number above 0 and at most 100", |v| {
            v > 0.0 && v <= 100.0
        })?;
        whole("max_tokens", self.max_tokens, 1, u32::MAX)?;
        whole("min_tokens", self.min_tokens, 0, self.max_tokens)?;
        whole("logprobs", self.logprobs.unwrap_or(0), 0, MAX_LOGPROBS)?;
        whole("n", self.choices, 1, MAX_CHOICES)?;
        self.validate_stop()
    }

    fn validate_stop(&self) -> Result<(), InvalidSampling> {
        let wrong = |expected: String, got: String| Err(InvalidSampling { field: "stop", expected, got });
        if self.stop.len() > MAX_STOP_STRINGS {
            return wrong(format!("at most {MAX_STOP_STRINGS} strings"), self.stop.len().to_string());
        }
        match self.stop.iter().find(|s| s.is_empty() || s.len() > MAX_STOP_BYTES) {
            Some(bad) => wrong(
                format!("strings of 1 to {MAX_STOP_BYTES} bytes"),
                format!("one of {} bytes", bad.len()),
            ),
            None => Ok(()),
        }
    }
}

fn real(
    field: &'static str,
    value: f32,
    expected: &str,
    fits: impl Fn(f32) -> bool,
) -> Result<(), InvalidSampling> {
    if value.is_finite() && fits(value) {
        return Ok(());
    }
    Err(InvalidSampling { field, expected: expected.to_owned(), got: value.to_string() })
}

fn whole(field: &'static str, value: u32, least: u32, most: u32) -> Result<(), InvalidSampling> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(InvalidSampling { field, expected: format!("from {least} to {most}"), got: value.to_string() })
}

/// Why a choice ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FinishReason {
    /// The model said it was done.
    EndOfSequence,
    /// A stop string appeared.
    Stop,
    /// `max_tokens`, or the model's context, was reached.
    Length,
}

/// What a request cost, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub prompt: u32,
    /// Of these, taken from the prefix cache instead of computed.
    pub cached: u32,
    /// Tokens generated, over all choices.
    pub generated: u32,
    /// Tokens generated earlier and computed again to continue a stream.
    pub replayed: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        assert_eq!(Sampling::default().validate(), Ok(()));
    }

    #[test]
    fn each_bad_parameter_is_refused_by_name() {
        let base = Sampling::default;
        let cases = [
            ("temperature", Sampling { temperature: -1.0, ..base() }),
            ("temperature", Sampling { temperature: f32::NAN, ..base() }),
            ("top_p", Sampling { top_p: 0.0, ..base() }),
            ("top_p", Sampling { top_p: f32::INFINITY, ..base() }),
            ("min_p", Sampling { min_p: 1.5, ..base() }),
            ("repetition_penalty", Sampling { repetition_penalty: 0.0, ..base() }),
            ("max_tokens", Sampling { max_tokens: 0, ..base() }),
            ("min_tokens", Sampling { min_tokens: 300, ..base() }),
            ("logprobs", Sampling { logprobs: Some(MAX_LOGPROBS + 1), ..base() }),
            ("n", Sampling { choices: 0, ..base() }),
            ("stop", Sampling { stop: vec![String::new()], ..base() }),
            ("stop", Sampling { stop: vec!["x".to_owned(); MAX_STOP_STRINGS + 1], ..base() }),
        ];
        for (field, sampling) in cases {
            assert_eq!(sampling.validate().map_err(|e| e.field), Err(field));
        }
    }
}
