//! The text files of the checkout as the tidy rules read them: those that git tracks and those just written.
//!
//! Build output, fetched tools and git's own folder are left out, and so are files that are not UTF-8.

use std::path::Path;

use anyhow::{Context, Result};

/// Folders that hold nothing of the project's own writing, wherever they stand.
const FOREIGN_FOLDERS: [&str; 3] = [".git", "target", ".venv"];

/// One text file of the checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// Its path from the workspace root, with `/` between the parts.
    pub path: String,
    /// All of its text.
    pub text: String,
}

impl TextFile {
    /// Whether the file's name ends in `.extension`.
    #[must_use]
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|own| own == extension)
    }
}

/// Every text file under `root`, sorted by path.
///
/// # Errors
/// When a folder or a file cannot be read.
pub fn text_files(root: &Path) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(&folder).with_context(|| format!("listing {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && !FOREIGN_FOLDERS.iter().any(|name| entry.file_name() == *name) {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.extend(text_file(root, &entry.path())?);
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// Reads one file; `None` when its bytes are not UTF-8.
#[expect(clippy::disallowed_methods, reason = "a test of the source tree reads the real disk")]
fn text_file(root: &Path, path: &Path) -> Result<Option<TextFile>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let relative = path.strip_prefix(root).unwrap_or(path);
    let path = relative.to_string_lossy().replace(std::path::MAIN_SEPARATOR, "/");
    Ok(String::from_utf8(bytes).ok().map(|text| TextFile { path, text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test makes a real folder")]
    fn build_output_and_bytes_that_are_not_text_are_left_out() {
        let root = tempfile::tempdir().unwrap();
        for folder in ["target", "src"] {
            std::fs::create_dir_all(root.path().join(folder)).unwrap();
        }
        std::fs::write(root.path().join("target/built.rs"), "built").unwrap();
        std::fs::write(root.path().join("src/lib.rs"), "//! text").unwrap();
        std::fs::write(root.path().join("weights.gguf"), [0xff, 0xfe]).unwrap();

        let files = text_files(root.path()).unwrap();

        assert_eq!(files, [TextFile { path: "src/lib.rs".into(), text: "//! text".into() }]);
    }
}
