//! What the disk alone does: records of a log written and synced one after the other.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

/// A record: about a write of 256 bytes with what a log adds.
const RECORD: [u8; 512] = [0x5a; 512];
/// Records in the prepared file.
const PREPARED: u64 = 8192;
/// How long each kind of file is measured.
const MEASURED: Duration = Duration::from_millis(300);

/// Syncs a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// Into a file that was filled with zeros before.
    pub(crate) zero_filled: f64,
    /// At the end of a file that grows.
    pub(crate) growing: f64,
}

/// Measures a folder's filesystem.
pub(crate) fn rates(folder: &Path) -> Result<Rates> {
    let mut prepared = tempfile::tempfile_in(folder)?;
    prepared.write_all(&vec![0; RECORD.len() * PREPARED as usize])?;
    prepared.sync_all()?;
    prepared.seek(SeekFrom::Start(0))?;
    let zero_filled = rate(&mut prepared, PREPARED)?;
    let growing = rate(&mut tempfile::tempfile_in(folder)?, u64::MAX)?;
    Ok(Rates { zero_filled, growing })
}

/// Writes and syncs record after record, from the start again after so many.
fn rate(file: &mut File, records: u64) -> Result<f64> {
    let began = Instant::now();
    let mut synced = 0;
    while began.elapsed() < MEASURED {
        if synced % records == 0 {
            file.seek(SeekFrom::Start(0))?;
        }
        file.write_all(&RECORD)?;
        file.sync_data()?;
        synced += 1;
    }
    Ok(synced as f64 / began.elapsed().as_secs_f64())
}
