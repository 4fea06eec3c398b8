//! `ShardService`: checks a request, turns it into a job of the fenced replica, and streams what comes back.

use std::sync::Arc;

use helixflow_actors::{BoardWatch, Roster};
use helixflow_engine::compute::cpu::NUMERICS_CLASS;
use helixflow_model::{Sampling, StreamId, TokenId};
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, invalid, status};
use helixflow_proto::v1;
use helixflow_proto::v1::shard_service_server::ShardService;
use helixflow_text::EncodeOptions;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::seat::fenced;
use crate::shard::{Job, Prompt, ShardReplica, TokenStream};

/// Answers gateways.
pub(super) struct ShardGrpc {
    roster: watch::Receiver<Roster<ShardReplica>>,
    boards: BoardWatch,
}

impl ShardGrpc {
    pub(super) const fn new(roster: watch::Receiver<Roster<ShardReplica>>, boards: BoardWatch) -> Self {
        Self { roster, boards }
    }

    fn replica(&self, fence: Option<v1::Fence>) -> Result<Arc<ShardReplica>, Status> {
        fenced(&self.roster.borrow(), fence, |boards| self.boards.barred(boards))
    }
}

#[tonic::async_trait]
impl ShardService for ShardGrpc {
    type GenerateStream = TokenStream;

    async fn generate(
        &self,
        request: Request<v1::ShardGenerateRequest>,
    ) -> Result<Response<TokenStream>, Status> {
        let context = CallContext::of(&request)?.clone();
        let request = request.into_inner();
        let replica = self.replica(request.fence)?;
        let continuation = continuation(&request)?;
        let stream_id =
            StreamId::new(request.stream_id).map_err(|bad| invalid("stream_id", bad.to_string()))?;
        let sampling = Sampling::try_from(request.sampling.unwrap_or_default())?;
        let prompt = Prompt::read(request.prompt, request.render_time_unix_ms)?;
        let prompt = in_time(&context, prompt.tokenize(replica.text())).await?;
        let stream = replica.submit(Job {
            prompt,
            generated: continuation,
            sampling,
            seed: request.seed,
            tenant: context.tenant,
            priority: context.priority,
            deadline: context.deadline,
            stream_id: stream_id.into(),
            request_id: context.request_id.into(),
            render_time_unix_ms: request.render_time_unix_ms,
        })?;
        Ok(Response::new(stream))
    }

    async fn tokenize(
        &self,
        request: Request<v1::ShardTokenizeRequest>,
    ) -> Result<Response<v1::TokenizeResponse>, Status> {
        let context = CallContext::of(&request)?.clone();
        let v1::ShardTokenizeRequest { fence, text, parse_special } = request.into_inner();
        let replica = self.replica(fence)?;
        let prompt = Prompt::Text(text, EncodeOptions { parse_special, add_special: false });
        let ids = in_time(&context, prompt.tokenize(replica.text())).await?;
        let (model, model_version) = replica.model();
        Ok(Response::new(v1::TokenizeResponse {
            ids: ids.into_iter().map(|id| id.0).collect(),
            model,
            model_version,
        }))
    }
}

/// What each choice has generated already; refused when this replica would not go on with the same bits.
fn continuation(request: &v1::ShardGenerateRequest) -> Result<Vec<Vec<TokenId>>, Status> {
    let class = request.numerics_class.as_str();
    if request.generated.is_empty() {
        return Ok(Vec::new());
    }
    if class != NUMERICS_CLASS {
        let words = format!(
            "the stream began with numerics class {class:?}, and this replica computes by {NUMERICS_CLASS:?}: continue \
             it on a replica of its own class, or begin anew"
        );
        return Err(status(Reason::CannotResume, words));
    }
    let ids = |tokens: &v1::TokenIds| tokens.ids.iter().copied().map(TokenId).collect();
    Ok(request.generated.iter().map(ids).collect())
}

/// Bounds work that comes before the stream by the caller's deadline.
async fn in_time<T>(
    context: &CallContext,
    work: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    match context.deadline {
        None => work.await,
        Some(deadline) => tokio::time::timeout_at(deadline, work).await.unwrap_or_else(|_| {
            Err(status(Reason::DeadlineExceeded, "the deadline passed before the first token"))
        }),
    }
}
