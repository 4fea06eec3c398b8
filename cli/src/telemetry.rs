//! Logs, traces and metrics of a process: quiet for commands, structured for daemons.

use anyhow::Context;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::WithExportConfig;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

/// The variable that says which logs to write, for instance `helixflow=debug,openraft=warn`.
const FILTER: &str = "HELIXFLOW_LOG";

/// Logs of a command: warnings on standard error, more with `-v`.
pub(crate) fn quiet(verbose: u8) -> anyhow::Result<()> {
    let level = ["warn", "info", "debug"][usize::from(verbose.min(2))];
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time().with_filter(filter(level)?);
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

/// Logs of a daemon on standard error, its metrics, and its traces when a collector is named.
///
/// Needs a running tokio runtime when traces are exported.
pub(crate) fn daemon(name: &'static str, verbose: u8, otlp: Option<&str>) -> anyhow::Result<Telemetry> {
    let level = if verbose == 0 { "info,openraft=warn" } else { "debug,h2=info,hyper=info" };
    let logs = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(false).with_filter(filter(level)?);
    let traces = otlp.map(|endpoint| exporter(name, endpoint)).transpose()?;
    let spans = traces.as_ref().map(|traces| tracing_opentelemetry::layer().with_tracer(traces.tracer("helixflow")));
    tracing_subscriber::registry().with(spans).with(logs).try_init().context("starting the logs")?;
    let metrics = PrometheusBuilder::new().install_recorder().context("starting the metrics")?;
    Ok(Telemetry { metrics, traces })
}

fn exporter(name: &'static str, endpoint: &str) -> anyhow::Result<SdkTracerProvider> {
    opentelemetry::global::set_text_map_propagator(TraceContextPropagator::new());
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint)
        .build()
        .with_context(|| format!("exporting traces to {endpoint}"))?;
    let resource = Resource::builder().with_service_name("helixflow").with_attribute(KeyValue::new("service.instance.id", name));
    Ok(SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build()).build())
}

fn filter(default: &str) -> anyhow::Result<EnvFilter> {
    let directives = std::env::var(FILTER).unwrap_or_else(|_| default.to_owned());
    EnvFilter::try_new(&directives).with_context(|| format!("{FILTER}={directives} is no log filter: try {FILTER}=info"))
}
