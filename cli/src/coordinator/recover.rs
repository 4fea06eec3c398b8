//! `helixflow coordinator recover`: the way out of a lost majority, with a plain statement of what may be lost.

use std::io::{self, BufRead, IsTerminal};
use std::path::Path;
use std::process::ExitCode;

use anyhow::bail;
use helixflow_coordinator::raft::Survivor;
use helixflow_coordinator::{CoordinatorConfig, Offline};
use helixflow_env::Env;

use crate::cluster::tell;
use crate::endpoint::runtime;
use crate::terminal;

/// What has to be typed to go on.
const CONSENT: &str = "yes";

pub(crate) fn run(config: &Path, yes: bool) -> anyhow::Result<ExitCode> {
    let env = Env::real();
    let config = CoordinatorConfig::load(env.disk.as_ref(), config)?;
    let offline = Offline::open(&config, &env)?;
    let runtime = runtime()?;
    let survivor = runtime.block_on(offline.survivor())?;
    terminal::line(statement(&config, &survivor))?;
    if !yes && !consents()? {
        eprintln!("nothing was changed");
        return Ok(ExitCode::FAILURE);
    }
    let life = runtime.block_on(offline.recover(survivor))?;
    tell(&config, &life)?;
    Ok(ExitCode::SUCCESS)
}

/// What is at stake.
fn statement(config: &CoordinatorConfig, survivor: &Survivor) -> String {
    let others: Vec<String> =
        survivor.voters.iter().filter(|id| **id != config.id).map(ToString::to_string).collect();
    format!(
        "{us} holds the log up to index {last}. {uncertain} entries at its end were not known to be committed; they are kept.\n\
         \n\
         Lost is what others acknowledged and {us} never got: changes of models, placements, tenants and keys after\n\
         index {last}. If several coordinators survive, recover the one with the highest index.\n\
         \n\
         {us} becomes the only member. The others ({others}) must not come back with their data: start each with a new id\n\
         and an empty data_dir, then add it. Should one come back all the same, it ends by itself once it reaches {us}.\n\
         If a majority of them can still be started, start them instead: nothing is lost then.",
        us = config.id,
        last = survivor.last_index,
        uncertain = survivor.uncertain,
        others = if others.is_empty() { "none known".to_owned() } else { others.join(", ") },
    )
}

fn consents() -> anyhow::Result<bool> {
    if !io::stdin().is_terminal() {
        bail!("nobody can be asked here: give --yes to go on");
    }
    terminal::write(format_args!("\nType {CONSENT} to go on: "))?;
    let mut typed = String::new();
    io::stdin().lock().read_line(&mut typed)?;
    Ok(typed.trim() == CONSENT)
}
