//! Loopback ports for processes that keep theirs from start to start.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;

use crate::Env;

/// Ports are drawn from here up to [`END`]: below Linux's default range for outgoing connections, so that none of those
/// takes a port while its owner restarts, and no caller who waits for its owner reaches itself.
const FIRST: u16 = 20_000;
/// One past the last port.
const END: u16 = 32_000;
/// Ports tried for each one wanted; most are free on any machine.
const TRIES: usize = 64;

/// Draws addresses of the loopback interface that are free, all different.
pub async fn draw_ports(env: &Env, count: usize) -> io::Result<Vec<SocketAddr>> {
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
        let found = drawn.len();
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!(
                "found only {found} of {count} free ports on 127.0.0.1 between {FIRST} and {END}: end some listeners"
            ),
        ));
    }
    Ok(drawn.into_iter().collect())
}
