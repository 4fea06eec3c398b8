//! One request, read to its end whatever that is.

use std::time::Duration;

use helixflow_client::{Client, ClientError, TokenStream};
use helixflow_proto::error::Reason;
use helixflow_proto::v1::GenerateRequest;
use helixflow_proto::v1::generate_request::Prompt as PromptField;
use helixflow_proto::v1::generate_response::Event;
use tokio::time::{Instant, timeout};

use super::Prompt;
use crate::history::Outcome;

/// How long past its deadline a request may take to end, on a machine whose cores are all busy.
const GRACE: Duration = Duration::from_secs(5);

/// A complete answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The token ids.
    pub tokens: Vec<u32>,
    /// Their text.
    pub text: String,
}

/// How a request ended, and how evenly its tokens came.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) outcome: Outcome,
    pub(crate) longest_gap: Duration,
}

/// Asks one prompt.
pub(crate) async fn ask(client: &Client, model: &str, prompt: &Prompt, deadline: Duration) -> Told {
    let mut reading = Reading::default();
    let outcome = match timeout(deadline + GRACE, reading.read(client, model, prompt)).await {
        Ok(Ok(())) => Outcome::Answered(std::mem::take(&mut reading.answer)),
        Ok(Err(error)) => failure(&error, reading.heard),
        Err(_) => Outcome::Hung,
    };
    Told { outcome, longest_gap: reading.longest_gap }
}

/// What has been read of an answer.
#[derive(Default)]
struct Reading {
    answer: Answer,
    heard: bool,
    last: Option<Instant>,
    longest_gap: Duration,
}

impl Reading {
    async fn read(&mut self, client: &Client, model: &str, prompt: &Prompt) -> Result<(), ClientError> {
        let request = GenerateRequest {
            model: model.to_owned(),
            prompt: Some(PromptField::Text(prompt.text.clone())),
            sampling: Some(prompt.sampling.clone()),
            seed: Some(prompt.seed),
            ..GenerateRequest::default()
        };
        let mut stream: TokenStream = client.generate(request).await?;
        self.heard = true;
        while let Some(event) = stream.next().await? {
            if let Event::Chunk(chunk) = event {
                self.note(Instant::now());
                self.answer.tokens.extend(chunk.token_ids);
                self.answer.text.push_str(&chunk.text);
            }
        }
        Ok(())
    }

    fn note(&mut self, now: Instant) {
        let gap = self.last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.longest_gap = self.longest_gap.max(gap);
        self.last = Some(now);
    }
}

/// What the service says bears a reason; what the transport says does not.
fn failure(error: &ClientError, heard: bool) -> Outcome {
    let status = error.status();
    if let Some((status, reason)) = status.and_then(|status| Some((status, Reason::of(status)?))) {
        let (code, message) = (format!("{:?}", status.code()), status.message().to_owned());
        return Outcome::Refused { code, reason, message };
    }
    let endpoint = match error {
        ClientError::Call { endpoint, .. } | ClientError::Truncated { endpoint } => endpoint.clone(),
        ClientError::NoEndpoint => String::new(),
        ClientError::BadEndpoint { address, .. } => address.clone(),
    };
    Outcome::ConnectionLost { endpoint, heard }
}
