//! Telemetry reports.

use std::time::Duration;

use helixflow_model::{
    BoardReport, Epoch, LoadReport, ModelId, NodeId, NodeReport, NumericsClass, Region, ReplicaPhase,
    ReplicaReport,
};

use super::BadMessage;
use super::board::{board_id, millis};
use crate::v1;

impl From<NodeReport> for v1::NodeReport {
    fn from(report: NodeReport) -> Self {
        Self {
            node: report.node.0,
            region: report.region.to_string(),
            advertise: report.advertise,
            sequence: report.sequence,
            age_ms: millis(report.age),
            boards: report.boards.into_iter().map(Into::into).collect(),
            replicas: report.replicas.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::NodeReport> for NodeReport {
    type Error = BadMessage;

    fn try_from(wire: v1::NodeReport) -> Result<Self, BadMessage> {
        Ok(Self {
            node: NodeId(wire.node),
            region: Region::new(wire.region).map_err(|e| BadMessage::new("region", e))?,
            advertise: wire.advertise,
            sequence: wire.sequence,
            age: Duration::from_millis(wire.age_ms),
            boards: wire.boards.into_iter().map(BoardReport::try_from).collect::<Result<_, _>>()?,
            replicas: wire.replicas.into_iter().map(ReplicaReport::try_from).collect::<Result<_, _>>()?,
        })
    }
}

impl From<ReplicaReport> for v1::ReplicaReport {
    fn from(report: ReplicaReport) -> Self {
        Self {
            fence: Some(report.fence.into()),
            epoch: report.epoch.0,
            model: report.model.to_string(),
            version: report.version,
            phase: v1::ReplicaPhase::from(report.phase).into(),
            detail: report.detail,
            numerics_class: report.numerics.0,
            load: Some(report.load.into()),
            boards: report.boards.into_iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<v1::ReplicaReport> for ReplicaReport {
    type Error = BadMessage;

    fn try_from(wire: v1::ReplicaReport) -> Result<Self, BadMessage> {
        let phase = wire.phase();
        Ok(Self {
            fence: wire.fence.ok_or_else(|| BadMessage::missing("fence"))?.into(),
            epoch: Epoch(wire.epoch),
            model: ModelId::new(wire.model).map_err(|e| BadMessage::new("model", e))?,
            version: wire.version,
            phase: ReplicaPhase::try_from(phase)?,
            detail: wire.detail,
            numerics: NumericsClass(wire.numerics_class),
            load: wire.load.unwrap_or_default().into(),
            boards: wire.boards.into_iter().map(board_id).collect::<Result<_, _>>()?,
        })
    }
}

impl From<ReplicaPhase> for v1::ReplicaPhase {
    fn from(phase: ReplicaPhase) -> Self {
        match phase {
            ReplicaPhase::Fetching => Self::Fetching,
            ReplicaPhase::Loading => Self::Loading,
            ReplicaPhase::Ready => Self::Ready,
            ReplicaPhase::Draining => Self::Draining,
            ReplicaPhase::Failed => Self::Failed,
        }
    }
}

impl TryFrom<v1::ReplicaPhase> for ReplicaPhase {
    type Error = BadMessage;

    fn try_from(wire: v1::ReplicaPhase) -> Result<Self, BadMessage> {
        Ok(match wire {
            v1::ReplicaPhase::Fetching => Self::Fetching,
            v1::ReplicaPhase::Loading => Self::Loading,
            v1::ReplicaPhase::Ready => Self::Ready,
            v1::ReplicaPhase::Draining => Self::Draining,
            v1::ReplicaPhase::Failed => Self::Failed,
            v1::ReplicaPhase::Unspecified => return Err(BadMessage::missing("phase")),
        })
    }
}

impl From<LoadReport> for v1::LoadReport {
    fn from(load: LoadReport) -> Self {
        let LoadReport {
            queued,
            active,
            kv_pages_free,
            kv_pages_total,
            prefill_backlog,
            millitokens_per_second,
            busy_milli,
            sequences,
        } = load;
        Self {
            queued,
            active,
            kv_pages_free,
            kv_pages_total,
            prefill_backlog,
            millitokens_per_second,
            busy_milli,
            sequences,
        }
    }
}

impl From<v1::LoadReport> for LoadReport {
    fn from(wire: v1::LoadReport) -> Self {
        let v1::LoadReport {
            queued,
            active,
            kv_pages_free,
            kv_pages_total,
            prefill_backlog,
            millitokens_per_second,
            busy_milli,
            sequences,
        } = wire;
        Self {
            queued,
            active,
            kv_pages_free,
            kv_pages_total,
            prefill_backlog,
            millitokens_per_second,
            busy_milli,
            sequences,
        }
    }
}

#[cfg(test)]
mod tests {
    use helixflow_model::{BoardId, BoardReading, Fence, Generation, Permille, ReplicaId, Sensed};

    use super::*;

    fn report() -> NodeReport {
        NodeReport {
            node: NodeId(2),
            region: Region::new("eu-1").expect("a valid name"),
            advertise: "127.0.0.1:7001".to_owned(),
            sequence: 9,
            age: Duration::from_millis(40),
            boards: Vec::new(),
            replicas: vec![ReplicaReport {
                fence: Fence { replica: ReplicaId(1), generation: Generation(1) },
                epoch: Epoch(7),
                model: ModelId::new("m").expect("a valid name"),
                version: "1".to_owned(),
                phase: ReplicaPhase::Ready,
                detail: String::new(),
                numerics: NumericsClass("cpu-1".to_owned()),
                load: LoadReport { queued: 1, active: 2, busy_milli: 2500, ..Default::default() },
                boards: vec![BoardId::new("simulated-0").expect("a valid name")],
            }],
        }
    }

    #[test]
    fn a_report_survives_the_wire() {
        assert_eq!(NodeReport::try_from(v1::NodeReport::from(report())), Ok(report()));
    }

    #[test]
    fn a_fan_that_turns_faster_than_its_full_speed_costs_no_report() {
        let sensed = v1::BoardReading { fan_permille: Some(1040), ..v1::BoardReading::default() };
        let reading = BoardReading::try_from(sensed).expect("a reading");
        assert_eq!(reading.fan, Sensed::Live(Permille(1000)));
    }

    #[test]
    fn a_replica_without_a_fence_is_refused() {
        let mut wire = v1::NodeReport::from(report());
        wire.replicas[0].fence = None;
        assert_eq!(NodeReport::try_from(wire).map_err(|e| e.field), Err("fence"));
    }
}
