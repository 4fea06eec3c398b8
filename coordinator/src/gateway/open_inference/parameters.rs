//! Sampling parameters of the Open Inference Protocol: request parameters, or one JSON object in the input
//! `sampling_parameters`. Whatever is not known is refused by name.

use helixflow_proto::error::invalid;
use helixflow_proto::inference::InferParameter;
use helixflow_proto::inference::infer_parameter::ParameterChoice;
use helixflow_proto::v1::Sampling;
use serde_json::Value;
use tonic::Status;

/// The request parameter that asks for an empty last reply.
pub(super) const EMPTY_FINAL: &str = "triton_enable_empty_final_response";
/// What a request may set, for the error that names them.
const KNOWN: &str = "max_tokens, temperature, top_k, top_p, min_p, repetition_penalty, seed, stop, min_tokens, ignore_eos, logprobs";

/// How a request wants its tokens chosen.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Parameters {
    pub(super) sampling: Sampling,
    pub(super) seed: Option<u64>,
    pub(super) empty_final: bool,
}

impl Parameters {
    /// Adds a request parameter.
    pub(super) fn set_typed(&mut self, name: &str, parameter: InferParameter) -> Result<(), Status> {
        let value = match parameter.parameter_choice {
            Some(ParameterChoice::BoolParam(value)) => Value::from(value),
            Some(ParameterChoice::Int64Param(value)) => Value::from(value),
            Some(ParameterChoice::Uint64Param(value)) => Value::from(value),
            Some(ParameterChoice::StringParam(value)) => Value::from(value),
            Some(ParameterChoice::DoubleParam(value)) if value.is_finite() => Value::from(value),
            Some(ParameterChoice::DoubleParam(value)) => {
                return Err(invalid(name, format!("{name} must be a finite number, got {value}")));
            }
            None => return Err(invalid(name, format!("{name} has no value"))),
        };
        if name == EMPTY_FINAL {
            self.empty_final = boolean(name, &value)?;
            return Ok(());
        }
        self.set(name, &value)
    }

    /// Adds every member of the JSON object in `sampling_parameters`.
    pub(super) fn json(&mut self, text: &str) -> Result<(), Status> {
        const FIELD: &str = "sampling_parameters";
        match serde_json::from_str(text) {
            Ok(Value::Object(members)) => members.iter().try_for_each(|(name, value)| self.set(name, value)),
            Ok(_) => Err(invalid(
                FIELD,
                "sampling_parameters must be a JSON object, for instance {\"max_tokens\": 64}",
            )),
            Err(error) => Err(invalid(FIELD, format!("sampling_parameters is no JSON: {error}"))),
        }
    }

    fn set(&mut self, name: &str, value: &Value) -> Result<(), Status> {
        let sampling = &mut self.sampling;
        match name {
            "max_tokens" => sampling.max_tokens = Some(whole(name, value)?),
            "min_tokens" => sampling.min_tokens = Some(whole(name, value)?),
            "temperature" => sampling.temperature = Some(real(name, value)?),
            "top_k" => sampling.top_k = Some(top_k(name, value)?),
            "top_p" => sampling.top_p = Some(real(name, value)?),
            "min_p" => sampling.min_p = Some(real(name, value)?),
            "repetition_penalty" => sampling.repetition_penalty = Some(real(name, value)?),
            "logprobs" => sampling.logprobs = Some(whole(name, value)?),
            "ignore_eos" => sampling.ignore_eos = boolean(name, value)?,
            "stop" => sampling.stop = stop(value)?,
            "seed" => self.seed = Some(seed(name, value)?),
            "n" if value.as_u64() == Some(1) => {}
            "n" => {
                return Err(invalid(
                    name,
                    "several choices are served by helixflow.v1.InferenceService only: leave n out",
                ));
            }
            _ => return Err(invalid(name, format!("parameter {name:?} is not known: use {KNOWN}"))),
        }
        Ok(())
    }
}

/// A number that a client may send as a number or as text.
fn number(name: &str, value: &Value) -> Result<f64, Status> {
    let number = value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
    number
        .filter(|n| n.is_finite())
        .ok_or_else(|| invalid(name, format!("{name} must be a finite number, got {value}")))
}

fn real(name: &str, value: &Value) -> Result<f32, Status> {
    Ok(number(name, value)? as f32)
}

fn whole(name: &str, value: &Value) -> Result<u32, Status> {
    let number = number(name, value)?;
    if number.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&number) {
        return Err(invalid(
            name,
            format!("{name} must be a whole number from 0 to {}, got {value}", u32::MAX),
        ));
    }
    Ok(number as u32)
}

/// The field writes "all tokens" as -1.
fn top_k(name: &str, value: &Value) -> Result<u32, Status> {
    if number(name, value)? == -1.0 { Ok(0) } else { whole(name, value) }
}

/// Seeds use all 64 bits, so they never pass through a floating-point number.
fn seed(name: &str, value: &Value) -> Result<u64, Status> {
    let signed = value.as_i64().map(i64::cast_unsigned);
    let number =
        value.as_u64().or(signed).or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
    number.ok_or_else(|| invalid(name, format!("{name} must be a whole number of 64 bits, got {value}")))
}

fn boolean(name: &str, value: &Value) -> Result<bool, Status> {
    match value {
        Value::Bool(value) => Ok(*value),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        Value::Number(number) if number.as_u64() == Some(0) => Ok(false),
        Value::Number(number) if number.as_u64() == Some(1) => Ok(true),
        _ => Err(invalid(name, format!("{name} must be true or false, got {value}"))),
    }
}

fn stop(value: &Value) -> Result<Vec<String>, Status> {
    let wrong = || invalid("stop", format!("stop must be a string or a list of strings, got {value}"));
    match value {
        Value::String(text) => Ok(vec![text.clone()]),
        Value::Array(texts) => {
            texts.iter().map(|text| text.as_str().map(str::to_owned).ok_or_else(wrong)).collect()
        }
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, choice: ParameterChoice) -> Result<Parameters, Status> {
        let mut parameters = Parameters::default();
        parameters.set_typed(name, InferParameter { parameter_choice: Some(choice) })?;
        Ok(parameters)
    }

    #[test]
    fn each_type_that_a_client_sends_is_taken() {
        use ParameterChoice::{DoubleParam, Int64Param, StringParam, Uint64Param};
        let temperature = |choice| with("temperature", choice).map(|w| w.sampling.temperature).ok().flatten();
        assert_eq!(temperature(DoubleParam(0.5)), Some(0.5));
        assert_eq!(temperature(Int64Param(1)), Some(1.0));
        assert_eq!(temperature(StringParam("0.25".to_owned())), Some(0.25));
        assert_eq!(with("top_k", Int64Param(-1)).map(|w| w.sampling.top_k).ok(), Some(Some(0)));
        assert_eq!(with("seed", Uint64Param(u64::MAX)).map(|w| w.seed).ok(), Some(Some(u64::MAX)));
    }

    #[test]
    fn json_sets_several_at_once() {
        let mut parameters = Parameters::default();
        parameters
            .json(r#"{"max_tokens": 8, "stop": ["a", "b"], "ignore_eos": true}"#)
            .expect("good parameters");
        assert_eq!(parameters.sampling.max_tokens, Some(8));
        assert_eq!(parameters.sampling.stop, ["a", "b"]);
        assert!(parameters.sampling.ignore_eos);
    }

    #[test]
    fn what_is_unknown_or_senseless_is_refused_by_name() {
        for text in ["{\"beam_width\": 4}", "{\"n\": 2}", "{\"max_tokens\": 1.5}", "{\"stop\": 7}", "[]", "{"]
        {
            let refused = Parameters::default().json(text).map_err(|s| s.code());
            assert_eq!(refused, Err(tonic::Code::InvalidArgument), "{text}");
        }
        let nan =
            with("temperature", ParameterChoice::DoubleParam(f64::NAN)).map_err(|s| s.message().to_owned());
        assert!(nan.is_err_and(|message| message.contains("temperature")));
    }
}
