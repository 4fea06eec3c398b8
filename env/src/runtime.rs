//! Threads of their own for work that must not wait behind other work.

use std::io;
use std::thread;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

/// A runtime with its own threads: what runs elsewhere cannot delay what runs here. They end with it, wherever it is
/// dropped (tokio's own runtime panics when it is dropped inside another).
#[derive(Debug)]
pub struct Dedicated {
    handle: Handle,
    /// Dropped, it ends the thread that holds the runtime.
    _held: oneshot::Sender<()>,
}

impl Dedicated {
    /// One thread, which wakes only for its own work.
    pub fn single(name: &str) -> io::Result<Self> {
        Self::hold(name, Builder::new_current_thread().enable_all().build()?)
    }

    /// Several threads, which may block.
    pub fn several(name: &str, threads: usize) -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        Self::hold(name, builder.worker_threads(threads.max(1)).thread_name(name).enable_all().build()?)
    }

    /// The way to spawn on it.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    fn hold(name: &str, runtime: Runtime) -> io::Result<Self> {
        let handle = runtime.handle().clone();
        let (held, dropped) = oneshot::channel::<()>();
        thread::Builder::new().name(name.to_owned()).spawn(move || {
            // The sender never sends: this waits until it is dropped.
            let _ = runtime.block_on(dropped);
            runtime.shutdown_background();
        })?;
        Ok(Self { handle, _held: held })
    }
}
