//! What every benchmark writes: rows of both sides, the machine they were taken on, a table and `target/bench/NAME.json`.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

mod machine;
mod row;

pub use machine::Machine;
pub use row::{Better, Row, median, spread};

/// A whole benchmark, as scripts read it. Fields are added, never renamed.
#[derive(Debug, Serialize)]
pub struct Bench {
    /// Its name, which is that of the file too.
    pub bench: &'static str,
    /// Where it ran.
    pub machine: Machine,
    /// What was measured.
    pub rows: Vec<Row>,
}

impl Bench {
    /// Writes it as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    #[expect(clippy::disallowed_methods, reason = "a benchmark leaves its result on the real disk")]
    pub fn write(&self, to: &Path) -> Result<()> {
        fs::write(to, serde_json::to_string_pretty(self)?)
            .with_context(|| format!("writing {}", to.display()))
    }
}
