//! Rebuilds the routing table whenever the state or a report changes, and now and then as reports age.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_model::NodeId;
use helixflow_policy::routing::{Heard, RoutingTable, Thermal};
use helixflow_policy::state::ClusterState;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::telemetry::Reports;

/// Changes within this time make one table: at a thousand nodes, each reporting four times a second, one per report
/// would keep a core busy.
const PAUSE: Duration = Duration::from_millis(20);
/// Reports that do not change still age.
const AGING: Duration = Duration::from_millis(500);

/// Publishes a new table after each change, and whether the state names a cluster, for as long as the process runs.
pub(super) async fn keep_current(
    mut state: watch::Receiver<Arc<ClusterState>>,
    mut reports: watch::Receiver<Arc<Reports>>,
    mut publish: impl FnMut(RoutingTable, bool),
) {
    loop {
        let (now, heard) = (Arc::clone(&state.borrow_and_update()), Arc::clone(&reports.borrow_and_update()));
        publish(build(&now, &heard, Instant::now()), now.identity().is_some());
        sleep(PAUSE).await;
        tokio::select! {
            Ok(()) = state.changed() => {}
            Ok(()) = reports.changed() => {}
            () = sleep(AGING) => {}
        }
    }
}

fn build(state: &ClusterState, reports: &Reports, now: Instant) -> RoutingTable {
    let heard: BTreeMap<NodeId, Heard> = reports
        .iter()
        .map(|(node, heard)| {
            let age = now.saturating_duration_since(heard.at);
            (node, Heard { report: Arc::clone(&heard.report), age })
        })
        .collect();
    RoutingTable::build(state, &heard, Thermal::Counted)
}
