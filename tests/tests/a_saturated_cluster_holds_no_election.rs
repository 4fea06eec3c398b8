//! A busy machine holds no election and judges nobody dead.
//!
//! Closed-loop clients keep every engine at work and the gateways too, with more engine threads than there are cores.
//! Raft has a runtime and a port of its own, and engine threads a lower priority, so heartbeats and leases go on.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use helixflow_chaos::history::Outcome;
use helixflow_chaos::load::{Load, LoadSpec, prompts};
use helixflow_chaos::target::{LocalCluster as Target, Snapshot};
use helixflow_env::Env;
use helixflow_tests::cluster::LocalCluster;
use helixflow_tests::scrape::{metrics, total};
use helixflow_tests::usage::{Usage, window};
use tokio::time::{Instant, sleep};

/// Clients that ask for long answers: a full batch for each engine.
const LONG: u16 = 24;
/// Clients that ask for one token: for these the gateway works as much as the engine.
const SHORT: u16 = 16;
/// No request takes longer on a machine where forty run at once.
const DEADLINE: Duration = Duration::from_secs(120);
/// How often every coordinator is asked for its view.
const LOOK: Duration = Duration::from_millis(250);
/// Cores that may be idle on average for the machine to count as saturated.
const IDLE_CORES: f64 = 0.25;

/// What is counted on every coordinator: votes, asked for in an election, and the rounds before one.
const COUNTED: [&str; 2] = ["helixflow_raft_votes_received", "helixflow_raft_pre_votes_received"];
/// The longest time without a word of the leader, in seconds.
const SILENCE: &str = "helixflow_raft_longest_leader_silence_seconds";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_saturated_cluster_holds_no_election_and_loses_no_node() -> Result<()> {
    let threads = std::thread::available_parallelism()?.to_string();
    let cluster = LocalCluster::start(&["--threads", &threads])?;
    let target = Target::open(&Env::real(), cluster.data_dir())?;
    let before = look(&target).await?;
    let counts_before = counts(&cluster)?;
    let (term, model) = known(&before)?;

    let usage = Usage::begin(&cluster.record()?)?;
    let origin = Instant::now();
    let loads = [(LONG, 64), (SHORT, 1)].map(|(clients, tokens)| {
        let prompts = prompts(u64::from(tokens), 16, tokens);
        let spec = LoadSpec { clients, model: model.clone(), prompts, deadline: DEADLINE };
        Load::start(target.env(), &target.endpoints()?, &spec, origin).context("starting the clients")
    });
    let mut oldest_quorum = Duration::ZERO;
    while origin.elapsed() < window() {
        for (endpoint, view) in look(&target).await? {
            ensure!(view.term == term, "{endpoint} is in term {}, was in {term}", view.term);
            let lost: Vec<u64> = view.nodes.values().filter(|node| node.lost).map(|node| node.id).collect();
            ensure!(lost.is_empty(), "{endpoint} says that nodes {lost:?} are lost");
            oldest_quorum = oldest_quorum.max(view.quorum_age.unwrap_or_default());
        }
        sleep(LOOK).await;
    }
    let idle = usage.idle_cores()?;
    let mut answered = 0;
    for load in loads {
        let requests = load?.stop().await;
        let failed = requests.iter().find(|request| !matches!(request.outcome, Outcome::Answered(_)));
        ensure!(failed.is_none(), "a request failed: {failed:?}");
        answered += requests.len();
    }
    let (counts_after, silence) = (counts(&cluster)?, longest_silence(&cluster)?);
    println!("{answered} requests in {:?}, {idle:.2} cores idle, term {term} throughout", window());
    println!("longest silence of the leader {silence:.3} s; oldest view of a quorum {oldest_quorum:?}");
    println!("votes and pre-votes {counts_before:?} before, {counts_after:?} after");
    assert!(idle < IDLE_CORES, "{idle:.2} cores were idle: the machine was not saturated");
    assert_eq!(counts_after, counts_before, "a coordinator asked for votes");
    Ok(())
}

/// What every coordinator says, by its address.
async fn look(target: &Target) -> Result<BTreeMap<String, Snapshot>> {
    let mut views = BTreeMap::new();
    for endpoint in target.endpoints()? {
        let view = target.ask(&endpoint).await.with_context(|| format!("asking {endpoint} for its view"))?;
        views.insert(endpoint, view);
    }
    Ok(views)
}

/// The term and the model, of a cluster that agrees on them.
fn known(views: &BTreeMap<String, Snapshot>) -> Result<(u64, String)> {
    let first = views.values().next().context("a cluster has a coordinator")?;
    ensure!(views.values().all(|view| view.term == first.term), "the coordinators are in different terms");
    let (model, _) = first.models.keys().next().context("a cluster serves a model")?;
    Ok((first.term, model.clone()))
}

/// Votes and pre-votes that each coordinator has been asked for.
fn counts(cluster: &LocalCluster) -> Result<Vec<[f64; 2]>> {
    each_coordinator(cluster, |metrics| COUNTED.map(|name| total(metrics, name)))
}

fn longest_silence(cluster: &LocalCluster) -> Result<f64> {
    let silences = each_coordinator(cluster, |metrics| total(metrics, SILENCE))?;
    Ok(silences.into_iter().fold(0.0, f64::max))
}

fn each_coordinator<T>(cluster: &LocalCluster, read: impl Fn(&str) -> T) -> Result<Vec<T>> {
    let processes = cluster.record()?.processes.into_iter();
    let ports = processes.filter(|process| process.role == "coordinator").filter_map(|process| process.http);
    ports.map(|port| Ok(read(&metrics(&port)?))).collect()
}
