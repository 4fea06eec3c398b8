//! HelixFlow's routing as the gateway runs it: nodes report, a table is built from the reports, each request is picked
//! for by the table.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_model::{
    BoardId, BoardInfo, BoardReading, BoardReport, BoardStanding, DeviceKind, Epoch, Fence, Generation,
    LoadReport, ModelId, NodeId, NodeReport, NumericsClass, Region, ReplicaId, ReplicaPhase, ReplicaReport,
};
use helixflow_policy::routing::{Heard, Own, PickContext, RoutingTable, Thermal, pick};
use helixflow_policy::state::ClusterState;

use super::FleetError;
use super::boards::Boards;
use crate::Serving;
use crate::room::BOARDS_A_SERVER;

/// Reports, and the table that is made of them.
pub(super) struct Production {
    state: ClusterState,
    heard: BTreeMap<NodeId, Heard>,
    table: RoutingTable,
    model: ModelId,
    region: Region,
    thermal: Thermal,
}

impl Production {
    pub(super) fn new(boards: &Boards, thermal: Thermal) -> Result<Self, FleetError> {
        let (model, region) = (ModelId::new("simulated")?, Region::new("room")?);
        let mut heard = BTreeMap::new();
        for first in (0..boards.len()).step_by(BOARDS_A_SERVER) {
            let node = NodeId((first / BOARDS_A_SERVER) as u64);
            let places = first..(first + BOARDS_A_SERVER).min(boards.len());
            let report = Arc::new(report(node, places, boards, &model, &region)?);
            heard.insert(node, Heard { report, age: Duration::ZERO });
        }
        let state = ClusterState::default();
        Ok(Self { state, heard, table: RoutingTable::default(), model, region, thermal })
    }

    pub(super) fn hear(&mut self, boards: &mut Boards, serving: &Serving, now: Duration) {
        // The table holds on to the reports: dropped first, they are changed in place.
        self.table = RoutingTable::default();
        for heard in self.heard.values_mut() {
            let report = Arc::make_mut(&mut heard.report);
            report.sequence += 1;
            let first = report.node.0 as usize * BOARDS_A_SERVER;
            for (at, board) in (first..).zip(0..report.boards.len()) {
                let Some((judged, load)) = boards.report(serving, at, now) else { continue };
                if let Some(told) = report.boards.get_mut(board) {
                    told.reading.clone_from(&judged.reading);
                    told.standing = judged.standing;
                }
                if let Some(told) = report.replicas.get_mut(board) {
                    told.load = load;
                }
            }
        }
        self.table = RoutingTable::build(&self.state, &self.heard, self.thermal);
    }

    pub(super) fn pick(&self, own: impl Fn(usize) -> Own, random: u64) -> Option<usize> {
        let context = PickContext { region: &self.region, exclude: &[], numerics: None, random };
        let own = |replica: ReplicaId| own(replica.0 as usize);
        let picked = pick(&self.table, &self.model, None, &context, own).ok()?;
        usize::try_from(picked.candidate.fence.replica.0).ok()
    }
}

/// The first report of a node: a replica of the model on each of its boards.
fn report(
    node: NodeId,
    places: std::ops::Range<usize>,
    boards: &Boards,
    model: &ModelId,
    region: &Region,
) -> Result<NodeReport, FleetError> {
    let mut report = NodeReport {
        node,
        region: region.clone(),
        advertise: format!("node-{}:50051", node.0),
        sequence: 0,
        age: Duration::ZERO,
        boards: Vec::new(),
        replicas: Vec::new(),
    };
    for place in places {
        let board = BoardId::new(format!("simulated-{place}"))?;
        report.replicas.push(ReplicaReport {
            fence: Fence { replica: ReplicaId(place as u64), generation: Generation(1) },
            epoch: Epoch(1),
            model: model.clone(),
            version: "1".to_owned(),
            phase: ReplicaPhase::Ready,
            detail: String::new(),
            numerics: NumericsClass("simulated".to_owned()),
            load: LoadReport::default(),
            boards: vec![board.clone()],
        });
        report.boards.push(BoardReport {
            info: BoardInfo {
                board,
                name: boards.parameters().name.to_owned(),
                kind: DeviceKind::Simulated,
                limits: boards.parameters().limits(),
            },
            reading: BoardReading::default(),
            age: Duration::ZERO,
            standing: BoardStanding {
                band: helixflow_model::Band::Cool,
                duty: helixflow_model::Duty::Full,
                control: helixflow_model::ClockControl::Governed,
                target_clock: None,
                forecast: None,
                headroom: None,
                speed: helixflow_model::Permille(1000),
                weight: helixflow_model::Permille(1000),
            },
        });
    }
    Ok(report)
}
