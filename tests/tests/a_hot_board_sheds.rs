//! A board that becomes critical gets no further request while another can answer, and gets some again once it is cool.
//!
//! `make verify-reaction` heats one board after another of a larger cluster and tells how long requests went on to go
//! there: the step of temperature to the first request that goes elsewhere.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test measures real processes on real time, and tells what it measured"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use helixflow_client::{Client, ClientOptions};
use helixflow_env::Env;
use helixflow_proto::v1::generate_request::Prompt;
use helixflow_proto::v1::generate_response::Event;
use helixflow_proto::v1::{GenerateRequest, Sampling};
use helixflow_tests::cluster::{LocalCluster, PATIENCE};
use helixflow_tests::http::put_json;
use serde_json::Value;

/// Nodes, unless said otherwise: one to heat, and one that answers instead.
const FEWEST: usize = 2;
/// Requests in a row that go elsewhere before a board counts as left, for each node that is not heated yet: by chance that
/// happens once in a million times.
const IN_A_ROW: usize = 20;

/// Requests at a time for each node that is not heated yet: some go to every node, however alike they are.
const CLIENTS_A_NODE: usize = 2;

/// How many nodes the cluster has.
fn nodes() -> usize {
    let told = std::env::var("HELIXFLOW_REACTION_NODES").ok().and_then(|nodes| nodes.parse().ok());
    told.unwrap_or(FEWEST).max(FEWEST)
}

/// The replica that answers a request for one token.
async fn answers(client: &Client) -> Result<u64> {
    let request = GenerateRequest {
        model: "smollm2-135m-instruct".to_owned(),
        prompt: Some(Prompt::Text("Warm".to_owned())),
        sampling: Some(Sampling { max_tokens: Some(1), ..Default::default() }),
        ..Default::default()
    };
    let mut stream = client.generate(request).await?;
    let Some(Event::Start(start)) = stream.next().await? else { bail!("a stream begins with its start") };
    while stream.next().await?.is_some() {}
    Ok(start.replica)
}

/// The replica of a node, by the number in its name.
fn replica_of(status: &Value, node: usize) -> Result<u64> {
    let placed = status["models"][0]["replicas"].as_array().context("replicas")?;
    let there = placed.iter().find(|replica| replica["nodes"][0] == node).context("a replica on the node")?;
    there["id"].as_u64().context("an id")
}

/// The HTTP port of the node that the log gave this number: `up` numbers its processes by itself.
fn http_of(cluster: &LocalCluster, status: &Value, node: usize) -> Result<String> {
    let known = status["nodes"].as_array().context("nodes")?;
    let grpc = known.iter().find(|known| known["id"] == node).context("the node")?["grpc"].clone();
    let process = cluster.record()?.processes.into_iter().find(|process| process.grpc == grpc);
    process.and_then(|process| process.http).context("a node has an HTTP port")
}

/// Gives a node's board these faults.
fn put_on(http: &str, faults: &str) -> Result<()> {
    let (code, body) = put_json(http, "/simulated/simulated-0", &format!("{{\"faults\": [{faults}]}}"))?;
    ensure!(code == 200, "{code}: {body}");
    Ok(())
}

/// Sends requests, so many at a time that every node is asked, and counts their answers until `enough`; when the last one
/// that was not `wanted` began.
async fn ask_until(
    client: &Client,
    at_a_time: usize,
    wanted: impl Fn(u64) -> bool,
    enough: impl Fn(Seen) -> bool,
) -> Result<Option<Instant>> {
    let asking = async {
        let ask = || async { (Instant::now(), answers(client).await) };
        let mut under_way: FuturesUnordered<_> = (0..at_a_time).map(|_| ask()).collect();
        let (mut seen, mut last) = (Seen::default(), None);
        while let Some((began, answer)) = under_way.next().await {
            if wanted(answer?) {
                seen = Seen { in_all: seen.in_all + 1, in_a_row: seen.in_a_row + 1 };
            } else {
                (seen.in_a_row, last) = (0, last.max(Some(began)));
            }
            if enough(seen) {
                break;
            }
            under_way.push(ask());
        }
        Ok(last)
    };
    tokio::time::timeout(PATIENCE, asking).await.context("the requests still go where they went")?
}

/// The answers that were wanted.
#[derive(Clone, Copy, Default)]
struct Seen {
    in_all: usize,
    in_a_row: usize,
}

fn tell(reactions: &[Duration]) {
    let mut sorted = reactions.to_vec();
    sorted.sort_unstable();
    let (median, longest) = (sorted.get(sorted.len() / 2), sorted.last());
    println!("the last request to a heated board began after {median:?} (median), {longest:?} (longest)");
    println!("all {} in their order: {reactions:?}", reactions.len());
}

#[tokio::test]
async fn a_critical_board_gets_no_request_until_it_is_cool_again() -> Result<()> {
    let nodes = nodes();
    let cluster =
        LocalCluster::start(&["--nodes", &nodes.to_string(), "--coordinators", "1", "--threads", "1"])?;
    let client = Client::new(&Env::real(), &cluster.endpoints()?, ClientOptions::default())?;
    let status = cluster.status()?;
    let mut reactions = Vec::new();
    for node in 1..nodes {
        let (heated, left) = (replica_of(&status, node)?, nodes + 1 - node);
        let at_a_time = CLIENTS_A_NODE * left;
        ask_until(&client, at_a_time, |replica| replica == heated, |seen| seen.in_all >= IN_A_ROW).await?;
        let stepped = Instant::now();
        put_on(&http_of(&cluster, &status, node)?, "\"lying:80\"")?;
        let enough = |seen: Seen| seen.in_a_row >= IN_A_ROW * left;
        let last = ask_until(&client, at_a_time, |replica| replica != heated, enough).await?;
        reactions.push(last.map_or(Duration::ZERO, |last| last.saturating_duration_since(stepped)));
        cluster.wait_for("the board to be told as critical", |cluster| {
            cluster.status().is_ok_and(|status| status["nodes"][node - 1]["boards"][0]["band"] == "critical")
        })?;
    }
    tell(&reactions);
    let heated = replica_of(&status, 1)?;
    put_on(&http_of(&cluster, &status, 1)?, "")?;
    ask_until(&client, CLIENTS_A_NODE * 2, |replica| replica == heated, |seen| seen.in_all > 0).await?;
    Ok(())
}
