//! Ctrl-C ends every process of a local cluster, a crash of `up` does too, and the same directory brings it back.

use anyhow::{Context, Result};
use helixflow_tests::cluster::{LocalCluster, all_end, is_alive};
use helixflow_tests::program::{refused, run};
use serde_json::Value;
use tempfile::TempDir;

const SHAPE: [&str; 4] = ["--nodes", "2", "--regions", "east,west"];

/// What must come back: cluster, ids, addresses, placements with their generations.
#[derive(Debug, PartialEq)]
struct Kept {
    cluster: String,
    addresses: Vec<(String, String, String)>,
    nodes: Vec<(Value, Value)>,
    placed: Value,
}

fn kept(cluster: &LocalCluster) -> Result<Kept> {
    let (record, status) = (cluster.record()?, cluster.status()?);
    let nodes = status["nodes"].as_array().context("nodes")?;
    Ok(Kept {
        cluster: record.cluster,
        addresses: record.processes.into_iter().map(|p| (p.id, p.region, p.grpc)).collect(),
        nodes: nodes.iter().map(|node| (node["id"].clone(), node["grpc"].clone())).collect(),
        placed: status["models"].clone(),
    })
}

fn path(dir: &TempDir) -> Result<&str> {
    dir.path().to_str().context("a temporary folder's name is text")
}

#[test]
fn a_cluster_ends_whole_and_comes_back_as_it_was() -> Result<()> {
    let cluster = LocalCluster::start(&SHAPE)?;
    let (first, record) = (kept(&cluster)?, cluster.record()?);
    let regions: Vec<&str> = record.processes.iter().map(|process| process.region.as_str()).collect();
    assert_eq!(regions, ["east", "west", "east", "east", "west"], "regions are dealt in turn");
    a_second_up_is_refused(&cluster)?;

    let (status, dir) = cluster.stop()?;
    assert!(status.success(), "Ctrl-C is the way to end it: {status}");
    let alive: Vec<_> = record.processes.iter().filter(|process| is_alive(process.pid)).collect();
    assert!(alive.is_empty(), "Ctrl-C leaves no process: {alive:?}");
    refused(
        &run(&["generate", "Hello", "--data-dir", path(&dir)?])?,
        1,
        &["no local cluster runs", "helixflow up"],
    )?;
    another_shape_is_refused(&dir)?;

    let cluster = LocalCluster::start_in(dir, &SHAPE, &[])?;
    assert_eq!(kept(&cluster)?, first, "the same directory brings the same cluster back");
    let record = cluster.record()?;
    let (status, dir) = cluster.crash()?;
    assert_eq!(status.code(), None, "killed");
    // The kernel ends them: nobody is left to wait for that.
    all_end(&record)?;

    let cluster = LocalCluster::start_in(dir, &SHAPE, &[])?;
    assert_eq!(kept(&cluster)?, first, "also after a crash");
    Ok(())
}

fn a_second_up_is_refused(cluster: &LocalCluster) -> Result<()> {
    let output = cluster.run(&[&["up", "--no-example"], &SHAPE[..]].concat())?;
    refused(&output, 1, &["another `helixflow up` runs on", "--data-dir"])?;
    assert!(cluster.status().is_ok(), "the first one goes on");
    Ok(())
}

fn another_shape_is_refused(dir: &TempDir) -> Result<()> {
    let output = run(&["up", "--no-example", "--nodes", "1", "--data-dir", path(dir)?])?;
    refused(&output, 1, &["another shape", "--coordinators 3 --nodes 2 --regions east,west"])
}
