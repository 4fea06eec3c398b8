//! `helixflow generate`: continues a prompt and prints the text as it comes.

mod output;
mod request;

use std::io::{IsTerminal, Read};
use std::process::ExitCode;

use anyhow::{Context, bail};
use helixflow_client::{Client, TokenStream};
use helixflow_proto::v1::GenerateRequest;
use helixflow_proto::v1::generate_request::Prompt;

use crate::endpoint::Target;
use crate::{INTERRUPTED, terminal};

pub(crate) use output::{Answer, Printer};
pub(crate) use request::Parameters;

/// The longest prompt read from standard input, in bytes; no model's context holds more.
const MAX_STDIN: u64 = 4 * 1024 * 1024;

/// What to generate.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:  helixflow generate \"The capital of France is\" --max-tokens 20")]
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
    let text = prompt(args.prompt)?;
    let session = args.target.open()?;
    let mut printer = if args.json { Printer::silent() } else { Printer::to_stdout() };
    session.wait(async {
        tokio::select! {
            answer = generate(&session.client, text, &args.parameters, &mut printer) => {
                let answer = answer?;
                if args.json {
                    terminal::line(serde_json::to_string_pretty(&answer).context("encoding the answer")?)?;
                }
                Ok(ExitCode::SUCCESS)
            }
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::from(INTERRUPTED)),
        }
    })
}

async fn generate(
    client: &Client,
    text: String,
    parameters: &Parameters,
    printer: &mut Printer,
) -> anyhow::Result<Answer> {
    let request = GenerateRequest {
        model: parameters.model(client).await?,
        prompt: Some(Prompt::Text(text)),
        sampling: Some(parameters.sampling()),
        seed: parameters.seed,
        ..Default::default()
    };
    follow(client.generate(request).await?, printer).await
}

/// Reads a stream to its end, printing what comes.
pub(crate) async fn follow(mut stream: TokenStream, printer: &mut Printer) -> anyhow::Result<Answer> {
    let mut answer = Answer::default();
    while let Some(event) = stream.next().await? {
        printer.print(&event)?;
        answer.take(event);
    }
    Ok(answer)
}

fn prompt(given: Option<String>) -> anyhow::Result<String> {
    let text = match given {
        Some(text) if text != "-" => text,
        _ => from_stdin()?,
    };
    if text.is_empty() {
        bail!("the prompt is empty: give some text to continue");
    }
    Ok(text)
}

fn from_stdin() -> anyhow::Result<String> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        bail!("no prompt: give one in quotes, for instance helixflow generate \"The capital of France is\"");
    }
    let mut text = String::new();
    stdin
        .take(MAX_STDIN + 1)
        .read_to_string(&mut text)
        .context("reading the prompt from standard input, as UTF-8 text")?;
    if text.len() as u64 > MAX_STDIN {
        bail!("the prompt has more than {MAX_STDIN} bytes, which no model's context holds: shorten it");
    }
    Ok(text)
}
