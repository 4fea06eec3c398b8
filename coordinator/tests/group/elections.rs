//! Elections: a pre-vote comes first, over the wire; a leader whose process is gone is not waited for.

use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::cluster::{Cluster, write};

/// The recorder of this process: tests share it, so counters only tell that something happened at all.
fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| PrometheusBuilder::new().install_recorder().expect("the first recorder"))
}

fn count(name: &str) -> u64 {
    let rendered = recorder().render();
    let value = |line: &str| line.strip_prefix(name)?.trim().parse().ok();
    rendered.lines().find_map(value).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pre_vote_crosses_the_wire_before_a_vote() {
    recorder();
    let mut cluster = Cluster::bootstrapped(3).await;
    let before = count("helixflow_raft_pre_votes_received");
    let old = cluster.leader().await;
    cluster.stop(old).await;
    assert_ne!(cluster.leader().await, old);
    assert!(count("helixflow_raft_pre_votes_received") > before);
    assert!(count("helixflow_raft_votes_received") > 0);
}

/// Ten times longer than any test waits for anything.
const LEASE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_gone_is_replaced_before_its_lease_ends() {
    let mut cluster = Cluster::patient(3, LEASE).await;
    let old = cluster.leader().await;
    write(&cluster, old, "before").await;
    cluster.stop(old).await;
    let new = cluster.leader().await;
    assert_ne!(new, old);
    write(&cluster, new, "after").await;
}
