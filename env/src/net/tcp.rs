//! The machine's own TCP.
#![expect(clippy::disallowed_types, reason = "this is the one place that opens sockets")]

use std::io;
use std::net::SocketAddr;

use futures::future::BoxFuture;
use futures::stream;
use tokio::net::{TcpListener, TcpStream};

use super::{Connection, Listener, Network};

/// TCP without Nagle's delay: messages are small and somebody waits for each.
#[derive(Clone, Copy, Debug)]
pub struct Tcp;

impl Network for Tcp {
    fn bind(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Listener>> {
        Box::pin(async move {
            let listener = TcpListener::bind(address).await?;
            let address = listener.local_addr()?;
            let incoming = stream::unfold(listener, |listener| async {
                let accepted = accept(&listener).await;
                Some((accepted, listener))
            });
            Ok(Listener::new(address, incoming))
        })
    }

    fn connect(&self, address: String) -> BoxFuture<'_, io::Result<Connection>> {
        Box::pin(async move { wrap(TcpStream::connect(address).await?) })
    }
}

async fn accept(listener: &TcpListener) -> io::Result<Connection> {
    let (stream, _) = listener.accept().await?;
    wrap(stream)
}

fn wrap(stream: TcpStream) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let (local, remote) = (stream.local_addr().ok(), stream.peer_addr().ok());
    Ok(Connection::new(stream, local, remote))
}
