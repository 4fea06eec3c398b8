//! Both networks carry bytes between a listener and whoever connects.
#![expect(clippy::expect_used, reason = "a test stops at the first thing that fails")]

use std::net::SocketAddr;

use helixflow_env::Env;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn carries_bytes_both_ways(env: Env) {
    let any: SocketAddr = ([127, 0, 0, 1], 0).into();
    let mut listener = env.network.bind(any).await.expect("a free port");
    let address = listener.local_addr();
    assert_ne!(address.port(), 0);
    let client = async {
        let mut connection = env.network.connect(address.to_string()).await.expect("a connection");
        connection.write_all(b"ping").await.expect("a write");
        let mut reply = [0u8; 4];
        connection.read_exact(&mut reply).await.expect("a reply");
        reply
    };
    let server = async {
        let mut connection = listener.accept().await.expect("a caller");
        let mut call = [0u8; 4];
        connection.read_exact(&mut call).await.expect("a call");
        connection.write_all(b"pong").await.expect("a write");
        call
    };
    let (reply, call) = tokio::join!(client, server);
    assert_eq!((&call, &reply), (b"ping", b"pong"));
    let taken = env.network.bind(address).await.map(|_| ()).map_err(|e| e.kind());
    assert_eq!(taken, Err(std::io::ErrorKind::AddrInUse));
    drop(listener);
    assert!(env.network.connect(address.to_string()).await.is_err());
}

#[tokio::test]
async fn tcp_carries_bytes_both_ways() {
    carries_bytes_both_ways(Env::real()).await;
}

#[tokio::test]
async fn the_network_in_memory_carries_bytes_both_ways() {
    carries_bytes_both_ways(Env::simulated(1)).await;
}
