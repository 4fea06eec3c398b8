//! `helixflow up` brings up a cluster that answers with real text, through any coordinator, and tells what it is.

use anyhow::{Context, Result, ensure};
use helixflow_client::{Client, ClientOptions};
use helixflow_env::Env;
use helixflow_proto::v1::generate_request::Prompt;
use helixflow_proto::v1::generate_response::Event;
use helixflow_proto::v1::{GenerateRequest, Sampling};
use helixflow_tests::cluster::{Shared, is_alive};
use helixflow_tests::http;
use helixflow_tests::program::{printed, run};
use serde_json::{Value, json};

const MODEL: &str = "smollm2-135m-instruct";

static CLUSTER: Shared = Shared::new(&[]);

#[test]
fn generate_prints_fluent_text() -> Result<()> {
    let text =
        printed(CLUSTER.get()?.run(&["generate", "The capital of France is", "--max-tokens", "24"])?)?;
    assert!(text.contains("Paris"), "{text}");
    assert!(text.split_whitespace().count() > 8 && text.ends_with('\n'), "{text}");
    Ok(())
}

#[tokio::test]
async fn tokens_come_one_by_one_each_with_its_place() -> Result<()> {
    let client = Client::new(&Env::real(), &CLUSTER.get()?.endpoints()?, ClientOptions::default())?;
    let sampling = Sampling { max_tokens: Some(12), ignore_eos: true, ..Default::default() };
    let request = GenerateRequest {
        model: MODEL.to_owned(),
        prompt: Some(Prompt::Text("Once upon a time".to_owned())),
        sampling: Some(sampling),
        ..Default::default()
    };
    let mut stream = client.generate(request).await?;
    let Some(Event::Start(start)) = stream.next().await? else { panic!("a stream begins with its start") };
    assert_eq!((start.model.as_str(), start.model_version.as_str()), (MODEL, "1"));
    assert!(!start.stream_id.is_empty() && !start.request_id.is_empty() && start.prompt_hash.len() == 32);
    let (mut tokens, mut bytes, mut chunks) = (0, 0, 0);
    while let Some(event) = stream.next().await? {
        let Event::Chunk(chunk) = event else { continue };
        assert_eq!((chunk.index, chunk.text_offset), (tokens, bytes));
        tokens += u32::try_from(chunk.token_ids.len())?;
        bytes += chunk.text.len() as u64;
        chunks += 1;
    }
    assert_eq!(tokens, 12);
    assert!(chunks > 6, "{tokens} tokens came in {chunks} messages");
    Ok(())
}

fn generated(endpoint: &str, seed: &str) -> Result<Value> {
    let arguments =
        ["generate", "My favourite animal is", "--json", "--max-tokens", "16", "--temperature", "0.9"];
    let target = ["--seed", seed, "--endpoint", endpoint, "--model", MODEL];
    Ok(serde_json::from_str(&printed(run(&[&arguments[..], &target].concat())?)?)?)
}

#[test]
fn the_same_seed_gives_the_same_tokens_through_every_coordinator() -> Result<()> {
    let endpoints = CLUSTER.get()?.endpoints()?;
    ensure!(endpoints.len() == 3, "three coordinators answer: {endpoints:?}");
    let answers = endpoints.iter().map(|endpoint| generated(endpoint, "7")).collect::<Result<Vec<_>>>()?;
    let first = &answers[0];
    for answer in &answers {
        assert_eq!(answer["choices"], first["choices"]);
        assert_eq!(
            (&answer["seed"], &answer["model"], &answer["version"]),
            (&json!(7), &json!(MODEL), &json!("1"))
        );
        let tokens = answer["choices"][0]["tokens"].as_array().map_or(0, Vec::len);
        let reason = if tokens == 16 { "length" } else { "end_of_sequence" };
        assert_eq!(answer["choices"][0]["finish_reason"], reason, "after {tokens} tokens");
        assert_eq!(answer["usage"]["generated_tokens"], tokens);
        assert!(answer["usage"]["prompt_tokens"].as_u64() > Some(0) && answer["replica"].as_u64() > Some(0));
    }
    let other = generated(&endpoints[0], "8")?;
    assert_ne!(
        other["choices"][0]["tokens"], first["choices"][0]["tokens"],
        "another seed takes another way"
    );
    Ok(())
}

#[test]
fn chat_answers_each_line_of_a_pipe() -> Result<()> {
    let said = "Why is the sky blue?\n\nWhat did I ask you about?\n";
    let text = printed(CLUSTER.get()?.run_with_input(&["chat", "--max-tokens", "24"], said)?)?;
    let answers: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert!(answers.len() >= 2 && answers[0].contains("scattering"), "{text}");
    Ok(())
}

#[test]
fn a_prompt_may_come_through_a_pipe() -> Result<()> {
    let text = printed(
        CLUSTER.get()?.run_with_input(&["generate", "--max-tokens", "8"], "The capital of France is")?,
    )?;
    assert!(text.contains("Paris"), "{text}");
    Ok(())
}

#[test]
fn status_tells_who_runs_and_that_the_boards_are_simulated() -> Result<()> {
    let status = CLUSTER.get()?.status()?;
    let list = |key: &str| status[key].as_array().cloned().with_context(|| format!("{key}: {status}"));
    let (coordinators, nodes, models) = (list("coordinators")?, list("nodes")?, list("models")?);
    assert_eq!((coordinators.len(), nodes.len(), models.len()), (3, 3, 1));
    assert_eq!(coordinators.iter().filter(|c| c["role"] == "leader").count(), 1);
    assert!(status["leader"].as_u64() > Some(0));
    for node in &nodes {
        assert_eq!(node["health"], "live");
        let board = &node["boards"][0];
        assert_eq!(board["kind"], if has_gpu() { "nvidia" } else { "simulated" }, "{node}");
        let replica = &node["replicas"][0];
        assert_eq!((&replica["model"], &replica["phase"]), (&json!(MODEL), &json!("ready")), "{node}");
    }
    assert_eq!(models[0]["replicas"].as_array().map(Vec::len), Some(3));
    let reasons = models[0]["replicas"].as_array().into_iter().flatten().map(|replica| &replica["reason"]);
    assert!(
        reasons.into_iter().all(|reason| reason.as_str().is_some_and(|text| !text.is_empty())),
        "{models:?}"
    );
    assert_eq!((&status["violations"], &status["shortfalls"]), (&json!([]), &json!([])));
    Ok(())
}

/// Whether NVIDIA's driver runs here: it lists its GPUs in this folder.
fn has_gpu() -> bool {
    std::path::Path::new("/proc/driver/nvidia/gpus").exists()
}

#[test]
fn the_tables_of_status_name_every_process() -> Result<()> {
    let text = printed(CLUSTER.get()?.run(&["status"])?)?;
    for process in CLUSTER.get()?.record()?.processes {
        assert!(text.contains(&process.id), "{} is missing:\n{text}", process.id);
    }
    assert!(text.contains(MODEL) && text.contains("3 of 3"), "{text}");
    Ok(())
}

#[test]
fn the_record_of_the_cluster_names_processes_that_run() -> Result<()> {
    let record = CLUSTER.get()?.record()?;
    let ids: Vec<&str> = record.processes.iter().map(|process| process.id.as_str()).collect();
    assert_eq!(ids, ["coordinator-1", "coordinator-2", "coordinator-3", "node-1", "node-2", "node-3"]);
    for process in &record.processes {
        assert_eq!(process.id.split_once('-').map(|(role, _)| role), Some(process.role.as_str()));
        assert_eq!(process.region, "local");
        assert!(is_alive(process.pid), "{} runs", process.id);
    }
    assert_eq!(CLUSTER.get()?.status()?["cluster"], json!(record.cluster));
    Ok(())
}

#[test]
fn every_actor_of_every_node_is_shown_with_what_it_does() -> Result<()> {
    let cluster = CLUSTER.get()?;
    let shown = cluster.json(&["node", "inspect", "--json"])?;
    let nodes = shown["nodes"].as_array().context("a list of nodes")?;
    assert_eq!(nodes.iter().map(|node| &node["name"]).collect::<Vec<_>>(), ["node-1", "node-2", "node-3"]);
    for node in nodes {
        let children = node["actors"]["children"].as_array().context("a list of actors")?;
        for kind in ["board", "telemetry", "link", "membership", "shard"] {
            let mut actors = children.iter().filter(|actor| actor["kind"] == kind).peekable();
            assert!(actors.peek().is_some(), "no {kind}: {node}");
            assert!(
                actors.all(|actor| actor["state"] == "running" && actor["doing"] != ""),
                "{kind}: {node}"
            );
        }
    }
    let table = printed(cluster.run(&["node", "inspect"])?)?;
    assert!(table.contains("├─ board") && table.contains("└─ shard"), "{table}");
    Ok(())
}

#[test]
fn every_process_answers_probes_and_tells_its_metrics() -> Result<()> {
    for process in CLUSTER.get()?.record()?.processes {
        let address = process.http.with_context(|| format!("{} has an HTTP port", process.id))?;
        assert_eq!(http::get(&address, "/healthz")?, (200, "ok\n".to_owned()), "{}", process.id);
        assert_eq!(http::get(&address, "/readyz")?, (200, "ok\n".to_owned()), "{}", process.id);
        let (code, metrics) = http::get(&address, "/metrics")?;
        assert_eq!(code, 200);
        let prefix = if process.role == "coordinator" { "helixflow_raft_term" } else { "helixflow_" };
        assert!(metrics.lines().any(|line| line.starts_with(prefix)), "{}:\n{metrics}", process.id);
        assert_eq!(http::get(&address, "/nowhere")?.0, 404);
    }
    Ok(())
}
