//! What can go wrong, and what to do next.

use tonic::{Code, Status};

use crate::transport::{broke, is_foreign};

/// A call that failed.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No coordinator's address was given.
    #[error("no endpoint was given: name at least one coordinator as host:port")]
    NoEndpoint,
    /// An address that is none.
    #[error("{address:?} is not host:port")]
    BadEndpoint {
        /// What was given.
        address: String,
        /// Why it is no address.
        #[source]
        source: tonic::transport::Error,
    },
    /// The service answered with an error, or none of the coordinators answered.
    #[error("{}", explain(.status, .endpoint, *.attempts))]
    Call {
        /// The last answer.
        status: Box<Status>,
        /// Who gave it.
        endpoint: String,
        /// How often the call was tried.
        attempts: u32,
    },
    /// The stream ended before the service said that it was complete.
    #[error("the stream from {endpoint} ended early; send the request again")]
    Truncated {
        /// Who sent it.
        endpoint: String,
    },
}

impl ClientError {
    /// What ended a stream that had begun.
    pub(crate) fn in_stream(status: Status, endpoint: String) -> Self {
        if broke(&status) {
            return Self::Truncated { endpoint };
        }
        Self::Call { status: Box::new(status), endpoint, attempts: 1 }
    }

    /// The status that the service answered with.
    pub fn status(&self) -> Option<&Status> {
        match self {
            Self::Call { status, .. } => Some(status),
            _ => None,
        }
    }
}

/// The service's own message where there is one; a hint where the transport gave up.
fn explain(status: &Status, endpoint: &str, attempts: u32) -> String {
    let told = helixflow_proto::error::Reason::of(status).is_some();
    let times = if attempts == 1 { String::new() } else { format!(" (tried {attempts} times)") };
    match status.code() {
        Code::Unavailable if !told => {
            format!("no coordinator answers at {endpoint}: is the cluster up? ({}){times}", status.message())
        }
        _ if broke(status) && !is_foreign(status) => format!(
            "the connection to {endpoint} broke before the answer came: what was asked may have been done; look at `helixflow status`, then ask again{times}"
        ),
        Code::DeadlineExceeded | Code::Cancelled if !told => {
            format!("{endpoint} did not answer in time: ask another coordinator, or wait longer{times}")
        }
        _ if told => format!("{}{times}", status.message()),
        code => format!(
            "{endpoint} does not answer as a coordinator does: give the address of its gRPC port ({code:?}, {:?}){times}",
            status.message()
        ),
    }
}

#[cfg(test)]
mod tests {
    use helixflow_proto::error::{Reason, status};

    use super::*;

    #[test]
    fn a_stream_ends_early_by_its_connection_and_in_the_words_of_the_service_otherwise() {
        let told = |status| ClientError::in_stream(status, "a:1".to_owned()).to_string();
        let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::ConnectionReset)));
        assert_eq!(told(broken), "the stream from a:1 ended early; send the request again");
        assert_eq!(told(status(Reason::NoReplica, "node-1 is gone")), "node-1 is gone");
    }
}
