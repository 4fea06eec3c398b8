//! Runtimes of their own for work that must not wait behind other work.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// A runtime with its own threads: what runs elsewhere cannot delay what runs here.
pub fn dedicated(name: &str, threads: usize) -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(threads.max(1)).thread_name(name).enable_all().build()
}
