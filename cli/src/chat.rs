//! `helixflow chat`: a conversation, with line editing on a terminal and line by line from a pipe.

use std::io::{BufRead, IsTerminal};
use std::process::ExitCode;

use anyhow::Context;
use helixflow_proto::v1::{ChatMessage, ChatRequest};
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;

use crate::endpoint::{Session, Target};
use crate::generate::{Parameters, Printer, follow};
use crate::{INTERRUPTED, terminal};

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
    let session = args.target.open()?;
    let model = session.wait(args.parameters.model(&session.client))?;
    let system = args.system.map(|content| message("system", content));
    let mut talk =
        Conversation { session, model, parameters: args.parameters, messages: system.into_iter().collect() };
    if std::io::stdin().is_terminal() { talk.on_terminal() } else { talk.line_by_line() }
}

struct Conversation {
    session: Session,
    model: String,
    parameters: Parameters,
    messages: Vec<ChatMessage>,
}

/// How a turn ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Answered,
    Interrupted,
}

impl Conversation {
    fn on_terminal(&mut self) -> anyhow::Result<ExitCode> {
        terminal::line(format_args!(
            "{} answers. Ctrl-C stops an answer, Ctrl-D ends the conversation.",
            self.model
        ))?;
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
                Err(ReadlineError::Eof | ReadlineError::Interrupted) => return Ok(ExitCode::SUCCESS),
                Err(error) => return Err(error).context("reading from the terminal"),
            }
        }
    }

    fn line_by_line(&mut self) -> anyhow::Result<ExitCode> {
        for line in std::io::stdin().lock().lines() {
            let line = line.context("reading from standard input, as UTF-8 text")?;
            if !line.trim().is_empty() && self.turn(line)? == Turn::Interrupted {
                return Ok(ExitCode::from(INTERRUPTED));
            }
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Sends what was said so far; a failed or interrupted turn leaves the conversation as it was.
    fn turn(&mut self, said: String) -> anyhow::Result<Turn> {
        let mut messages = self.messages.clone();
        messages.push(message("user", said));
        let request = ChatRequest {
            model: self.model.clone(),
            messages: messages.clone(),
            sampling: Some(self.parameters.sampling()),
            seed: self.parameters.seed,
            ..Default::default()
        };
        let mut printer = Printer::to_stdout();
        let answer = self.session.wait(async {
            let answer = async { follow(self.session.client.chat(request).await?, &mut printer).await };
            tokio::select! {
                answer = answer => answer.map(Some),
                _ = tokio::signal::ctrl_c() => Ok(None),
            }
        })?;
        let Some(answer) = answer else { return Ok(Turn::Interrupted) };
        messages.push(message("assistant", answer.text().to_owned()));
        self.messages = messages;
        Ok(Turn::Answered)
    }
}

fn message(role: &str, content: String) -> ChatMessage {
    ChatMessage { role: role.to_owned(), content }
}
