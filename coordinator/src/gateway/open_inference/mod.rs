//! The Open Inference Protocol (KServe v2) with Triton's `ModelStreamInfer`, for unmodified clients of that protocol.
//!
//! Language models by the field's convention: the inputs `text_input` and `stream`, the output `text_output`.

mod catalogue;
mod parameters;
mod reply;
mod request;
mod tensors;

use std::pin::Pin;
use std::sync::Arc;

use arc_swap::ArcSwap;
use futures::{Stream, StreamExt};
use helixflow_policy::routing::RoutingTable;
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::inference::grpc_inference_service_server::GrpcInferenceService;
use helixflow_proto::inference::{
    ModelInferRequest, ModelInferResponse, ModelMetadataRequest, ModelMetadataResponse, ModelReadyRequest,
    ModelReadyResponse, ModelStreamInferResponse, RepositoryIndexRequest, RepositoryIndexResponse,
    ServerLiveRequest, ServerLiveResponse, ServerMetadataRequest, ServerMetadataResponse, ServerReadyRequest,
    ServerReadyResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::inference::Inference;

/// Requests of one client stream that run at once; the next is read when one of them ends.
const MAX_CONCURRENT: usize = 32;
/// Replies of one request that wait for a slow client; then its tokens wait on the node.
const REPLY_BACKLOG: usize = 16;
/// The metadata by which a client asks that a failed stream end with a real status.
const REAL_STATUS: &str = "triton_grpc_error";

/// Serves clients of the Open Inference Protocol.
#[derive(Clone)]
pub(super) struct OpenInference {
    inference: Inference,
    table: Arc<ArcSwap<RoutingTable>>,
}

impl OpenInference {
    pub(super) fn new(inference: Inference, table: Arc<ArcSwap<RoutingTable>>) -> Self {
        Self { inference, table }
    }

    /// The replies to one request of a stream, and its failure as the last of them.
    fn answer(&self, request: Result<ModelInferRequest, Status>, context: &CallContext) -> Replies {
        let request = match request {
            Ok(request) => request,
            Err(status) => return Box::pin(futures::stream::once(async { Err(status) })),
        };
        let (sender, receiver) = mpsc::channel(REPLY_BACKLOG);
        let (inference, context) = (self.inference.clone(), context.clone());
        let work = async move { request::run(&inference, request, &context, &sender).await.err() };
        // The work goes on only while its replies are polled for: a client that goes away ends both.
        let failure = futures::stream::once(work).filter_map(|failure| async { failure.map(Err) });
        let replies = ReceiverStream::new(receiver).map(Ok);
        Box::pin(futures::stream::select(replies, failure))
    }
}

type Replies = Pin<Box<dyn Stream<Item = Result<ModelInferResponse, Status>> + Send>>;

#[tonic::async_trait]
impl GrpcInferenceService for OpenInference {
    type ModelStreamInferStream =
        Pin<Box<dyn Stream<Item = Result<ModelStreamInferResponse, Status>> + Send>>;

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
        Ok(Response::new(ServerReadyResponse { ready: self.table.load().serves_anything() }))
    }

    async fn model_ready(
        &self,
        request: Request<ModelReadyRequest>,
    ) -> Result<Response<ModelReadyResponse>, Status> {
        catalogue::ready(&self.table.load(), request.into_inner()).map(Response::new)
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
        catalogue::model(&self.table.load(), request.into_inner()).map(Response::new)
    }

    async fn model_infer(
        &self,
        request: Request<ModelInferRequest>,
    ) -> Result<Response<ModelInferResponse>, Status> {
        let context = CallContext::of(&request)?.clone();
        let mut replies = self.answer(Ok(request.into_inner()), &context);
        let mut whole = None;
        while let Some(reply) = replies.next().await {
            if whole.replace(reply?).is_some() {
                let message = "this request has several replies: use ModelStreamInfer, or leave out `stream` and the empty final response";
                return Err(helixflow_proto::error::invalid("stream", message));
            }
        }
        whole
            .map(Response::new)
            .ok_or_else(|| status(Reason::Internal, "the request ended without a reply; report this"))
    }

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let context = CallContext::of(&request)?.clone();
        let real_status = request.metadata().get(REAL_STATUS).is_some_and(|value| value == "true");
        let service = self.clone();
        let replies = request
            .into_inner()
            .flat_map_unordered(MAX_CONCURRENT, move |request| service.answer(request, &context));
        let told = replies.map(move |reply| match reply {
            Ok(reply) => Ok(ModelStreamInferResponse { infer_response: Some(reply), ..Default::default() }),
            Err(status) if real_status => Err(status),
            Err(status) => Ok(ModelStreamInferResponse {
                error_message: status.message().to_owned(),
                ..Default::default()
            }),
        });
        Ok(Response::new(Box::pin(told)))
    }

    async fn repository_index(
        &self,
        request: Request<RepositoryIndexRequest>,
    ) -> Result<Response<RepositoryIndexResponse>, Status> {
        Ok(Response::new(catalogue::index(&self.table.load(), request.into_inner().ready)))
    }
}
