//! turmoil's network as the coordinator takes it.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream;
use helixflow_env::Network;
use helixflow_env::net::{Connection, Listener};
use parking_lot::Mutex;
use tokio::time::sleep;
use turmoil::net::{TcpListener, TcpStream};

use super::world::LATENCY_MS;

/// How long a machine takes to say that nobody listens.
const REFUSED_AFTER: Duration = Duration::from_millis(LATENCY_MS);

/// Between the hosts of the simulation, by their names.
#[derive(Debug)]
pub(super) struct SimulatedNetwork {
    /// Whose it is.
    pub(super) us: String,
    pub(super) machines: Machines,
}

/// What machines say of their processes. turmoil refuses a connection over a cut, as if the machine behind it had heard of
/// it, and has a machine whose process was killed say nothing, as if it had no power.
#[derive(Clone, Debug, Default)]
pub(super) struct Machines(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// From whom nothing gets through to whom.
    cut: BTreeSet<(String, String)>,
    /// Machines that are up, and whose process is not.
    without_process: BTreeSet<String>,
}

impl Machines {
    pub(super) fn cut(&self, from: String, to: String) {
        self.0.lock().cut.insert((from, to));
    }

    pub(super) fn mend_cuts(&self) {
        self.0.lock().cut.clear();
    }

    /// The process has ended, and its machine goes on.
    pub(super) fn process_ended(&self, host: String) {
        self.0.lock().without_process.insert(host);
    }

    /// The machine has lost its power, or its process has started.
    pub(super) fn forget(&self, host: &str) {
        self.0.lock().without_process.remove(host);
    }

    fn is_cut(&self, from: &str, to: &str) -> bool {
        self.0.lock().cut.contains(&(from.to_owned(), to.to_owned()))
    }

    fn is_without_process(&self, host: &str) -> bool {
        self.0.lock().without_process.contains(host)
    }
}

impl Network for SimulatedNetwork {
    fn bind(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Listener>> {
        Box::pin(async move {
            let any = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
            let listener = TcpListener::bind((any, address.port())).await?;
            let incoming = stream::unfold(listener, |listener| async {
                let accepted =
                    listener.accept().await.map(|(stream, peer)| Connection::new(stream, None, Some(peer)));
                Some((accepted, listener))
            });
            Ok(Listener::new(address, incoming))
        })
    }

    fn connect(&self, address: String) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let host = address.split(':').next().unwrap_or(&address);
            let connected = if self.machines.is_without_process(host) {
                sleep(REFUSED_AFTER).await;
                Err(io::ErrorKind::ConnectionRefused.into())
            } else {
                TcpStream::connect(&*address).await
            };
            if self.machines.is_cut(&self.us, host) {
                return std::future::pending().await;
            }
            Ok(Connection::new(connected?, None, None))
        })
    }
}
