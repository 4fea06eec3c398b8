//! Rebuilds the routing table whenever the state or a report changes, and now and then as reports age.
//!
//! Reports come at the pace of their publisher, at most ten times a second unless a board's standing changes; changes of
//! the state wait for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use helixflow_model::NodeId;
use helixflow_policy::routing::{Heard, RoutingTable, Thermal};
use helixflow_policy::state::ClusterState;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use crate::telemetry::Reports;

/// Changes of the state within this time make one table: most of what is written concerns no request.
const PAUSE: Duration = Duration::from_millis(100);
/// Reports that do not change still age.
const AGING: Duration = Duration::from_millis(500);
/// After each table this many times what it took to make, whatever the news: tables never take more than a fifth of a
/// core.
const REST: u32 = 4;

/// Publishes a new table after each change, and whether the state names a cluster, for as long as the process runs.
pub(super) async fn keep_current(
    mut state: watch::Receiver<Arc<ClusterState>>,
    mut reports: watch::Receiver<Arc<Reports>>,
    mut publish: impl FnMut(RoutingTable, bool),
) {
    loop {
        let began = Instant::now();
        let (now, heard) = (Arc::clone(&state.borrow_and_update()), Arc::clone(&reports.borrow_and_update()));
        publish(build(&now, &heard, began), now.identity().is_some());
        let took = began.elapsed();
        metrics::histogram!("helixflow_routing_table_seconds").record(took.as_secs_f64());
        sleep(took * REST).await;
        let another_state = async {
            let changed = state.changed().await;
            sleep_until(began + PAUSE).await;
            changed
        };
        tokio::select! {
            Ok(()) = reports.changed() => {}
            Ok(()) = another_state => {}
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
