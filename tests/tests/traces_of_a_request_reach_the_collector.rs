//! With a collector named, the spans of a request arrive from gateway and node as one trace, with the request's id.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use helixflow_env::Env;
use helixflow_tests::cluster::{LocalCluster, PATIENCE, new_data_dir};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// What a span says of itself and of the process that it comes from.
#[derive(Clone, Debug)]
struct Seen {
    service: String,
    instance: String,
    path: String,
    request: String,
    trace: Vec<u8>,
    span: Vec<u8>,
    parent: Vec<u8>,
}

/// A collector that keeps every span.
#[derive(Clone, Default)]
struct Collector {
    seen: Arc<watch::Sender<Vec<Seen>>>,
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.clone()).and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        _ => String::new(),
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for process in request.into_inner().resource_spans {
            let resource = process.resource.unwrap_or_default().attributes;
            let spans = process.scope_spans.into_iter().flat_map(|scope| scope.spans);
            let seen = spans.map(|span| Seen {
                service: text(&resource, "service.name"),
                instance: text(&resource, "service.instance.id"),
                path: text(&span.attributes, "path"),
                request: text(&span.attributes, "request_id"),
                trace: span.trace_id,
                span: span.span_id,
                parent: span.parent_span_id,
            });
            self.seen.send_modify(|all| all.extend(seen));
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Starts a collector; its endpoint.
async fn listen(collector: Collector) -> Result<String> {
    let listener = Env::real().network.bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    let endpoint = format!("http://{}", listener.local_addr());
    let server = Server::builder().add_service(TraceServiceServer::new(collector));
    tokio::spawn(server.serve_with_incoming(listener));
    Ok(endpoint)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_spans_of_a_request_are_one_trace_from_gateway_to_node() -> Result<()> {
    let collector = Collector::default();
    let mut seen = collector.seen.subscribe();
    let endpoint = listen(collector).await?;
    // Spans leave at once and not every five seconds.
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let cluster =
        LocalCluster::start_in(new_data_dir()?, &["--coordinators", "1", "--nodes", "1"], &variables)?;
    let answer = cluster.json(&["generate", "The capital of France is", "--max-tokens", "24", "--json"])?;
    let id = answer["request_id"].as_str().context("a request id")?.to_owned();

    let of = |all: &[Seen], service: &str| {
        all.iter().find(|span| span.service == service && span.request == id).cloned()
    };
    let both = |all: &[Seen]| of(all, "helixflow-coordinator").zip(of(all, "helixflow-node"));
    let arrived = tokio::time::timeout(PATIENCE, seen.wait_for(|all| both(all).is_some())).await;
    let (gateway, node) = both(&arrived.context("the spans arrive")??).context("both spans")?;
    assert_eq!(gateway.instance, "coordinator-1");
    assert!(gateway.path.ends_with("InferenceService/Generate"), "{gateway:?}");
    assert!(node.path.ends_with("ShardService/Generate"), "{node:?}");
    assert_eq!(node.trace, gateway.trace, "one trace");
    assert_eq!(node.parent, gateway.span, "the node's work is part of the gateway's");
    assert!(gateway.parent.is_empty(), "the client sent no trace of its own");
    Ok(())
}
