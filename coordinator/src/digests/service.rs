//! DigestService: what other coordinators tell.

use std::sync::Arc;
use std::time::Duration;

use helixflow_model::{CoordinatorId, NodeReport, Region};
use helixflow_policy::state::ClusterState;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::digest_service_server::DigestService;
use helixflow_proto::v1::{RegionDigest, RegionDigestAck};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::Presence;
use crate::telemetry::Telemetry;

/// The largest digest: as many nodes as a cluster has, with eight boards and four replicas each, take less.
pub(crate) const MAX_DIGEST_BYTES: usize = 16 << 20;

/// Serves the other coordinators.
pub(crate) struct Service {
    region: Region,
    telemetry: Telemetry,
    presence: Presence,
    state: watch::Receiver<Arc<ClusterState>>,
}

impl Service {
    /// In `region`; `state` tells who may speak for which region.
    pub(crate) fn new(
        region: Region,
        telemetry: Telemetry,
        presence: Presence,
        state: watch::Receiver<Arc<ClusterState>>,
    ) -> Self {
        Self { region, telemetry, presence, state }
    }

    /// The region that a coordinator may speak for: its own.
    fn region_of(&self, id: CoordinatorId) -> Result<Region, Status> {
        let known = self.state.borrow().coordinators().get(&id).map(|known| known.region.clone());
        let text = || format!("{id} is no coordinator of this cluster, as far as this one has heard");
        known.ok_or_else(|| status(Reason::Refused, text()))
    }
}

#[tonic::async_trait]
impl DigestService for Service {
    async fn tell(&self, request: Request<RegionDigest>) -> Result<Response<RegionDigestAck>, Status> {
        let now = Instant::now();
        let RegionDigest { coordinator, region, nodes, way_ms } = request.into_inner();
        let id = CoordinatorId(coordinator);
        let theirs = self.region_of(id)?;
        if theirs.as_str() != region {
            let text =
                format!("{id} stands in {theirs} and speaks for {region}: its own record is not true yet");
            return Err(status(Reason::Refused, text));
        }
        if theirs == self.region {
            self.presence.note(id, now);
            return Ok(Response::new(RegionDigestAck::default()));
        }
        let way = Duration::from_millis(way_ms);
        let readable = nodes.into_iter().filter_map(|wire| {
            let node = wire.node;
            let read = NodeReport::try_from(wire);
            read.inspect_err(|error| tracing::debug!(node, %error, "a node is left out of a digest")).ok()
        });
        let reports = readable.filter(|report| report.region == theirs).collect();
        let nodes = self
            .telemetry
            .hear_of(reports, way, now)
            .map_err(|full| status(Reason::QueueFull, full.to_string()))?;
        Ok(Response::new(RegionDigestAck { nodes: u32::try_from(nodes).unwrap_or(u32::MAX) }))
    }
}
