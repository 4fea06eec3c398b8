//! The input tensors of a request, from typed contents or raw bytes.

use helixflow_proto::error::invalid;
use helixflow_proto::inference::ModelInferRequest;
use helixflow_proto::inference::model_infer_request::InferInputTensor;
use tonic::Status;

use super::parameters::Parameters;

/// What a request's inputs say.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Inputs {
    /// The raw prompt; no chat template is applied.
    pub(super) text: String,
    /// A reply for each token, instead of one with the whole text.
    pub(super) stream: bool,
    /// Put the prompt before the text of the reply.
    pub(super) echo: bool,
    pub(super) return_finish_reason: bool,
    pub(super) return_num_input_tokens: bool,
    pub(super) return_num_output_tokens: bool,
}

/// Reads the inputs; `sampling_parameters` goes into `parameters`.
pub(super) fn read(request: &ModelInferRequest, parameters: &mut Parameters) -> Result<Inputs, Status> {
    let raw = &request.raw_input_contents;
    if !raw.is_empty() && raw.len() != request.inputs.len() {
        let message = format!(
            "{} raw contents for {} inputs: give one for each, or none",
            raw.len(),
            request.inputs.len()
        );
        return Err(invalid("raw_input_contents", message));
    }
    let mut inputs = Inputs::default();
    let mut prompt = None;
    for (index, tensor) in request.inputs.iter().enumerate() {
        let raw = raw.get(index).map(Vec::as_slice);
        if let Some(extra) = tensor.parameters.keys().min() {
            let message = format!(
                "input {} has the parameter {extra:?}, which is not served: leave it out",
                tensor.name
            );
            return Err(invalid(&tensor.name, message));
        }
        match tensor.name.as_str() {
            "text_input" => prompt = Some(text(tensor, raw)?),
            "sampling_parameters" => parameters.json(&text(tensor, raw)?)?,
            "stream" => inputs.stream = boolean(tensor, raw)?,
            "exclude_input_in_output" => inputs.echo = !boolean(tensor, raw)?,
            "return_finish_reason" => inputs.return_finish_reason = boolean(tensor, raw)?,
            "return_num_input_tokens" => inputs.return_num_input_tokens = boolean(tensor, raw)?,
            "return_num_output_tokens" => inputs.return_num_output_tokens = boolean(tensor, raw)?,
            other => {
                let message = format!(
                    "input {other:?} is not served: use text_input, stream, sampling_parameters, exclude_input_in_output, \
                     return_finish_reason, return_num_input_tokens, return_num_output_tokens"
                );
                return Err(invalid(other, message));
            }
        }
    }
    inputs.text = prompt.ok_or_else(|| invalid("text_input", "the input text_input (BYTES) is missing"))?;
    if inputs.text.is_empty() {
        return Err(invalid("text_input", "the prompt is empty: give some text to continue"));
    }
    Ok(inputs)
}

/// One element of type BYTES that holds UTF-8 text.
fn text(tensor: &InferInputTensor, raw: Option<&[u8]>) -> Result<String, Status> {
    expect(tensor, "BYTES")?;
    let bytes = match raw {
        Some(raw) => length_prefixed(raw).ok_or_else(|| {
            invalid(
                &tensor.name,
                format!(
                    "the raw contents of {} are not one element: four bytes of length, then as many bytes",
                    tensor.name
                ),
            )
        })?,
        None => match tensor.contents.as_ref().map(|c| c.bytes_contents.as_slice()) {
            Some([one]) => one.as_slice(),
            _ => return Err(one_element(tensor)),
        },
    };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        invalid(
            &tensor.name,
            format!("{} is not UTF-8 from byte {}: send valid UTF-8", tensor.name, error.valid_up_to()),
        )
    })?;
    Ok(text.to_owned())
}

fn boolean(tensor: &InferInputTensor, raw: Option<&[u8]>) -> Result<bool, Status> {
    expect(tensor, "BOOL")?;
    match raw {
        Some([byte]) => Ok(*byte != 0),
        Some(_) => Err(one_element(tensor)),
        None => match tensor.contents.as_ref().map(|c| c.bool_contents.as_slice()) {
            Some([one]) => Ok(*one),
            _ => Err(one_element(tensor)),
        },
    }
}

fn expect(tensor: &InferInputTensor, datatype: &str) -> Result<(), Status> {
    if tensor.datatype != datatype {
        return Err(invalid(
            &tensor.name,
            format!("{} must have datatype {datatype}, got {:?}", tensor.name, tensor.datatype),
        ));
    }
    if tensor.shape.iter().any(|size| *size != 1) {
        return Err(one_element(tensor));
    }
    Ok(())
}

fn one_element(tensor: &InferInputTensor) -> Status {
    invalid(&tensor.name, format!("{} must hold one element (shape [1] or [1, 1])", tensor.name))
}

/// Raw BYTES: each element after its length, four bytes, little-endian.
fn length_prefixed(raw: &[u8]) -> Option<&[u8]> {
    let (length, rest) = raw.split_first_chunk::<4>()?;
    (u32::from_le_bytes(*length) as usize == rest.len()).then_some(rest)
}

#[cfg(test)]
mod tests {
    use helixflow_proto::inference::InferTensorContents;

    use super::*;

    fn tensor(name: &str, datatype: &str, contents: InferTensorContents) -> InferInputTensor {
        InferInputTensor {
            name: name.to_owned(),
            datatype: datatype.to_owned(),
            shape: vec![1],
            contents: Some(contents),
            ..Default::default()
        }
    }

    fn prompt(text: &[u8]) -> InferInputTensor {
        tensor(
            "text_input",
            "BYTES",
            InferTensorContents { bytes_contents: vec![text.to_vec()], ..Default::default() },
        )
    }

    fn refused(request: &ModelInferRequest) -> String {
        let refused = read(request, &mut Parameters::default()).expect_err("a bad request");
        assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        refused.message().to_owned()
    }

    #[test]
    fn typed_and_raw_contents_say_the_same() {
        let typed = ModelInferRequest {
            inputs: vec![
                prompt("Grüße".as_bytes()),
                tensor(
                    "stream",
                    "BOOL",
                    InferTensorContents { bool_contents: vec![true], ..Default::default() },
                ),
            ],
            ..Default::default()
        };
        let mut raw = typed.clone();
        raw.inputs.iter_mut().for_each(|tensor| tensor.contents = None);
        raw.raw_input_contents = vec![[&7u32.to_le_bytes()[..], "Grüße".as_bytes()].concat(), vec![1]];
        let expected = Inputs { text: "Grüße".to_owned(), stream: true, ..Default::default() };
        for request in [typed, raw] {
            assert_eq!(read(&request, &mut Parameters::default()).ok().as_ref(), Some(&expected));
        }
    }

    #[test]
    fn bad_inputs_are_refused_by_name() {
        let one = |tensor| ModelInferRequest { inputs: vec![tensor], ..Default::default() };
        assert!(refused(&ModelInferRequest::default()).contains("text_input"));
        assert!(refused(&one(prompt(b""))).contains("empty"));
        assert!(refused(&one(prompt(&[0x66, 0xff]))).contains("not UTF-8 from byte 1"));
        assert!(
            refused(&one(tensor("return_logprobs", "BOOL", InferTensorContents::default())))
                .contains("return_logprobs")
        );
        assert!(refused(&one(InferInputTensor { shape: vec![2], ..prompt(b"x") })).contains("one element"));
        let short =
            ModelInferRequest { raw_input_contents: vec![vec![9, 0, 0, 0, b'x']], ..one(prompt(b"x")) };
        assert!(refused(&short).contains("four bytes of length"));
    }
}
