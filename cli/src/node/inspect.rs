//! `helixflow node inspect`: asks nodes for their supervision trees, over their HTTP ports.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::ValueHint;
use helixflow_env::Env;
use helixflow_node::ActorReport;
use serde::Serialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::tree;
use crate::cluster_file::{ClusterFile, Role};
use crate::data_dir::{self, DataDir};
use crate::endpoint::{host_and_port, runtime};
use crate::terminal;

/// A node answers from memory; one that needs longer is overloaded or cut off.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// A tree has some hundred bytes an actor, and a node some dozens of them: whatever is longer is no tree.
const MOST_BYTES: u64 = 4 << 20;

/// Which nodes to look into, and how to show them.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// HTTP ports of nodes, separated by commas [default: those of the local cluster of --data-dir]
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',', value_parser = host_and_port)]
    endpoint: Vec<String>,
    /// Print JSON, which scripts may rely on
    #[arg(long)]
    json: bool,
    /// Where the local cluster keeps its data
    #[arg(long, value_name = "DIR", env = "HELIXFLOW_DATA_DIR", value_hint = ValueHint::DirPath, default_value_os_t = data_dir::default_path())]
    data_dir: PathBuf,
}

/// What scripts read. Fields are added, never renamed.
#[derive(Debug, Serialize)]
struct Inspected {
    nodes: Vec<Node>,
}

/// One node that answered.
#[derive(Debug, Serialize)]
struct Node {
    /// Its name in the local cluster, or else its address.
    name: String,
    http: String,
    actors: ActorReport,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let env = Env::real();
    let asked = asked(args, &env)?;
    let runtime = runtime()?;
    let (mut nodes, mut failure) = (Vec::new(), None);
    for (name, http) in asked {
        match runtime.block_on(ask(&env, &http)) {
            Ok(actors) => nodes.push(Node { name, http, actors }),
            // A node that does not answer must not hide those that do.
            Err(error) => {
                if let Some(earlier) = failure.replace(error) {
                    eprintln!("helixflow: {earlier:#}");
                }
            }
        }
    }
    show(nodes, args.json)?;
    failure.map_or(Ok(ExitCode::SUCCESS), Err)
}

fn show(nodes: Vec<Node>, json: bool) -> anyhow::Result<()> {
    if json {
        let trees = serde_json::to_string_pretty(&Inspected { nodes }).context("encoding the trees")?;
        return terminal::line(trees);
    }
    for Node { name, http, actors } in &nodes {
        let at = if name == http { String::new() } else { format!("   {http}") };
        terminal::write(format_args!("{name}{at}\n\n{}\n\n", tree::render(actors)))?;
    }
    Ok(())
}

/// The nodes to ask: their names and HTTP ports.
fn asked(args: &Args, env: &Env) -> anyhow::Result<Vec<(String, String)>> {
    if !args.endpoint.is_empty() {
        return Ok(args.endpoint.iter().map(|address| (address.clone(), address.clone())).collect());
    }
    let record = ClusterFile::read(env.disk.as_ref(), &DataDir::new(&args.data_dir)?)?;
    let nodes = record.processes.into_iter().filter(|process| process.role == Role::Node);
    let nodes: Vec<_> = nodes.filter_map(|node| Some((node.id, node.http?))).collect();
    if nodes.is_empty() {
        bail!("the local cluster has no node with an HTTP port: name one with --endpoint host:port");
    }
    Ok(nodes)
}

/// A node's tree.
async fn ask(env: &Env, address: &str) -> anyhow::Result<ActorReport> {
    let answer = tokio::time::timeout(ANSWER_LIMIT, get(env, address))
        .await
        .map_err(|_| anyhow!("no answer within {ANSWER_LIMIT:?}"))
        .flatten()
        .with_context(|| {
            format!("nobody answers at {address}: give a node's HTTP port (http.listen of its configuration), and see that it runs")
        })?;
    read(&answer).with_context(|| {
        format!("what answers at {address} shows no actors: give the HTTP port of a node, one of this build")
    })
}

/// The whole answer to one HTTP request.
async fn get(env: &Env, address: &str) -> anyhow::Result<String> {
    let mut connection = env.network.connect(address.to_owned()).await?;
    // HTTP/1.0 asks for a body in one piece, and for the end of the connection after it.
    let request = format!("GET /actors HTTP/1.0\r\nHost: {address}\r\n\r\n");
    connection.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    connection.take(MOST_BYTES).read_to_string(&mut answer).await?;
    Ok(answer)
}

/// The tree in an HTTP answer.
fn read(answer: &str) -> anyhow::Result<ActorReport> {
    let (head, body) = answer.split_once("\r\n\r\n").context("it does not speak HTTP")?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("it answers {status:?}");
    }
    serde_json::from_str(body).context("it answers with something else")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_no_tree_is_refused_with_what_it_says() {
        for (answer, said) in [
            ("", "does not speak HTTP"),
            ("HTTP/1.0 404 Not Found\r\n\r\n", "404 Not Found"),
            ("HTTP/1.0 200 OK\r\n\r\n<html>", "something else"),
        ] {
            let error = read(answer).map_err(|error| error.to_string()).expect_err(answer);
            assert!(error.contains(said), "{error}");
        }
    }
}
