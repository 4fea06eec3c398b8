//! What llama.cpp predicts, by `scripts/llamacpp_logits.py` and the pinned wheel.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use helixflow_model::TokenId;
use serde::{Deserialize, Serialize};

use crate::{python, workspace_root};

/// A model and sequences to run through it.
#[derive(Serialize)]
pub struct Job<'a> {
    /// The GGUF file.
    pub model: &'a Path,
    /// Each a prompt of its own.
    pub sequences: Vec<&'a [TokenId]>,
    /// Whether all logits are wanted, and not only the likeliest tokens.
    pub logits: bool,
}

/// What comes of a [`Job`].
#[derive(Deserialize)]
pub struct Predictions {
    /// For each sequence and position, the likeliest next token.
    pub top1: Vec<Vec<usize>>,
    /// For each sequence and position, the logits, where they were asked for.
    pub logits: Option<Vec<Vec<Vec<f32>>>>,
}

/// Runs every job, one after the other.
///
/// # Errors
/// When Python is not there, or llama.cpp cannot read or run a model.
pub fn predict(jobs: &[Job<'_>]) -> Result<Vec<Predictions>> {
    let mut file = tempfile::NamedTempFile::new()?;
    file.write_all(&serde_json::to_vec(jobs)?)?;
    let script = workspace_root().join("tests/scripts/llamacpp_logits.py");
    let output = Command::new(python()?).arg(script).arg(file.path()).output()?;
    if !output.status.success() {
        bail!("llamacpp_logits.py failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("the form that llamacpp_logits.py writes")
}
