//! turmoil's network as the coordinator takes it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use futures::future::BoxFuture;
use futures::stream;
use helixflow_env::Network;
use helixflow_env::net::{Connection, Listener};
use turmoil::net::{TcpListener, TcpStream};

/// Between the hosts of the simulation, by their names.
#[derive(Debug)]
pub(super) struct SimulatedNetwork;

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
            let stream = TcpStream::connect(address).await?;
            Ok(Connection::new(stream, None, None))
        })
    }
}
