//! `helixflow chat`: a conversation, with line editing on a terminal and line by line from a pipe.

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use anyhow::Context;
use helixflow_client::Client;
use helixflow_env::Env;
use helixflow_proto::v1::{ChatMessage, ChatRequest};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use tokio::runtime::Runtime;

use crate::endpoint::{Target, runtime};
use crate::generate::{Parameters, Printer, follow};

/// Whom to talk with.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Instructions that stand before the conversation
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    #[command(flatten)]
    parameters: Parameters,
    #[command(flatten)]
    target: Target,
}

pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    let client = args.target.client(&Env::real())?;
    let runtime = runtime()?;
    let model = runtime.block_on(args.parameters.model(&client))?;
    let system = args.system.map(|content| message("system", content));
    let mut talk = Conversation { client, runtime, model, parameters: args.parameters, messages: system.into_iter().collect() };
    if std::io::stdin().is_terminal() { talk.on_terminal() } else { talk.from_pipe() }?;
    Ok(ExitCode::SUCCESS)
}

struct Conversation {
    client: Client,
    runtime: Runtime,
    model: String,
    parameters: Parameters,
    messages: Vec<ChatMessage>,
}

impl Conversation {
    fn on_terminal(&mut self) -> anyhow::Result<()> {
        println!("{} answers. Ctrl-C stops an answer, Ctrl-D ends the conversation.", self.model);
        let mut editor = DefaultEditor::new().context("opening the terminal")?;
        loop {
            match editor.readline("> ") {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    // Only a line of another session's history could be refused, and none is kept.
                    let _ = editor.add_history_entry(&line);
                    if let Err(error) = self.turn(line) {
                        eprintln!("helixflow: {error:#}");
                    }
                }
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(()),
                Err(error) => return Err(error).context("reading from the terminal"),
            }
        }
    }

    fn from_pipe(&mut self) -> anyhow::Result<()> {
        for line in std::io::stdin().lock().lines() {
            let line = line.context("reading from standard input")?;
            if !line.trim().is_empty() {
                self.turn(line)?;
            }
        }
        Ok(())
    }

    /// Sends what was said so far; a failed or interrupted turn leaves the conversation as it was.
    fn turn(&mut self, said: String) -> anyhow::Result<()> {
        let mut messages = self.messages.clone();
        messages.push(message("user", said));
        let request = ChatRequest {
            model: self.model.clone(),
            messages: messages.clone(),
            sampling: Some(self.parameters.sampling()),
            seed: self.parameters.seed,
            ..Default::default()
        };
        let answer = self.runtime.block_on(async {
            let answer = async { follow(self.client.chat(request).await?, &mut Printer::to_stdout()).await };
            tokio::select! {
                answer = answer => answer.map(Some),
                _ = tokio::signal::ctrl_c() => Ok(None),
            }
        })?;
        match answer {
            Some(answer) => {
                messages.push(message("assistant", answer.text().to_owned()));
                self.messages = messages;
            }
            None => println!(),
        }
        Ok(())
    }
}

fn message(role: &str, content: String) -> ChatMessage {
    ChatMessage { role: role.to_owned(), content }
}
