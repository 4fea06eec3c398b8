//! Each process of a local cluster is killed in turn while requests run, and every promise of the experiment holds.
//!
//! `make verify-chaos` does the same for many rounds on a larger cluster.

use anyhow::{Context, Result};
use helixflow_tests::cluster::LocalCluster;
use helixflow_tests::program::{errors, refused, run};
use serde_json::Value;

#[test]
fn every_promise_holds_while_each_process_is_killed_in_turn() -> Result<()> {
    let cluster = LocalCluster::start(&["--nodes", "2"])?;
    let before = cluster.record()?;
    let output = cluster.run(&["chaos", "kill-each", "--clients", "2", "--json"])?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", errors(&output));
    let report: Value = serde_json::from_str(&said).context("the report is JSON")?;
    let steps = report["steps"].as_array().context("the report has a row a fault")?;
    assert_eq!(steps.len(), before.processes.len(), "each process was killed: {report}");
    assert_eq!(report["broken"], Value::Array(Vec::new()));
    for process in before.processes {
        let now = cluster.process(&process.id)?;
        assert_ne!(now.pid, process.pid, "{} was killed and runs again", process.id);
        assert_eq!(now.grpc, process.grpc, "{} kept its address", process.id);
    }
    Ok(())
}

#[test]
fn an_experiment_without_a_cluster_of_its_own_is_refused() -> Result<()> {
    refused(&run(&["chaos", "kill-each"])?, 2, &["--data-dir"])?;
    let empty = tempfile::tempdir()?;
    let folder = empty.path().to_string_lossy().into_owned();
    refused(&run(&["chaos", "kill-each", "--data-dir", &folder])?, 1, &["no local cluster", "helixflow up"])
}
