//! Output tensors: the text, and what else a request asked to be told.

use helixflow_proto::error::invalid;
use helixflow_proto::inference::infer_parameter::ParameterChoice;
use helixflow_proto::inference::model_infer_request::InferRequestedOutputTensor;
use helixflow_proto::inference::model_infer_response::InferOutputTensor;
use helixflow_proto::inference::{InferParameter, ModelInferResponse};
use helixflow_proto::v1::FinishReason;
use tonic::Status;

use super::tensors::Inputs;

/// The response parameter of the last reply to a request.
const FINAL: &str = "triton_final_response";
/// The one output that is always there.
pub(super) const TEXT_OUTPUT: &str = "text_output";

/// How replies to one request are made.
pub(super) struct Replies {
    pub(super) model: String,
    pub(super) version: String,
    pub(super) id: String,
    pub(super) inputs: Inputs,
}

/// What is known at the end of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ending {
    pub(super) finish_reason: FinishReason,
    pub(super) input_tokens: u32,
    pub(super) output_tokens: u32,
}

impl Replies {
    /// Some of the text, before the end.
    pub(super) fn piece(&self, text: &str) -> ModelInferResponse {
        self.reply(vec![bytes(TEXT_OUTPUT, text)], false)
    }

    /// The rest of the text, and what was asked for.
    pub(super) fn last(&self, text: &str, ending: Ending) -> ModelInferResponse {
        let mut outputs = vec![bytes(TEXT_OUTPUT, text)];
        if self.inputs.return_finish_reason {
            outputs.push(bytes("finish_reason", reason(ending.finish_reason)));
        }
        if self.inputs.return_num_input_tokens {
            outputs.push(count("num_input_tokens", ending.input_tokens));
        }
        if self.inputs.return_num_output_tokens {
            outputs.push(count("num_output_tokens", ending.output_tokens));
        }
        self.reply(outputs, true)
    }

    /// The empty reply that says nothing more comes.
    pub(super) fn empty_final(&self) -> ModelInferResponse {
        self.reply(Vec::new(), true)
    }

    fn reply(&self, outputs: Vec<(InferOutputTensor, Vec<u8>)>, last: bool) -> ModelInferResponse {
        let (outputs, raw_output_contents) = outputs.into_iter().unzip();
        let last = InferParameter { parameter_choice: Some(ParameterChoice::BoolParam(last)) };
        ModelInferResponse {
            model_name: self.model.clone(),
            model_version: self.version.clone(),
            id: self.id.clone(),
            parameters: [(FINAL.to_owned(), last)].into_iter().collect(),
            outputs,
            raw_output_contents,
        }
    }
}

/// Refuses outputs that no reply would hold.
pub(super) fn check_requested(outputs: &[InferRequestedOutputTensor], inputs: &Inputs) -> Result<(), Status> {
    for output in outputs {
        let served = match output.name.as_str() {
            TEXT_OUTPUT => true,
            "finish_reason" => inputs.return_finish_reason,
            "num_input_tokens" => inputs.return_num_input_tokens,
            "num_output_tokens" => inputs.return_num_output_tokens,
            _ => false,
        };
        if !served {
            let name = &output.name;
            let message = format!(
                "output {name:?} is not served: ask for {TEXT_OUTPUT}, or set the input return_{name} to true"
            );
            return Err(invalid(name, message));
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

/// As the field's servers write it.
const fn reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::EndOfSequence | FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::Unspecified => "",
    }
}
