//! Frees the clocks that a node which is gone has left set: what the unit runs when the node has stopped.

use std::sync::Arc;

use helixflow_env::Env;

use crate::config::NodeConfig;
use crate::device::{self, Gpus, Patience, Program};
use crate::error::NodeError;
use crate::run;

/// Undoes what the node of this configuration has set; on how many GPUs. `program` reads them.
///
/// Without anything set, no driver is opened. A node that still runs is left alone: it frees its clocks when it ends.
pub async fn release_clocks(config: &NodeConfig, env: &Env, program: Program) -> Result<usize, NodeError> {
    let folder = &config.data_dir;
    if device::boards_set(Arc::clone(&env.disk), folder)? == 0 {
        return Ok(0);
    }
    let _lock = run::lock(config, env)?;
    let set = device::boards_set(Arc::clone(&env.disk), folder)?;
    let gpus = Gpus::find(program, Patience::USUAL, Arc::clone(&env.disk), folder).await?;
    match gpus.release().await.into_iter().next() {
        None => Ok(set),
        Some(still_set) => Err(still_set.into()),
    }
}
