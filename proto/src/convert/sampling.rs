//! Sampling parameters, finish reasons and usage.

use helixflow_model::{FinishReason, InvalidSampling, Sampling, Usage};

use super::BadMessage;
use crate::v1;

/// Absent fields take the defaults of [`Sampling`]; the result is valid.
impl TryFrom<v1::Sampling> for Sampling {
    type Error = BadMessage;

    fn try_from(wire: v1::Sampling) -> Result<Self, BadMessage> {
        let default = Self::default();
        let max_tokens = wire.max_tokens.unwrap_or(default.max_tokens);
        let sampling = Self {
            temperature: wire.temperature.unwrap_or(default.temperature),
            top_k: wire.top_k.unwrap_or(default.top_k),
            top_p: wire.top_p.unwrap_or(default.top_p),
            min_p: wire.min_p.unwrap_or(default.min_p),
            repetition_penalty: wire.repetition_penalty.unwrap_or(default.repetition_penalty),
            max_tokens,
            min_tokens: wire.min_tokens.unwrap_or(default.min_tokens),
            stop: wire.stop,
            ignore_eos: wire.ignore_eos,
            logprobs: wire.logprobs,
            choices: wire.n.unwrap_or(default.choices),
        };
        sampling.validate()?;
        Ok(sampling)
    }
}

impl From<InvalidSampling> for BadMessage {
    fn from(bad: InvalidSampling) -> Self {
        Self { field: bad.field, problem: format!("must be {}, got {}", bad.expected, bad.got) }
    }
}

impl From<Sampling> for v1::Sampling {
    fn from(sampling: Sampling) -> Self {
        Self {
            temperature: Some(sampling.temperature),
            top_k: Some(sampling.top_k),
            top_p: Some(sampling.top_p),
            min_p: Some(sampling.min_p),
            repetition_penalty: Some(sampling.repetition_penalty),
            max_tokens: Some(sampling.max_tokens),
            min_tokens: Some(sampling.min_tokens),
            stop: sampling.stop,
            ignore_eos: sampling.ignore_eos,
            logprobs: sampling.logprobs,
            n: Some(sampling.choices),
        }
    }
}

impl From<FinishReason> for v1::FinishReason {
    fn from(reason: FinishReason) -> Self {
        match reason {
            FinishReason::EndOfSequence => Self::EndOfSequence,
            FinishReason::Stop => Self::Stop,
            FinishReason::Length => Self::Length,
        }
    }
}

impl From<Usage> for v1::Usage {
    fn from(usage: Usage) -> Self {
        Self {
            prompt_tokens: usage.prompt,
            cached_tokens: usage.cached,
            generated_tokens: usage.generated,
            replayed_tokens: usage.replayed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_message_means_the_defaults() {
        assert_eq!(Sampling::try_from(v1::Sampling::default()), Ok(Sampling::default()));
    }

    #[test]
    fn a_bad_value_is_refused_by_field() {
        let wire = v1::Sampling { top_p: Some(f32::NAN), ..Default::default() };
        assert_eq!(Sampling::try_from(wire).map_err(|e| e.field), Err("top_p"));
    }

    #[test]
    fn sampling_survives_the_wire() {
        let sampling = Sampling {
            temperature: 0.7,
            stop: vec!["\n".to_owned()],
            logprobs: Some(3),
            ..Default::default()
        };
        assert_eq!(Sampling::try_from(v1::Sampling::from(sampling.clone())), Ok(sampling));
    }
}
