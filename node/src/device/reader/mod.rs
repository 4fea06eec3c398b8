//! The process that reads devices: opens the drivers, then answers requests until nobody sends any.
//!
//! One thread a board, from its first call on, so that a call which blocks holds up no other board. Nobody waits for these
//! threads: when the input ends, the process ends itself, whatever they are doing.
//!
//! There is no runtime here: every call blocks, and that is all there is to do.

mod output;
mod places;
mod seats;

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::sync::Arc;

use rustix::process::{Signal, getpid, kill_process, set_parent_process_death_signal};

use super::driver::Place;
use super::protocol::{Line, MOST_LINE, Request};
use super::{amdgpu, nvml};
use output::Output;
use places::Places;
use seats::Seats;

/// Names another NVML library than the driver's own.
const NVML_LIBRARY: &str = "HELIXFLOW_NVML_LIBRARY";
/// The library's name where only the driver is installed, without files for developers.
const DRIVER_LIBRARY: &str = "libnvidia-ml.so.1";
/// Names another place for the kernel's device files.
const SYSFS: &str = "HELIXFLOW_SYSFS";
/// Where the kernel shows its devices.
const KERNEL_FILES: &str = "/sys";

/// Where devices are looked for.
#[derive(Clone, Debug)]
pub struct Sources {
    /// NVIDIA's library: a path, or a name that the system finds.
    pub nvml: PathBuf,
    /// The root of the kernel's device files.
    pub sysfs: PathBuf,
}

impl Sources {
    /// The driver's library and `/sys`, unless `HELIXFLOW_NVML_LIBRARY` and `HELIXFLOW_SYSFS` say otherwise.
    pub fn from_environment() -> Self {
        let chosen = |set: Option<OsString>, usual: &str| set.map_or_else(|| usual.into(), PathBuf::from);
        Self {
            nvml: chosen(std::env::var_os(NVML_LIBRARY), DRIVER_LIBRARY),
            sysfs: chosen(std::env::var_os(SYSFS), KERNEL_FILES),
        }
    }
}

/// Why the process could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum ReaderError {
    /// Its life cannot be bound to the node's.
    #[error("cannot ask for the parent's death signal; the system is not one that HelixFlow runs on")]
    Bond(#[source] io::Error),
    /// A thread cannot be had.
    #[error("cannot start a thread; the machine has run out of them")]
    Thread(#[source] io::Error),
    /// The requests cannot be read.
    #[error("cannot read requests; this command is for a node to start, not for people")]
    Input(#[source] io::Error),
}

/// Serves requests from standard input on standard output; ends the process when the input ends.
pub fn read_devices(sources: Sources) -> Result<(), ReaderError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| ReaderError::Bond(error.into()))?;
    let (seats, output) = (Arc::new(Seats::default()), Arc::new(Output::default()));
    let Sources { nvml, sysfs } = sources;
    let drivers = vec![
        Place { name: "the NVIDIA driver".to_owned(), open: Box::new(move || nvml::open(&nvml)) },
        Place { name: "the AMD driver".to_owned(), open: Box::new(move || Ok(amdgpu::open(&sysfs))) },
    ];
    Places::look(drivers, Arc::clone(&seats), Arc::clone(&output)).map_err(ReaderError::Thread)?;
    let outcome = serve(io::stdin().lock(), &seats, &output);
    end(outcome)
}

fn serve(input: impl Read, seats: &Seats, output: &Output) -> io::Result<()> {
    let mut input = BufReader::new(input);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = u64::try_from(MOST_LINE).unwrap_or(u64::MAX);
        if input.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let Request { number, board, ask } = serde_json::from_slice(&line).map_err(io::Error::other)?;
        if let Err(why) = seats.ask(&board, number, ask) {
            output.write(&Line::NotAsked(number, why));
        }
    }
}

/// Ends the process without running what the driver's library would run at its end, which could block.
fn end(outcome: io::Result<()>) -> Result<(), ReaderError> {
    outcome.map_err(ReaderError::Input)?;
    kill_process(getpid(), Signal::KILL).map_err(|error| ReaderError::Bond(error.into()))
}
