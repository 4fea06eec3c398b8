//! A cluster that nobody asks anything costs next to nothing: no process uses 1 % of a core.
//!
//! The promise is made of the optimised build, which `make verify-idle` measures over 60 seconds. The sample of
//! `make test` runs the unoptimised one, which was seen to use 3 %: it finds what multiplies the wakes of a process.
#![expect(clippy::disallowed_methods, reason = "a test measures real processes on real time")]

use std::time::Duration;

use anyhow::Result;
use helixflow_tests::cluster::LocalCluster;
use helixflow_tests::usage::{Usage, window};
use helixflow_tests::{binary, is_optimised};

/// What a process may use, as a share of one core.
const LIMIT: f64 = 0.01;
/// What it may use unoptimised, beside whatever else the machine does during the tests.
const UNOPTIMISED_LIMIT: f64 = 0.10;
/// Loading leaves work behind: connections are settled and caches filled by then.
const SETTLING: Duration = Duration::from_secs(3);

#[test]
fn an_idle_process_uses_less_than_its_limit() -> Result<()> {
    let cluster = LocalCluster::start(&[])?;
    std::thread::sleep(SETTLING);
    let usage = Usage::begin(&cluster.record()?)?;
    std::thread::sleep(window());
    let shares = usage.shares()?;
    let limit = if is_optimised(&binary()?) { LIMIT } else { UNOPTIMISED_LIMIT };
    for (id, share) in &shares {
        println!("{id}: {:.2} % of a core over {:?}", share * 100.0, window());
    }
    for (id, share) in shares {
        assert!(
            share < limit,
            "{id} used {:.2} % of a core, at most {:.0} % is allowed",
            share * 100.0,
            limit * 100.0
        );
    }
    Ok(())
}
