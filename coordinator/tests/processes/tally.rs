//! The count of a long run, kept on disk after each part, so that an interrupted run goes on where it was.

use std::path::PathBuf;
use std::time::Duration;

use helixflow_env::Env;
use serde::{Deserialize, Serialize};

/// How many kills are wanted; without it the tests do one part.
const WANTED: &str = "HELIXFLOW_KILLS";
/// Where the count of a long run is kept.
const RECORD: &str = "HELIXFLOW_KILLS_RECORD";

/// What all parts together gave.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Tally {
    pub(crate) parts: u64,
    /// From each kill to the first acknowledged write that was sent after it.
    pub(crate) failovers_ms: Vec<u64>,
    pub(crate) operations: u64,
    pub(crate) unknown_writes: u64,
    /// Writes of sessions that were sent more than once, and answered.
    pub(crate) repeated_writes: u64,
}

/// A long run: how many kills, and where they are counted.
pub(crate) struct LongRun {
    pub(crate) wanted: usize,
    record: PathBuf,
}

impl LongRun {
    /// The one that the environment asks for, if it does.
    pub(crate) fn asked() -> Option<Self> {
        let wanted = std::env::var(WANTED).ok()?.parse().expect("HELIXFLOW_KILLS is a number");
        let record = std::env::var_os(RECORD).expect("HELIXFLOW_KILLS_RECORD names the file of the count");
        Some(Self { wanted, record: record.into() })
    }

    /// What earlier runs counted.
    pub(crate) fn resume(&self, env: &Env) -> Tally {
        match env.disk.read(&self.record) {
            Ok(text) => serde_json::from_slice(&text).expect("a count that a run has kept"),
            Err(_) => Tally::default(),
        }
    }

    /// Keeps the count.
    pub(crate) fn keep(&self, env: &Env, tally: &Tally) {
        let text = serde_json::to_vec_pretty(tally).expect("a count");
        env.disk.write_durably(&self.record, &text).expect("a place for the count");
    }
}

impl Tally {
    pub(crate) fn add(&mut self, part: Self) {
        self.parts += part.parts;
        self.failovers_ms.extend(part.failovers_ms);
        self.operations += part.operations;
        self.unknown_writes += part.unknown_writes;
        self.repeated_writes += part.repeated_writes;
    }

    pub(crate) fn kills(&self) -> usize {
        self.failovers_ms.len()
    }

    /// The time that so many of a hundred kills do not exceed.
    pub(crate) fn failover(&self, percent: usize) -> Duration {
        let mut sorted = self.failovers_ms.clone();
        sorted.sort_unstable();
        let last = sorted.len().saturating_sub(1);
        Duration::from_millis(sorted.get((last * percent).div_ceil(100)).copied().unwrap_or_default())
    }

    pub(crate) fn print(&self) {
        println!(
            "{} kills, {} operations, {} writes of unknown outcome, {} of sessions sent again; from the kill to an \
             acknowledged write sent after it: p50 {:?}, p99 {:?}, worst {:?}",
            self.kills(),
            self.operations,
            self.unknown_writes,
            self.repeated_writes,
            self.failover(50),
            self.failover(99),
            self.failover(100),
        );
    }
}

#[test]
fn shares_of_a_hundred_are_counted_from_the_shortest() {
    let tally = Tally { failovers_ms: (1..=1000).rev().collect(), ..Tally::default() };
    assert_eq!(tally.failover(50), Duration::from_millis(501));
    assert_eq!(tally.failover(99), Duration::from_millis(991));
    assert_eq!(tally.failover(100), Duration::from_millis(1000));
}
