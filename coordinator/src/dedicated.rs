//! A runtime that may be dropped anywhere: tokio's own panics when it is dropped inside another one.

use std::io;

use helixflow_env::runtime::dedicated;
use tokio::runtime::{Handle, Runtime};

/// Threads of their own, which end with it.
#[derive(Debug)]
pub(crate) struct Dedicated {
    handle: Handle,
    runtime: Option<Runtime>,
}

impl Dedicated {
    /// Starts `threads` threads of that name.
    pub(crate) fn start(name: &str, threads: usize) -> io::Result<Self> {
        let runtime = dedicated(name, threads)?;
        Ok(Self { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }

    /// The way to spawn on it.
    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl Drop for Dedicated {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
