//! Output tensors: the text, and what else a request asked to be told.

use helixflow_model::ModelId;
use helixflow_proto::error::invalid;
use helixflow_proto::inference::infer_parameter::ParameterChoice;
use helixflow_proto::inference::model_infer_request::InferRequestedOutputTensor;
use helixflow_proto::inference::model_infer_response::InferOutputTensor;
use helixflow_proto::inference::{InferParameter, ModelInferResponse};
use helixflow_proto::v1::generate_response::Event;
use helixflow_proto::v1::{FinishReason, GenerateResponse, TokenLogprob, TokenLogprobs, Usage};
use serde_json::{Value, json};
use tonic::Status;

use super::parameters::Parameters;
use super::tensors::Inputs;

/// The response parameter that tells whether more replies to the request come.
const FINAL: &str = "triton_final_response";
/// The one output that is always there.
pub(super) const TEXT_OUTPUT: &str = "text_output";
/// One JSON array for a reply: of each token the log-probability, and of the alternatives.
pub(super) const LOGPROBS_OUTPUT: &str = "logprobs";

/// Makes the replies to one request of the native stream's events.
pub(super) struct Replies {
    model: String,
    version: String,
    id: String,
    inputs: Inputs,
    has_logprobs: bool,
    /// The end is told by a reply of its own, without outputs.
    empty_final: bool,
    /// Not sent yet.
    text: String,
    logprobs: Vec<Value>,
    reason: FinishReason,
}

impl Replies {
    pub(super) fn new(
        model: &ModelId,
        id: String,
        inputs: Inputs,
        has_logprobs: bool,
        empty_final: bool,
    ) -> Self {
        let text = if inputs.echo { inputs.text.clone() } else { String::new() };
        Self {
            model: model.to_string(),
            version: String::new(),
            id,
            inputs,
            has_logprobs,
            empty_final,
            text,
            logprobs: Vec::new(),
            reason: FinishReason::default(),
        }
    }

    /// Takes the next message in; the replies that are due.
    pub(super) fn take(&mut self, message: GenerateResponse) -> Vec<ModelInferResponse> {
        match message.event {
            Some(Event::Start(start)) => self.version = start.model_version,
            Some(Event::Chunk(chunk)) => {
                self.text.push_str(&chunk.text);
                if self.has_logprobs {
                    self.logprobs.extend(chunk.logprobs.iter().map(logprobs));
                }
                if self.inputs.stream && self.has_unsent() {
                    let outputs = self.outputs();
                    return vec![self.reply(outputs, false)];
                }
            }
            Some(Event::ChoiceEnd(end)) => self.reason = end.reason(),
            Some(Event::End(end)) => return self.last(end.usage.unwrap_or_default()),
            None => {}
        }
        Vec::new()
    }

    fn last(&mut self, usage: Usage) -> Vec<ModelInferResponse> {
        let summary = self.summary(usage);
        let has_rest = self.has_unsent() || !self.inputs.stream || !summary.is_empty();
        let outputs = self.outputs().into_iter().chain(summary).collect();
        if !self.empty_final {
            return vec![self.reply(outputs, true)];
        }
        let rest = has_rest.then(|| self.reply(outputs, false));
        rest.into_iter().chain([self.reply(Vec::new(), true)]).collect()
    }

    /// What is told once, at the end.
    fn summary(&self, usage: Usage) -> Vec<(InferOutputTensor, Vec<u8>)> {
        let mut summary = Vec::new();
        if self.inputs.return_finish_reason {
            summary.push(bytes("finish_reason", word(self.reason)));
        }
        if self.inputs.return_num_input_tokens {
            summary.push(count("num_input_tokens", usage.prompt_tokens));
        }
        if self.inputs.return_num_output_tokens {
            summary.push(count("num_output_tokens", usage.generated_tokens));
        }
        summary
    }

    fn has_unsent(&self) -> bool {
        !(self.text.is_empty() && self.logprobs.is_empty())
    }

    /// What has come since the last reply.
    fn outputs(&mut self) -> Vec<(InferOutputTensor, Vec<u8>)> {
        let mut outputs = vec![bytes(TEXT_OUTPUT, &std::mem::take(&mut self.text))];
        if self.has_logprobs {
            let logprobs = Value::Array(std::mem::take(&mut self.logprobs));
            outputs.push(bytes(LOGPROBS_OUTPUT, &logprobs.to_string()));
        }
        outputs
    }

    fn reply(&self, outputs: Vec<(InferOutputTensor, Vec<u8>)>, is_last: bool) -> ModelInferResponse {
        let (outputs, raw_output_contents) = outputs.into_iter().unzip();
        ModelInferResponse {
            model_name: self.model.clone(),
            model_version: self.version.clone(),
            outputs,
            raw_output_contents,
            ..about(&self.id, is_last)
        }
    }
}

/// A reply without outputs, about the request of this id.
pub(super) fn about(id: &str, is_last: bool) -> ModelInferResponse {
    let is_last = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(is_last)) };
    ModelInferResponse {
        id: id.to_owned(),
        parameters: [(FINAL.to_owned(), is_last)].into_iter().collect(),
        ..Default::default()
    }
}

/// Refuses outputs that no reply would hold.
pub(super) fn check_requested(
    outputs: &[InferRequestedOutputTensor],
    inputs: &Inputs,
    parameters: &Parameters,
) -> Result<(), Status> {
    for InferRequestedOutputTensor { name, parameters: extras } in outputs {
        let is_served = match name.as_str() {
            TEXT_OUTPUT => true,
            LOGPROBS_OUTPUT => parameters.sampling.logprobs.is_some(),
            "finish_reason" => inputs.return_finish_reason,
            "num_input_tokens" => inputs.return_num_input_tokens,
            "num_output_tokens" => inputs.return_num_output_tokens,
            _ => false,
        };
        if !is_served {
            let message = format!(
                "output {name:?} is not served: ask for {TEXT_OUTPUT}, or first set the input return_{name}, or the parameter {LOGPROBS_OUTPUT}"
            );
            return Err(invalid(name, message));
        }
        if let Some(extra) = extras.keys().min() {
            return Err(invalid(
                name,
                format!("output {name} has the parameter {extra:?}, which is not served: leave it out"),
            ));
        }
    }
    Ok(())
}

fn bytes(name: &str, text: &str) -> (InferOutputTensor, Vec<u8>) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes();
    (tensor(name, "BYTES"), [&length[..], text.as_bytes()].concat())
}

fn count(name: &str, count: u32) -> (InferOutputTensor, Vec<u8>) {
    (tensor(name, "UINT32"), count.to_le_bytes().to_vec())
}

fn tensor(name: &str, datatype: &str) -> InferOutputTensor {
    InferOutputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: vec![1],
        ..Default::default()
    }
}

fn logprobs(token: &TokenLogprobs) -> Value {
    let one = |token: &TokenLogprob| json!({ "token_id": token.token_id, "logprob": token.logprob });
    let mut chosen = one(&token.chosen.unwrap_or_default());
    if let Value::Object(members) = &mut chosen {
        members.insert("alternatives".to_owned(), token.alternatives.iter().map(one).collect());
    }
    chosen
}

/// As the field's servers write it.
const fn word(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::EndOfSequence | FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Unspecified => "",
    }
}

#[cfg(test)]
mod tests {
    use helixflow_proto::v1::{ChoiceEnd, StreamEnd, TokenChunk};

    use super::*;

    fn replies(inputs: Inputs, has_logprobs: bool, empty_final: bool) -> Vec<(String, bool, usize)> {
        let model = ModelId::new("m").expect("a valid name");
        let mut replies = Replies::new(&model, "7".to_owned(), inputs, has_logprobs, empty_final);
        let chunk = |text: &str| {
            let logprobs = vec![TokenLogprobs::default()];
            Event::Chunk(TokenChunk { text: text.to_owned(), logprobs, ..Default::default() })
        };
        let events = [
            chunk("a"),
            chunk("b"),
            Event::ChoiceEnd(ChoiceEnd::default()),
            Event::End(StreamEnd::default()),
        ];
        let made = events.into_iter().flat_map(|event| replies.take(GenerateResponse { event: Some(event) }));
        made.map(|reply| {
            let text =
                reply.raw_output_contents.first().map(|raw| String::from_utf8_lossy(&raw[4..]).into_owned());
            let is_last = reply.parameters[FINAL].parameter_choice == Some(ParameterChoice::BoolParam(true));
            assert_eq!(reply.id, "7");
            (text.unwrap_or_default(), is_last, reply.outputs.len())
        })
        .collect()
    }

    fn told(text: &str, is_last: bool, outputs: usize) -> (String, bool, usize) {
        (text.to_owned(), is_last, outputs)
    }

    #[test]
    fn one_reply_holds_the_whole_text_and_is_the_last() {
        assert_eq!(replies(Inputs::default(), false, false), [told("ab", true, 1)]);
        let echo =
            Inputs { text: "x".to_owned(), echo: true, return_finish_reason: true, ..Inputs::default() };
        assert_eq!(replies(echo, true, false), [told("xab", true, 3)]);
    }

    #[test]
    fn a_stream_holds_only_new_text_and_one_reply_is_the_last() {
        let stream = || Inputs { stream: true, ..Inputs::default() };
        let pieces = [told("a", false, 1), told("b", false, 1)];
        assert_eq!(replies(stream(), false, false), [&pieces[..], &[told("", true, 1)]].concat());
        let with_empty = [&pieces[..], &[told("", true, 0)]].concat();
        assert_eq!(replies(stream(), false, true), with_empty);
    }
}
