//! A coordinator that was removed from its cluster is left alone by `helixflow up`, now and after a restart.

use anyhow::Result;
use helixflow_env::Disk;
use helixflow_env::disk::RealDisk;
use helixflow_tests::cluster::{LocalCluster, is_alive};
use helixflow_tests::program::printed;

const SAID: &str = "coordinator-2 is no member of the cluster any more";

/// The coordinators that `cluster.json` names.
fn coordinators(cluster: &LocalCluster) -> Result<Vec<String>> {
    let processes = cluster.record()?.processes.into_iter();
    Ok(processes.filter(|process| process.role == "coordinator").map(|process| process.id).collect())
}

fn answers(cluster: &LocalCluster) -> Result<()> {
    assert_eq!(coordinators(cluster)?, ["coordinator-1", "coordinator-3"]);
    let text = printed(cluster.run(&["generate", "The capital of France is", "--max-tokens", "8"])?)?;
    assert!(text.contains("Paris"), "{text}");
    Ok(())
}

#[test]
fn up_leaves_a_removed_coordinator_alone_and_comes_back_with_the_rest() -> Result<()> {
    let options = ["--nodes", "1"];
    let cluster = LocalCluster::start(&options)?;
    let removed = cluster.process("coordinator-2")?;
    printed(cluster.run(&["coordinator", "remove", "2"])?)?;
    cluster.wait_for("coordinator-2 to be left alone", |c| {
        coordinators(c).is_ok_and(|left| left.len() == 2) && c.output().contains(SAID)
    })?;
    assert!(!is_alive(removed.pid));
    answers(&cluster)?;

    // The other processes still die and come back.
    cluster.kill("coordinator-3")?;
    cluster.wait_for("coordinator-3 to run again", |c| c.output().contains("coordinator-3 ended with"))?;
    let (_, data_dir) = cluster.stop()?;
    let said = String::from_utf8(RealDisk.read(&data_dir.path().join("up.log"))?)?;
    assert_eq!((said.matches(SAID).count(), said.matches("coordinator-2 ended").count()), (1, 0), "{said}");

    let cluster = LocalCluster::start_in(data_dir, &options, &[])?;
    assert_eq!(cluster.output().matches(SAID).count(), 1, "{}", cluster.output());
    answers(&cluster)
}
