//! A process that is killed comes back under its identity and with its data, and the cluster answers all the while.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use helixflow_client::{Client, ClientError, ClientOptions, TokenStream};
use helixflow_env::Env;
use helixflow_proto::error::Reason;
use helixflow_proto::v1::generate_request::Prompt;
use helixflow_proto::v1::generate_response::Event;
use helixflow_proto::v1::{GenerateRequest, Sampling};
use helixflow_tests::cluster::{LocalCluster, Shared, is_alive};
use helixflow_tests::program::{printed, run};
use serde_json::Value;
use tonic::Code;

/// More tokens than any test waits for: a stream that lasts until it is ended.
const ENDLESS: u32 = 8_000;

static CLUSTER: Shared = Shared::new(&[]);
static TURN: Mutex<()> = Mutex::new(());

/// The turn of one test; the others wait.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who is who, as any coordinator tells it: what must survive a crash.
fn identities(status: &Value) -> Vec<(Value, Value)> {
    let members = status["coordinators"].as_array().into_iter().flatten();
    let nodes = status["nodes"].as_array().into_iter().flatten();
    members.chain(nodes).map(|process| (process["id"].clone(), process["grpc"].clone())).collect()
}

/// A leader, three coordinators that answer, three live nodes with a ready replica each.
fn is_whole(cluster: &LocalCluster) -> Result<bool> {
    for endpoint in cluster.endpoints()? {
        let output = run(&["status", "--json", "--timeout", "5", "--endpoint", &endpoint])?;
        if !output.status.success() {
            return Ok(false);
        }
        let status: Value = serde_json::from_slice(&output.stdout)?;
        let nodes = status["nodes"].as_array().context("nodes")?;
        let ready =
            nodes.iter().filter(|n| n["health"] == "live" && n["replicas"][0]["phase"] == "ready").count();
        if ready != 3 || !status["leader"].is_u64() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn comes_back(cluster: &LocalCluster, id: &str) -> Result<()> {
    let (record, status) = (cluster.record()?, cluster.status()?);
    let killed = cluster.kill(id)?;
    cluster.wait_for(&format!("{id} to run again"), |c| {
        c.process(id).is_ok_and(|now| now.pid != killed.pid && is_alive(now.pid))
    })?;
    cluster.wait_for("the cluster to be whole", |c| is_whole(c).unwrap_or(false))?;
    let now = cluster.record()?;
    assert_eq!(now.cluster, record.cluster);
    for (before, after) in record.processes.iter().zip(&now.processes) {
        assert_eq!((&before.id, &before.grpc, &before.http), (&after.id, &after.grpc, &after.http));
        assert_eq!(
            before.pid != after.pid,
            before.id == id,
            "only {id} was started again: {before:?} {after:?}"
        );
    }
    let status_now = cluster.status()?;
    assert_eq!(identities(&status_now), identities(&status));
    assert_eq!(status_now["models"], status["models"], "nothing was placed anew");
    let text = printed(cluster.run(&["generate", "The capital of France is", "--max-tokens", "8"])?)?;
    assert!(text.contains("Paris"), "{text}");
    assert!(cluster.output().contains(&format!("{id} ended with signal: 9")), "{}", cluster.output());
    Ok(())
}

#[test]
fn a_killed_leader_comes_back_as_itself() -> Result<()> {
    let (_turn, cluster) = (turn(), CLUSTER.get()?);
    let leader = cluster.status()?["leader"].as_u64().context("a leader")?;
    comes_back(cluster, &format!("coordinator-{leader}"))
}

#[test]
fn a_killed_node_comes_back_as_itself() -> Result<()> {
    let (_turn, cluster) = (turn(), CLUSTER.get()?);
    comes_back(cluster, "node-2")
}

#[test]
fn a_dead_coordinator_is_passed_over() -> Result<()> {
    let (_turn, cluster) = (turn(), CLUSTER.get()?);
    // Nobody listens on port 1.
    let endpoints = format!("127.0.0.1:1,{}", cluster.endpoints()?[2]);
    let status: Value =
        serde_json::from_str(&printed(run(&["status", "--json", "--endpoint", &endpoints])?)?)?;
    assert_eq!(status["coordinator"], 3);
    let text = printed(run(&["generate", "2 + 2 =", "--max-tokens", "2", "--endpoint", &endpoints])?)?;
    assert!(!text.trim().is_empty());
    Ok(())
}

/// Starts an endless stream; its replica and the events that follow.
async fn endless(client: &Client) -> Result<(u64, TokenStream)> {
    let request = GenerateRequest {
        model: "smollm2-135m-instruct".to_owned(),
        prompt: Some(Prompt::Text("Once upon a time".to_owned())),
        sampling: Some(Sampling { max_tokens: Some(ENDLESS), ignore_eos: true, ..Default::default() }),
        seed: Some(1),
        ..Default::default()
    };
    let mut stream = client.generate(request).await?;
    let Some(Event::Start(start)) = stream.next().await? else {
        anyhow::bail!("a stream begins with its start")
    };
    Ok((start.replica, stream))
}

/// Reads this many events.
async fn read(stream: &mut TokenStream, events: usize) -> Result<(), ClientError> {
    for _ in 0..events {
        stream.next().await?;
    }
    Ok(())
}

/// The name of the node that runs a replica.
fn home_of(replica: u64, status: &Value) -> Result<String> {
    let placed = status["models"][0]["replicas"].as_array().into_iter().flatten();
    let found = placed.into_iter().find(|placed| placed["id"] == replica);
    let node = found.and_then(|placed| placed["nodes"][0].as_u64()).context("a node")?;
    Ok(format!("node-{node}"))
}

#[test]
fn a_node_killed_in_mid_stream_ends_its_streams_and_no_others() -> Result<()> {
    let (_turn, cluster) = (turn(), CLUSTER.get()?);
    let status = cluster.status()?;
    tokio::runtime::Runtime::new()?.block_on(async {
        let client = Client::new(&Env::real(), &cluster.endpoints()?, ClientOptions::default())?;
        let (doomed, mut broken) = endless(&client).await?;
        read(&mut broken, 4).await?;
        // A free replica comes before a busy one, so another stream soon runs elsewhere.
        let (mut home, mut safe) = endless(&client).await?;
        let mut beside = Vec::new();
        while home == doomed {
            beside.push(safe);
            (home, safe) = endless(&client).await?;
        }
        drop(beside);
        cluster.kill(&home_of(doomed, &status)?)?;
        let error = loop {
            if let Err(error) = read(&mut broken, 1).await {
                break error;
            }
        };
        let told = error.status().context("the service says why")?;
        assert_eq!(
            (told.code(), Reason::of(told).as_deref()),
            (Code::Unavailable, Some("NO_REPLICA")),
            "{told:?}"
        );
        read(&mut safe, 8).await?;
        let (_, mut fresh) = endless(&client).await?;
        read(&mut fresh, 4).await?;
        anyhow::Ok(())
    })?;
    cluster.wait_for("the cluster to be whole", |c| is_whole(c).unwrap_or(false))
}
