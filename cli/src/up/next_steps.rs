//! What `up` says once all is ready: where the cluster answers, and three commands to try.

use std::fmt::Write;
use std::path::Path;

use helixflow_model::ModelId;

use super::layout::Layout;
use crate::data_dir::{self, DataDir};

/// Endpoints and commands, such that they work from any folder.
pub(crate) fn text(
    layout: &Layout,
    model: &ModelId,
    data_dir: &Path,
    warnings: &[String],
) -> anyhow::Result<String> {
    let (program, place) = (program(), place(data_dir)?);
    let (nodes, coordinators) = (layout.nodes.len(), layout.coordinators.len());
    let mut text = format!(
        "\n{model} is served by {} behind {}:\n",
        count(nodes, "node"),
        count(coordinators, "coordinator")
    );
    for coordinator in &layout.coordinators {
        let (name, grpc, http) = (coordinator.name(), &coordinator.grpc, &coordinator.http);
        writeln!(text, "  {name:16} gRPC {grpc}   metrics http://{http}/metrics")?;
    }
    for warning in warnings {
        writeln!(text, "\nwarning: {warning}")?;
    }
    write!(
        text,
        "\nTry, in another terminal:\n  \
           {program} generate{place} \"The capital of France is\"\n  \
           {program} chat{place}\n  \
           {program} status{place}\n  \
           {program} top{place}\n\n\
         Ctrl-C stops the cluster; the same command brings it back.\n"
    )?;
    Ok(text)
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// This program as the user can type it: by its path, unless the shell finds it by its name.
fn program() -> String {
    let typed =
        std::env::args().next().filter(|typed| !typed.is_empty()).unwrap_or_else(|| "helixflow".to_owned());
    let is_path = typed.contains('/');
    let absolute = is_path.then(|| std::path::absolute(&typed).ok()).flatten();
    word(&absolute.map_or(typed, |path| path.display().to_string()))
}

/// The option that names the data directory, where it is not the usual one.
fn place(data_dir: &Path) -> anyhow::Result<String> {
    if data_dir == data_dir::default_path() {
        return Ok(String::new());
    }
    Ok(format!(" --data-dir {}", word(&DataDir::new(data_dir)?.path().display().to_string())))
}

/// A word of a shell's command, in quotes where it needs them.
fn word(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+=:@%".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_with_spaces_or_quotes_is_one_word_to_the_shell() {
        assert_eq!(word("/opt/helixflow"), "/opt/helixflow");
        assert_eq!(word("/my models/it's"), r"'/my models/it'\''s'");
    }
}
