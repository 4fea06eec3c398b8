//! `helixflow coordinator`: the daemon, and the members of the coordinators' group.

mod add;
mod list;
mod recover;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::ValueHint;
use helixflow_model::Region;

use crate::endpoint::Target;
use crate::run::{self, DaemonArgs};
use crate::terminal;

/// What to do with coordinators.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    /// Run a coordinator until it is told to end
    Run(DaemonArgs),
    /// List the members of the group: who leads, who votes, how far each has the log
    List {
        /// Print JSON, which scripts may rely on
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Make a running coordinator a member: it catches up with the log first, then it votes
    #[command(
        after_help = "Start it before with `helixflow coordinator run`, with an id that no coordinator of the cluster ever had\nand an empty data_dir. The same command again goes on where the last one was interrupted."
    )]
    Add {
        /// The address of its Raft port; it tells its id, region and other address itself
        #[arg(value_name = "HOST:PORT", value_parser = crate::endpoint::host_and_port)]
        raft: String,
        /// It follows the log and never votes: for a far region, whose coordinator must not slow writes down
        #[arg(long)]
        observer: bool,
        #[command(flatten)]
        target: Target,
    },
    /// Take a member out of the group; a leader hands its place over first
    #[command(
        after_help = "The removed coordinator ends by itself. Its id is never given again: to make its machine a member\nonce more, give it a new id and an empty data_dir."
    )]
    Remove {
        /// Its id, as `helixflow coordinator list` shows it
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: u64,
        #[command(flatten)]
        target: Target,
    },
    /// Hand the leader's place to another voter
    TransferLeader {
        /// To whom [default: the voter that has most of the log]
        #[arg(value_parser = clap::value_parser!(u64).range(1..))]
        id: Option<u64>,
        #[command(flatten)]
        target: Target,
    },
    /// Say in which region the leader should stand, the most preferred first
    #[command(
        after_help = "A leader in a less preferred region hands its place to a voter in a more preferred one that has caught\nup, at most twice a minute. Without a region, the elections decide."
    )]
    Prefer {
        /// Regions, the most preferred first
        #[arg(value_name = "REGION")]
        regions: Vec<Region>,
        #[command(flatten)]
        target: Target,
    },
    /// Begin a new life of the cluster from one coordinator, after the majority is lost for good
    #[command(
        after_help = "For when more than half of the voters are gone and no backup is newer than what a survivor holds.\nStop the survivor first. It says what may be lost and asks before it changes anything."
    )]
    Recover {
        /// Says that this coordinator survived, and that the majority did not
        #[arg(long, required = true)]
        from_survivor: bool,
        /// The survivor's configuration, which names its data_dir
        #[arg(long, value_name = "FILE.toml", value_hint = ValueHint::FilePath)]
        config: PathBuf,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

pub(crate) fn run(command: Command, verbose: u8) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => return run::coordinator(&args, verbose),
        Command::List { json, target } => list::run(json, &target)?,
        Command::Add { raft, observer, target } => return add::run(raft, observer, &target),
        Command::Remove { id, target } => remove(id, &target)?,
        Command::TransferLeader { id, target } => {
            let session = target.open()?;
            let leader = session.wait(session.client.transfer_leader(id))?;
            terminal::line(format_args!("coordinator-{leader} leads"))?;
        }
        Command::Prefer { regions, target } => prefer(&regions, &target)?,
        Command::Recover { config, yes, from_survivor: _ } => return recover::run(&config, yes),
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(id: u64, target: &Target) -> anyhow::Result<()> {
    let session = target.open()?;
    let was_member = session.wait(session.client.remove_coordinator(id))?;
    let said = if was_member { "is removed; it ends by itself" } else { "was no member" };
    terminal::line(format_args!("coordinator-{id} {said}"))
}

fn prefer(regions: &[Region], target: &Target) -> anyhow::Result<()> {
    let session = target.open()?;
    let names: Vec<String> = regions.iter().map(ToString::to_string).collect();
    session.wait(session.client.set_leader_regions(names.clone()))?;
    if names.is_empty() {
        return terminal::line("the elections decide who leads");
    }
    terminal::line(format_args!("the leader should stand in {}", names.join(", or else in ")))?;
    let members = session.wait(session.client.coordinators())?.members;
    let known = |region: &str| {
        members.iter().filter_map(|member| member.member.as_ref()).any(|known| known.region == region)
    };
    for unknown in names.iter().filter(|name| !known(name)) {
        eprintln!("warning: no coordinator stands in region {unknown} yet");
    }
    Ok(())
}
