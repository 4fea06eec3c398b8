//! Files that child processes write their logs to.
#![expect(clippy::disallowed_methods, reason = "a child's log is handed to it as a file")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of a log is read to show its end.
const TAIL_BYTES: u64 = 16 * 1024;

/// Opens a log for a child process to write to, after what is there already.
pub fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The end of a log, at most 16 KiB of it.
pub fn tail(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_log_grows_and_its_end_is_shown() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("log");
        for _ in 0..2 {
            append(&path).and_then(|mut log| log.write_all(&[b'x'; 10_000])).expect("a write");
        }
        append(&path).and_then(|mut log| log.write_all(b"the end")).expect("a write");
        let shown = tail(&path).expect("the end");
        assert_eq!(shown.len() as u64, TAIL_BYTES);
        assert!(shown.ends_with(b"the end"));
    }
}
