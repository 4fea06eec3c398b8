//! Logs, traces and metrics of a process: quiet for commands, structured for daemons.

use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::Level;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The variable that says which logs to write, for instance `helixflow=debug,openraft=warn`.
const FILTER: &str = "HELIXFLOW_LOG";

/// Upper bounds of every histogram's buckets, in seconds: from a token of a small model to a long answer.
const BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0];

/// Measurements are sorted into their buckets this often: between two times they are kept one by one.
const UPKEEP: Duration = Duration::from_secs(5);

/// Logs of a command: warnings on standard error, more with `-v`.
pub(crate) fn quiet(verbose: u8) -> anyhow::Result<()> {
    let level = ["warn", "info", "debug"][usize::from(verbose.min(2))];
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .without_time()
        .with_filter(filter(level)?);
    tracing_subscriber::registry().with(logs).try_init().context("starting the logs")
}

/// What a daemon's telemetry hangs on; dropping it sends the last spans.
pub(crate) struct Telemetry {
    /// Renders `/metrics`.
    pub(crate) metrics: PrometheusHandle,
    traces: Option<SdkTracerProvider>,
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        // A collector that is gone cannot be told so; the process ends all the same.
        let _ = self.traces.take().map(|traces| traces.shutdown());
    }
}

/// What a daemon is called in traces, and where they go.
pub(crate) struct Service {
    /// The kind of process.
    pub(crate) name: &'static str,
    /// Which one of its kind.
    pub(crate) instance: String,
    /// The collector of its traces; none for no traces.
    pub(crate) otlp_endpoint: Option<String>,
}

/// Logs of a daemon on standard error, its metrics, and its traces when a collector is named.
///
/// Needs a running tokio runtime.
pub(crate) fn daemon(service: &Service, verbose: u8) -> anyhow::Result<Telemetry> {
    let level = if verbose == 0 { "info,openraft=error" } else { "debug,h2=info,hyper=info" };
    let logs = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_filter(filter(level)?);
    let traces = service.otlp_endpoint.as_deref().map(|endpoint| exporter(service, endpoint)).transpose()?;
    let spans = traces.as_ref().map(|traces| {
        // Only our own: the libraries' spans, the exporter's among them, would trace the tracing.
        let ours = Targets::new().with_target("helixflow", Level::INFO);
        tracing_opentelemetry::layer().with_tracer(traces.tracer("helixflow")).with_filter(ours)
    });
    tracing_subscriber::registry().with(spans).with(logs).try_init().context("starting the logs")?;
    let metrics = PrometheusBuilder::new().set_buckets(&BUCKETS).context("the buckets of the metrics")?;
    let metrics = metrics.install_recorder().context("starting the metrics")?;
    tokio::spawn(upkeep(metrics.clone()));
    Ok(Telemetry { metrics, traces })
}

/// Keeps the memory of the metrics bounded, also where nobody ever reads them.
async fn upkeep(metrics: PrometheusHandle) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.run_upkeep();
    }
}

fn exporter(service: &Service, endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| {
        format!("otlp_endpoint {endpoint} cannot be used: give http://host:port of a collector")
    })?;
    let instance = KeyValue::new("service.instance.id", service.instance.clone());
    let resource = Resource::builder().with_service_name(service.name).with_attribute(instance).build();
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource).build())
}

fn filter(default: &str) -> anyhow::Result<EnvFilter> {
    let directives = std::env::var(FILTER).unwrap_or_else(|_| default.to_owned());
    EnvFilter::try_new(&directives)
        .with_context(|| format!("{FILTER}={directives} is no log filter: try {FILTER}=info"))
}
