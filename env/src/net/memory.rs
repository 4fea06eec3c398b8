//! A network in memory, for tests that need no socket: whoever shares it can connect.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::{ACCEPT_BACKLOG, Connection, Listener, Network};

/// Bytes on their way in one direction, at most; as much as a default TCP window.
const IN_FLIGHT: usize = 64 * 1024;

/// The first port that is drawn for a listener on port 0.
const FIRST_PORT: u16 = 49_152;

/// Listeners by address.
#[derive(Clone, Debug, Default)]
pub struct MemoryNetwork {
    listeners: Arc<Mutex<BTreeMap<SocketAddr, mpsc::Sender<Connection>>>>,
}

impl MemoryNetwork {
    fn open(&self, mut address: SocketAddr) -> io::Result<Listener> {
        let mut listeners = self.listeners.lock();
        listeners.retain(|_, connections| !connections.is_closed());
        if address.port() == 0 {
            let taken = |port: &u16| listeners.contains_key(&SocketAddr::new(address.ip(), *port));
            let free = (FIRST_PORT..u16::MAX).find(|port| !taken(port)).ok_or(io::ErrorKind::AddrInUse)?;
            address.set_port(free);
        }
        if listeners.contains_key(&address) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, receiver) = mpsc::channel(ACCEPT_BACKLOG);
        listeners.insert(address, sender);
        let incoming = stream::unfold(receiver, |mut receiver| async {
            let connection = receiver.recv().await?;
            Some((Ok(connection), receiver))
        });
        Ok(Listener::new(address, incoming))
    }
}

impl Network for MemoryNetwork {
    fn bind(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Listener>> {
        Box::pin(async move { self.open(address) })
    }

    fn connect(&self, address: String) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move {
            let target: SocketAddr =
                address.parse().map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
            let listener =
                self.listeners.lock().get(&target).cloned().ok_or(io::ErrorKind::ConnectionRefused)?;
            let (ours, theirs) = tokio::io::duplex(IN_FLIGHT);
            let accepted = Connection::new(theirs, Some(target), None);
            listener.send(accepted).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
            Ok(Connection::new(ours, None, Some(target)))
        })
    }
}
