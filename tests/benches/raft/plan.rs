//! Which rows are measured, in which order, and how the figures of all rounds become rows.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use helixflow_tests::bench::{Better, Row, median};

use crate::cluster::Cluster;
use crate::disk::{self, Rates};
use crate::load::{Measured, Target, load};
use crate::syncs;

/// How much is measured.
pub(crate) struct Plan {
    pub(crate) rounds: usize,
    /// Of each side of a row, in each round.
    pub(crate) measured: Duration,
    pub(crate) writers: Vec<usize>,
}

/// Both sides, and where their data lies.
pub(crate) struct Pair {
    pub(crate) ours: Cluster,
    pub(crate) theirs: Option<Cluster>,
    /// Who they are.
    pub(crate) peer: Option<String>,
    pub(crate) disk: PathBuf,
}

/// One kind of work.
#[derive(Clone, Copy)]
struct Work {
    writers: usize,
    to: Target,
}

/// What all rounds gave of one kind of work.
#[derive(Default)]
struct Figures {
    ours: Vec<Measured>,
    theirs: Vec<Measured>,
    disk: Vec<Rates>,
    syncs_ours: Vec<f64>,
    syncs_theirs: Vec<f64>,
}

impl Plan {
    /// Measures everything: a round to warm up, the rounds that count, and one for the syncs.
    pub(crate) async fn run(&self, pair: &Pair) -> Result<Vec<Row>> {
        let works = self.works();
        let mut figures: Vec<Figures> = works.iter().map(|_| Figures::default()).collect();
        for round in 0..=self.rounds {
            eprintln!("round {round} of {}{}", self.rounds, if round == 0 { ", to warm up" } else { "" });
            for (work, figures) in works.iter().zip(&mut figures) {
                let mut warm_up = Figures::default();
                let into = if round == 0 { &mut warm_up } else { figures };
                into.disk.push(disk::rates(&pair.disk)?);
                self.measure(pair, *work, round % 2 == 0, into).await?;
            }
        }
        eprintln!("counting syncs");
        for (work, figures) in works.iter().zip(&mut figures).filter(|(work, _)| work.to == Target::Leader) {
            figures.syncs_ours.push(syncs::per_write(&pair.ours, work.writers, &pair.disk).await?);
            if let Some(theirs) = &pair.theirs {
                figures.syncs_theirs.push(syncs::per_write(theirs, work.writers, &pair.disk).await?);
            }
        }
        let mut all = Vec::new();
        for (work, figures) in works.iter().zip(figures) {
            all.extend(rows(*work, figures)?.into_iter().map(|row| Row { peer: pair.peer.clone(), ..row }));
        }
        Ok(all)
    }

    /// First all to the leader, then spread; one writer has nothing to spread.
    fn works(&self) -> Vec<Work> {
        let leader = self.writers.iter().map(|writers| Work { writers: *writers, to: Target::Leader });
        let spread = self.writers.iter().filter(|writers| **writers > 1);
        leader.chain(spread.map(|writers| Work { writers: *writers, to: Target::All })).collect()
    }

    /// Both sides one after the other, each while the other is idle.
    async fn measure(&self, pair: &Pair, work: Work, ours_first: bool, into: &mut Figures) -> Result<()> {
        for ours in [ours_first, !ours_first] {
            let Some(cluster) = (if ours { Some(&pair.ours) } else { pair.theirs.as_ref() }) else {
                continue;
            };
            pair.ours.idle().await?;
            if let Some(theirs) = &pair.theirs {
                theirs.idle().await?;
            }
            let measured = load(cluster, work.to, work.writers, self.measured).await?;
            if ours { into.ours.push(measured) } else { into.theirs.push(measured) }
        }
        Ok(())
    }
}

fn rows(work: Work, figures: Figures) -> Result<Vec<Row>> {
    let Figures { ours, theirs, disk, syncs_ours, syncs_theirs } = figures;
    let suffix = if work.to == Target::All { "-spread" } else { "" };
    let named = |what: &str, end: &str| format!("{what}-{}{suffix}{end}", work.writers);
    let writes = |side: &[Measured]| side.iter().map(|measured| measured.writes_per_second).collect();
    let mut first = Row::new(named("writes", ""), "writes/s", Better::Higher, writes(&ours), writes(&theirs));
    let zero_filled: Vec<f64> = disk.iter().map(|rates| rates.zero_filled).collect();
    // One writer waits for a sync with each write; more of them share syncs, so the disk bounds them no more.
    if work.writers == 1 {
        first.limit = median(&zero_filled);
        first.share = median(&first.ours).zip(first.limit).map(|(ours, limit)| ours / limit);
    }
    first.beside.insert("fdatasync_zero_filled", zero_filled);
    first.beside.insert("fdatasync_growing", disk.iter().map(|rates| rates.growing).collect());
    if work.to == Target::Leader {
        first.beside.insert("syncs_per_write_ours", syncs_ours);
        first.beside.insert("syncs_per_write_theirs", syncs_theirs);
    }
    let mut rows = vec![first];
    for (permille, end) in [(500, "-p50"), (990, "-p99")] {
        let latency =
            |side: &[Measured]| side.iter().map(|m| m.latency_ms(permille)).collect::<Result<Vec<_>>>();
        rows.push(Row::new(named("latency", end), "ms", Better::Lower, latency(&ours)?, latency(&theirs)?));
    }
    Ok(rows)
}

/// Puts what openraft alone writes, by the number of writers, beside the rows that go to the leader.
pub(crate) fn add_bare(rows: &mut [Row], bare: &BTreeMap<String, f64>) {
    for (writers, rate) in bare {
        let name = format!("writes-{writers}");
        if let Some(row) = rows.iter_mut().find(|row| row.name == name) {
            row.beside.insert("bare_openraft", vec![*rate]);
        }
    }
}
