//! DigestService: what other coordinators tell.

use std::sync::Arc;
use std::time::Duration;

use helixflow_model::{CoordinatorId, NodeReport, Region};
use helixflow_policy::state::{ClusterState, MAX_NODES};
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::digest_service_server::DigestService;
use helixflow_proto::v1::{RegionDigest, RegionDigestAck};
use tokio::sync::watch;
use tokio::time::Instant;
use tonic::{Request, Response, Status};

use super::Presence;
use crate::telemetry::Telemetry;

/// The largest digest, 64 MiB: four kibibytes for each node of the largest cluster. One with eight boards and four
/// replicas on all of them takes three.
pub(crate) const MAX_DIGEST_BYTES: usize = MAX_NODES << 12;

/// What a connection to this port may have under way, in bytes: HTTP/2 lets no more pass in about one and a half round
/// trips. So the largest digest crosses a round trip of 200 ms in 1.3 s, within what a call may take; with the usual mebibyte
/// it takes 19 s.
pub(crate) const WINDOW: u32 = 16 << 20;

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

#[cfg(test)]
mod tests {
    use helixflow_model::{
        Band, BoardId, BoardInfo, BoardLimits, BoardReading, BoardReport, BoardStanding, ClockControl,
        ClockReasons, DeviceKind, Duty, Epoch, Fence, Generation, LoadReport, MegaHertz, MilliCelsius,
        MilliWatts, ModelId, NodeId, NumericsClass, Permille, ReplicaId, ReplicaPhase, ReplicaReport, Sensed,
    };
    use helixflow_policy::failover::condensed;
    use helixflow_policy::state::MAX_REPLICAS;
    use helixflow_proto::v1;
    use prost::Message;

    use super::*;

    fn id(number: u32) -> BoardId {
        BoardId::new(format!("GPU-5fd4e2b6-3c0a-9d1e-7a55-{number:012x}")).expect("a valid name")
    }

    fn board(number: u32) -> BoardReport {
        let info = BoardInfo {
            board: id(number),
            name: "NVIDIA H100 80GB HBM3".to_owned(),
            kind: DeviceKind::Nvidia,
            limits: BoardLimits::default(),
        };
        let celsius = MilliCelsius(87_000);
        let reading = BoardReading {
            core: Sensed::Live(celsius),
            memory: Sensed::Live(celsius),
            power: Sensed::Live(MilliWatts(700_000)),
            core_clock: Sensed::Live(MegaHertz(1980)),
            reasons: Sensed::Live(ClockReasons(u32::MAX)),
            ..BoardReading::default()
        };
        let standing = BoardStanding {
            band: Band::Critical,
            duty: Duty::Quarantine,
            control: ClockControl::Governed,
            target_clock: Some(MegaHertz(1980)),
            forecast: Some(celsius),
            headroom: Some(MilliCelsius(-1)),
            speed: Permille(1000),
            weight: Permille(1000),
        };
        BoardReport { info, reading, age: Duration::from_secs(60), standing }
    }

    fn replica(number: u64) -> ReplicaReport {
        let load = LoadReport {
            queued: 1000,
            active: 256,
            kv_pages_free: 100_000,
            kv_pages_total: 100_000,
            prefill_backlog: 1_000_000,
            millitokens_per_second: 10_000_000,
            busy_milli: 1_000_000,
            sequences: 256,
        };
        ReplicaReport {
            fence: Fence { replica: ReplicaId(number), generation: Generation(u64::from(u32::MAX)) },
            epoch: Epoch(u64::from(u32::MAX)),
            model: ModelId::new("a-model-with-a-name-of-thirty-2b").expect("a valid name"),
            version: "2026-11-28".to_owned(),
            phase: ReplicaPhase::Ready,
            detail: String::new(),
            numerics: NumericsClass("nvidia-h100-80gb-hbm3-cuda-12.8-bf16".to_owned()),
            load,
            boards: (0..8).map(id).collect(),
        }
    }

    #[test]
    fn a_region_with_every_node_of_the_largest_cluster_fits_a_digest() {
        let each = (MAX_REPLICAS / MAX_NODES) as u64;
        let report = NodeReport {
            node: NodeId(u64::from(u32::MAX)),
            region: Region::new("europe-west-12").expect("a valid name"),
            advertise: "node-16384.europe-west-12.example.org:50051".to_owned(),
            sequence: u64::from(u32::MAX),
            age: Duration::from_secs(60),
            boards: (0..8).map(board).collect(),
            replicas: (MAX_REPLICAS as u64..).take(each as usize).map(replica).collect(),
        };
        let of_one = |nodes| RegionDigest { nodes, ..RegionDigest::default() }.encoded_len();
        let bytes = of_one(vec![v1::NodeReport::from(condensed(&report, Duration::from_secs(30)))]);
        assert!(bytes * MAX_NODES <= MAX_DIGEST_BYTES, "{bytes} bytes a node");
    }
}
