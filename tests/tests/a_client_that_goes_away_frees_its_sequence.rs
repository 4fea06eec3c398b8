//! A client that goes away, politely or not, frees its sequence long before the answer would have been complete.

use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use helixflow_client::{Client, ClientOptions};
use helixflow_env::Env;
use helixflow_proto::v1::generate_request::Prompt;
use helixflow_proto::v1::{GenerateRequest, Sampling};
use helixflow_tests::cluster::LocalCluster;
use helixflow_tests::{binary, http};

/// Far more tokens than a sequence makes between two looks at the cluster.
const ENDLESS: u32 = 8_000;
/// What a client asks for that wants them all.
const PROMPT: &str = "Once upon a time";

fn active(cluster: &LocalCluster) -> Option<u64> {
    cluster.status().ok()?["nodes"][0]["replicas"][0]["active"].as_u64()
}

/// Tokens that the gateway has passed on so far.
fn passed_on(cluster: &LocalCluster) -> Result<f64> {
    let address = cluster.process("coordinator-1")?.http.context("an HTTP port")?;
    let (_, metrics) = http::get(&address, "/metrics")?;
    let lines = metrics.lines().filter(|line| line.starts_with("helixflow_gateway_generated_tokens_total"));
    Ok(lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok()).sum())
}

#[test]
fn a_client_that_goes_away_frees_its_sequence() -> Result<()> {
    let cluster = LocalCluster::start(&["--coordinators", "1", "--nodes", "1"])?;
    a_dropped_stream_is_freed(&cluster)?;
    a_killed_client_is_freed(&cluster)?;
    let tokens = passed_on(&cluster)?;
    assert!(
        tokens > 0.0 && tokens < f64::from(ENDLESS),
        "{tokens} tokens were passed on: one stream ran to its end"
    );
    Ok(())
}

fn a_dropped_stream_is_freed(cluster: &LocalCluster) -> Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let stream = runtime.block_on(async {
        let client = Client::new(&Env::real(), &cluster.endpoints()?, ClientOptions::default())?;
        let request = GenerateRequest {
            model: "smollm2-135m-instruct".to_owned(),
            prompt: Some(Prompt::Text(PROMPT.to_owned())),
            sampling: Some(Sampling { max_tokens: Some(ENDLESS), ignore_eos: true, ..Default::default() }),
            ..Default::default()
        };
        let mut stream = client.generate(request).await?;
        for _ in 0..4 {
            stream.next().await?.context("more to come")?;
        }
        anyhow::Ok(stream)
    })?;
    cluster.wait_for("the sequence to be active", |c| active(c) == Some(1))?;
    drop(stream);
    cluster.wait_for("the sequence to be freed", |c| active(c) == Some(0))
}

fn a_killed_client_is_freed(cluster: &LocalCluster) -> Result<()> {
    let mut client = Command::new(binary()?)
        .args(["generate", PROMPT, "--max-tokens", &ENDLESS.to_string(), "--temperature", "2", "--data-dir"])
        .arg(cluster.data_dir())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()?;
    let started = cluster.wait_for("the sequence to be active", |c| active(c) == Some(1));
    client.kill()?;
    client.wait()?;
    started?;
    cluster.wait_for("the sequence to be freed", |c| active(c) == Some(0))
}
