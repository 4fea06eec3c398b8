//! The study on paper: a page of tables with its plots, the whole of it as JSON, and the rows that other programs read.

mod bench;
mod markdown;
mod plots;

use std::io;
use std::path::{Path, PathBuf};

use helixflow_env::Disk;

use super::Study;
use bench::bench;
use markdown::markdown;

/// A report that could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A file cannot be written.
    #[error("cannot write {path}: choose another folder with --output", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A plot cannot be drawn.
    #[error("the plot {name} cannot be drawn: {what}; report this")]
    Plot {
        /// Its name.
        name: String,
        /// What the library said.
        what: String,
    },
    /// The study cannot be put into JSON.
    #[error("the study cannot be encoded; report this")]
    Encoding(#[from] serde_json::Error),
}

/// Makes the folders that a study is to be written into, before it has run for an hour.
///
/// # Errors
/// When one cannot be made.
pub fn make_folders(disk: &dyn Disk, folder: &Path, rows: &Path) -> Result<(), ReportError> {
    [folder, rows].into_iter().try_for_each(|made| {
        disk.create_dir_all(made).map_err(|source| ReportError::File { path: made.to_owned(), source })
    })
}

/// Writes `report.md`, its plots and `study.json` into a folder that is there, and `heat.json` into another.
///
/// # Errors
/// When a plot cannot be drawn or a file cannot be written.
pub fn write(study: &Study, disk: &dyn Disk, folder: &Path, rows: &Path) -> Result<(), ReportError> {
    let plots = plots::all(study)?;
    let file = |path: PathBuf, text: &str| {
        disk.write_durably(&path, text.as_bytes()).map_err(|source| ReportError::File { path, source })
    };
    for plot in &plots {
        file(folder.join(&plot.file), &plot.svg)?;
    }
    file(folder.join("report.md"), &markdown(study, plots.iter().map(|plot| plot.file.as_str())))?;
    file(folder.join("study.json"), &serde_json::to_string_pretty(study)?)?;
    file(rows.join("heat.json"), &serde_json::to_string_pretty(&bench(study))?)
}
