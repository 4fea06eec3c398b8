//! Listeners and connections, as tonic and axum take them.

mod memory;
mod ports;
mod tcp;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::stream::Stream;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::{Connected, TcpConnectInfo};

pub use memory::MemoryNetwork;
pub use ports::draw_ports;
pub use tcp::Tcp;

/// Connections accepted but not yet taken by the server, at most.
const ACCEPT_BACKLOG: usize = 64;

/// Makes listeners and connections.
pub trait Network: Send + Sync + fmt::Debug {
    /// Listens on an address; port 0 draws a free one.
    fn bind(&self, address: SocketAddr) -> BoxFuture<'_, io::Result<Listener>>;

    /// Connects to `host:port`.
    fn connect(&self, address: String) -> BoxFuture<'_, io::Result<Connection>>;
}

/// What both ends of a connection read and write.
trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// One end of a connection.
pub struct Connection {
    io: Box<dyn Io>,
    info: TcpConnectInfo,
}

impl Connection {
    /// Over any stream of bytes.
    pub fn new(
        io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        local: Option<SocketAddr>,
        remote: Option<SocketAddr>,
    ) -> Self {
        Self { io: Box::new(io), info: TcpConnectInfo { local_addr: local, remote_addr: remote } }
    }

    /// The other end's address.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.info.remote_addr
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

impl Connected for Connection {
    type ConnectInfo = TcpConnectInfo;
    fn connect_info(&self) -> TcpConnectInfo {
        self.info.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

/// A bound port and the connections that arrive on it: the stream for `serve_with_incoming`.
pub struct Listener {
    address: SocketAddr,
    incoming: Pin<Box<dyn Stream<Item = io::Result<Connection>> + Send>>,
}

impl Listener {
    /// Over any source of connections.
    pub fn new(
        address: SocketAddr,
        incoming: impl Stream<Item = io::Result<Connection>> + Send + 'static,
    ) -> Self {
        Self { address, incoming: Box::pin(incoming) }
    }

    /// The address that it is bound to, with the port that was drawn.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The next connection, for servers that take them one by one.
    pub async fn accept(&mut self) -> io::Result<Connection> {
        let next = std::future::poll_fn(|cx| self.incoming.as_mut().poll_next(cx)).await;
        next.unwrap_or_else(|| Err(io::ErrorKind::NotConnected.into()))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Stream for Listener {
    type Item = io::Result<Connection>;
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.incoming.as_mut().poll_next(cx)
    }
}

/// Connects a tonic `Endpoint` through a [`Network`].
#[derive(Clone, Debug)]
pub struct Connector(pub Arc<dyn Network>);

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Connection>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Connection>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let network = Arc::clone(&self.0);
        Box::pin(async move {
            let host = uri
                .host()
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the address has no host"))?;
            let address = format!("{host}:{}", uri.port_u16().unwrap_or(80));
            Ok(TokioIo::new(network.connect(address).await?))
        })
    }
}
