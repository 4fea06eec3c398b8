//! What the library refuses by itself, in its own words: said again with a reason, the field, and what to do next.

use helixflow_proto::error::{Reason, invalid, status};
use tonic::{Code, Status};

/// How the library's errors begin.
const UNDECODABLE: &str = "failed to decode Protobuf message: ";
const TOO_LARGE: &str = "Error, decoded message length too large: ";

/// Replaces the library's refusal of a call, where a reply is one.
pub(crate) fn explain_reply<B: Default>(reply: http::Response<B>) -> http::Response<B> {
    match Status::from_header_map(reply.headers()).as_ref().and_then(explain) {
        Some(status) => status.into_http(),
        None => reply,
    }
}

/// The library's refusal in our words; none for any other status.
pub(super) fn explain(library: &Status) -> Option<Status> {
    match library.code() {
        // The caller's fault, and not ours.
        Code::Internal => {
            let problem = library.message().strip_prefix(UNDECODABLE)?;
            Some(invalid(field(problem), format!("the request cannot be read: {problem}")))
        }
        Code::OutOfRange => {
            let problem = library.message().strip_prefix(TOO_LARGE)?;
            Some(invalid("", format!("the request is too large: {problem}; send a shorter prompt")))
        }
        Code::Unimplemented if library.message().is_empty() => {
            let message = "this method is not served here: server reflection, where it is on, lists what is";
            Some(status(Reason::NotServed, message))
        }
        _ => None,
    }
}

/// The field that could not be read: each level of nesting stands in front as `Message.field: `, the outermost first.
fn field(problem: &str) -> &str {
    let outermost = problem.split_once(": ").and_then(|(place, _)| place.rsplit_once('.'));
    outermost.map_or("", |(_, field)| field)
}
