//! Loopback ports: drawn once, outside the range that outgoing connections use, and checked before a start.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use anyhow::{Context, bail};
use helixflow_env::Env;

use super::layout::Layout;

/// Ports are drawn from here up to [`END`]: below Linux's default range for outgoing connections, so that none of
/// those takes a port while its owner restarts.
const FIRST: u16 = 20_000;
/// One past the last port.
const END: u16 = 32_000;
/// Ports tried for each one wanted; most are free on any machine.
const TRIES: usize = 64;

/// Draws free loopback addresses, all different.
pub(crate) async fn draw(env: &Env, count: usize) -> anyhow::Result<Vec<String>> {
    let mut drawn = BTreeSet::new();
    for _ in 0..count * TRIES {
        if drawn.len() == count {
            break;
        }
        let port = FIRST + u16::try_from(env.random.next_u64() % u64::from(END - FIRST)).unwrap_or(0);
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if !drawn.contains(&address) && env.network.bind(address).await.is_ok() {
            drawn.insert(address);
        }
    }
    if drawn.len() < count {
        bail!(
            "found only {} of {count} free ports on 127.0.0.1 between {FIRST} and {END}: end some listeners",
            drawn.len()
        );
    }
    Ok(drawn.into_iter().map(|address| address.to_string()).collect())
}

/// Names the first port of the layout that somebody else holds.
pub(crate) async fn check_free(env: &Env, layout: &Layout) -> anyhow::Result<()> {
    for (purpose, address) in layout.addresses() {
        let parsed: SocketAddr = address.parse().with_context(|| format!("{address} is no address"))?;
        if let Err(error) = env.network.bind(parsed).await {
            bail!(
                "{address}, the port for {purpose}, cannot be used ({error}): end the process that holds it, or name \
                 another directory with --data-dir"
            );
        }
    }
    Ok(())
}
