//! The Open Inference Protocol (KServe v2) with Triton's `ModelStreamInfer`, for unmodified clients of that protocol.
//!
//! Language models by the field's convention: the inputs `text_input` and `stream`, the output `text_output`.

mod catalogue;
mod parameters;
mod reply;
mod request;
mod tensors;

use std::sync::Arc;

use futures::stream::BoxStream;
use futures::{StreamExt, TryFutureExt, TryStreamExt};
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::inference::grpc_inference_service_server::GrpcInferenceService;
use helixflow_proto::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ModelStreamInferResponse, RepositoryIndexRequest, RepositoryIndexResponse,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest,
    ServerReadyResponse,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::current::Current;
use super::explain::explain;
use super::health::{Statuses, is_serving};
use super::inference::Inference;

/// Requests of one client stream that run at once; the next is read when one of them ends.
const MAX_CONCURRENT: usize = 32;
/// The metadata by which a client asks that a failed stream end with a real status.
const REAL_STATUS: &str = "triton_grpc_error";

/// Serves clients of the Open Inference Protocol.
#[derive(Clone)]
pub(super) struct OpenInference {
    inference: Inference,
    current: Arc<Current>,
    health: watch::Receiver<Statuses>,
    stop: CancellationToken,
}

impl OpenInference {
    /// Streams take no more requests from `stop` on.
    pub(super) fn new(
        inference: Inference,
        current: Arc<Current>,
        health: watch::Receiver<Statuses>,
        stop: CancellationToken,
    ) -> Self {
        Self { inference, current, health, stop }
    }

    /// The replies to one request of a stream, and its failure as the last of them.
    fn answer(
        &self,
        request: Result<ModelInferRequest, Status>,
        context: &CallContext,
    ) -> BoxStream<'static, Result<ModelInferResponse, Status>> {
        let (inference, context) = (self.inference.clone(), context.clone());
        let start = async move {
            let request = request.map_err(|error| explain(&error).unwrap_or(error))?;
            request::read(request)?.start(&inference, &context).await
        };
        start.try_flatten_stream().boxed()
    }
}

/// A reply as a stream bears it: a failure as a message, so that the stream goes on, or as its real status.
fn told(
    reply: Result<ModelInferResponse, Status>,
    id: &str,
    real_status: bool,
) -> Result<ModelStreamInferResponse, Status> {
    match reply {
        Ok(reply) => Ok(ModelStreamInferResponse { infer_response: Some(reply), ..Default::default() }),
        Err(status) if real_status => Err(status),
        Err(status) => Ok(ModelStreamInferResponse {
            error_message: status.message().to_owned(),
            infer_response: Some(reply::about(id, true)),
        }),
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for OpenInference {
    type ModelStreamInferStream = BoxStream<'static, Result<ModelStreamInferResponse, Status>>;

    async fn server_live(
        &self,
        _: Request<ServerLiveRequest>,
    ) -> Result<Response<ServerLiveResponse>, Status> {
        Ok(Response::new(ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _: Request<ServerReadyRequest>,
    ) -> Result<Response<ServerReadyResponse>, Status> {
        Ok(Response::new(ServerReadyResponse { ready: is_serving(&self.health.borrow()) }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        catalogue::ready(&self.current.load().table, request.into_inner()).map(Response::new)
    }

    async fn server_metadata(
        &self,
        _: Request<ServerMetadataRequest>,
    ) -> Result<Response<ServerMetadataResponse>, Status> {
        Ok(Response::new(catalogue::server()))
    }

    async fn model_metadata(
        &self,
        request: Request<ModelMetadataRequest>,
    ) -> Result<Response<ModelMetadataResponse>, Status> {
        catalogue::model(&self.current.load().table, request.into_inner()).map(Response::new)
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let context = CallContext::of(&request)?.clone();
        let request = request::read(request.into_inner())?;
        request.expect_one_reply()?;
        let mut replies = std::pin::pin!(request.start(&self.inference, &context).await?);
        let reply = replies.try_next().await?;
        let missing = || status(Reason::Internal, "the request ended without a reply; report this");
        reply.map(Response::new).ok_or_else(missing)
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let context = CallContext::of(&request)?.clone();
        let real_status = request.metadata().get(REAL_STATUS).is_some_and(|value| value == "true");
        let service = self.clone();
        let requests = request.into_inner().take_until(self.stop.clone().cancelled_owned());
        let replies = requests.flat_map_unordered(MAX_CONCURRENT, move |request| {
            let id = request.as_ref().map_or_else(|_| String::new(), |request| request.id.clone());
            service.answer(request, &context).map(move |reply| told(reply, &id, real_status))
        });
        Ok(Response::new(replies.boxed()))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Result<Response<RepositoryIndexResponse>, Status> {
        Ok(Response::new(catalogue::index(&self.current.load().table, request.into_inner().ready)))
    }
}
