//! `helixflow generate`: continues a prompt and prints the text as it comes.

mod output;
mod request;

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, bail};
use helixflow_client::{Client, TokenStream};
use helixflow_env::Env;
use helixflow_proto::v1::GenerateRequest;
use helixflow_proto::v1::generate_request::Prompt;

use crate::endpoint::{Target, runtime};

pub(crate) use output::{Answer, Printer};
pub(crate) use request::Parameters;

/// The longest prompt read from standard input; no model's context holds more.
const MAX_STDIN: u64 = 4 * 1024 * 1024;
/// The exit code of a command that the user interrupted.
const INTERRUPTED: u8 = 130;

/// What to generate.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The text to continue; `-`, or nothing, reads it from standard input
    prompt: Option<String>,
    #[command(flatten)]
    parameters: Parameters,
    /// Print one JSON object with text, tokens and usage instead
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let env = Env::real();
    let client = args.target.client(&env)?;
    let text = prompt(args.prompt)?;
    runtime()?.block_on(async {
        let model = args.parameters.model(&client).await?;
        let request = GenerateRequest {
            model,
            prompt: Some(Prompt::Text(text)),
            sampling: Some(args.parameters.sampling()),
            seed: args.parameters.seed,
            ..Default::default()
        };
        tokio::select! {
            answer = generate(&client, request, args.json) => answer.map(|()| ExitCode::SUCCESS),
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(INTERRUPTED)),
        }
    })
}

async fn generate(client: &Client, request: GenerateRequest, json: bool) -> anyhow::Result<()> {
    let stream = client.generate(request).await?;
    let answer = follow(stream, &mut if json { Printer::silent() } else { Printer::to_stdout() }).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer).context("encoding the answer")?);
    }
    Ok(())
}

/// Reads a stream to its end, printing what comes.
pub(crate) async fn follow(mut stream: TokenStream, printer: &mut Printer) -> anyhow::Result<Answer> {
    let mut answer = Answer::default();
    while let Some(event) = stream.next().await? {
        printer.print(&event)?;
        answer.take(event);
    }
    printer.finish()?;
    Ok(answer)
}

fn prompt(given: Option<String>) -> anyhow::Result<String> {
    let text = match given {
        Some(text) if text != "-" => text,
        _ => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                bail!("no prompt: give one in quotes, for instance helixflow generate \"The capital of France is\"");
            }
            let mut text = String::new();
            stdin.take(MAX_STDIN).read_to_string(&mut text).context("reading the prompt from standard input")?;
            text
        }
    };
    if text.is_empty() {
        bail!("the prompt is empty: give some text to continue");
    }
    Ok(text)
}
