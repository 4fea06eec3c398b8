//! TelemetryService: one stream a node, each report answered with what this coordinator has applied.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::BoxStream;
use helixflow_model::NodeReport;
use helixflow_policy::state::ClusterState;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::telemetry_service_server::TelemetryService;
use helixflow_proto::v1::{NodeReport as WireReport, ReportAck};
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

use super::Telemetry;

/// The largest report: sixteen boards and hundreds of replicas take a tenth of it.
pub(crate) const MAX_REPORT_BYTES: usize = 1 << 20;
/// A stream silent for so long is closed: the node, if there is one, opens another.
const LONGEST_SILENCE: Duration = Duration::from_secs(30);

/// Serves the nodes.
pub(crate) struct Service {
    telemetry: Telemetry,
    state: watch::Receiver<Arc<ClusterState>>,
    stop: CancellationToken,
}

impl Service {
    /// Reports go to `telemetry`; `state` tells what is applied; streams end with `stop`.
    pub(crate) fn new(
        telemetry: Telemetry,
        state: watch::Receiver<Arc<ClusterState>>,
        stop: CancellationToken,
    ) -> Self {
        Self { telemetry, state, stop }
    }
}

#[tonic::async_trait]
impl TelemetryService for Service {
    type ReportStream = BoxStream<'static, Result<ReportAck, Status>>;

    async fn report(
        &self,
        request: Request<Streaming<WireReport>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let stream = Reporting {
            reports: request.into_inner(),
            number: self.telemetry.begin_stream(),
            telemetry: self.telemetry.clone(),
            state: self.state.clone(),
        };
        let acks = futures::stream::unfold(Some(stream), |stream| async move {
            let mut stream = stream?;
            match stream.next().await {
                Ok(Some(ack)) => Some((Ok(ack), Some(stream))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        });
        Ok(Response::new(acks.take_until(self.stop.clone().cancelled_owned()).boxed()))
    }
}

/// One node's stream.
struct Reporting {
    reports: Streaming<WireReport>,
    number: u64,
    telemetry: Telemetry,
    state: watch::Receiver<Arc<ClusterState>>,
}

impl Reporting {
    /// Takes the next report in; none when the node has ended the stream.
    async fn next(&mut self) -> Result<Option<ReportAck>, Status> {
        let silent = |_| status(Reason::DeadlineExceeded, "no report came for too long; open another stream");
        let Some(report) = timeout(LONGEST_SILENCE, self.reports.message()).await.map_err(silent)?? else {
            return Ok(None);
        };
        let report = NodeReport::try_from(report)?;
        let sequence = report.sequence;
        self.telemetry
            .hear(report, self.number, Instant::now())
            .map_err(|full| status(Reason::QueueFull, full.to_string()))?;
        metrics::counter!("helixflow_telemetry_reports_total").increment(1);
        let applied_index = self.state.borrow().epoch().0;
        Ok(Some(ReportAck { sequence, applied_index }))
    }
}
