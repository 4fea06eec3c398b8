//! `helixflow coordinator add`: how far the new member has the log, until it is a member in full.

use std::process::ExitCode;

use helixflow_client::Client;
use helixflow_proto::v1::AddCoordinatorProgress;
use indicatif::{ProgressBar, ProgressStyle};

use crate::endpoint::Target;
use crate::interrupt::Interrupt;
use crate::{INTERRUPTED, terminal};

/// Who, what it is by now, and how much of the log it has.
const TEMPLATE: &str = "{prefix} {msg:8} [{bar:30}] {pos}/{len} entries";

pub(crate) fn run(raft: String, observer: bool, target: &Target) -> anyhow::Result<ExitCode> {
    let session = target.open()?;
    session.wait(async {
        let mut interrupt = Interrupt::listen()?;
        tokio::select! {
            done = follow(&session.client, raft, observer) => {
                let AddCoordinatorProgress { member, role, .. } = done?;
                let id = member.map_or(0, |member| member.id);
                terminal::line(format_args!("coordinator-{id} is a member ({role})"))?;
                Ok(ExitCode::SUCCESS)
            }
            () = interrupt.requested() => {
                eprintln!("interrupted; the same command goes on from there");
                Ok(ExitCode::from(INTERRUPTED))
            }
        }
    })
}

async fn follow(client: &Client, raft: String, observer: bool) -> anyhow::Result<AddCoordinatorProgress> {
    let mut addition = client.add_coordinator(raft, observer).await?;
    let bar = ProgressBar::new(0);
    bar.set_style(ProgressStyle::with_template(TEMPLATE).unwrap_or_else(|_| ProgressStyle::default_bar()));
    let mut told = String::new();
    loop {
        let step = addition.next().await?;
        let id = step.member.as_ref().map_or(0, |member| member.id);
        bar.set_prefix(format!("coordinator-{id}"));
        bar.set_message(step.role.clone());
        bar.set_length(step.last_index);
        bar.set_position(step.matched_index.min(step.last_index));
        if bar.is_hidden() && told != step.role && !step.done {
            told.clone_from(&step.role);
            eprintln!(
                "coordinator-{id}: {told}, with {} of {} entries of the log",
                step.matched_index, step.last_index
            );
        }
        if step.done {
            bar.finish_and_clear();
            return Ok(step);
        }
    }
}
