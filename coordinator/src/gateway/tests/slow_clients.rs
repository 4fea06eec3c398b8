//! Clients that do not read: their tokens wait on the node, and nobody else waits for them.

use tokio::time::timeout;

use super::node::Act;
use super::{PATIENCE, World, prompt};

/// Bytes of a token here.
const TOKEN: usize = 1000;
/// More streams than three of the library's own windows, five megabytes for a connection, would hold back.
const SLOW: usize = 8;
/// Windows and buffers on the way of one stream: the gateway's, the server's, the client's. Far under what the node
/// would make otherwise, which is without end.
const ON_THE_WAY: usize = 4 << 20;

#[tokio::test(start_paused = true)]
async fn tokens_that_nobody_reads_are_not_made_and_hold_nobody_back() {
    let world = World::start([Act::Babble(TOKEN)]).await;
    let mut slow = Vec::new();
    for _ in 0..SLOW {
        slow.push(world.client().generate(prompt("x")).await.expect("a stream"));
    }
    tokio::time::sleep(PATIENCE).await;
    let made = world.nodes[0].made();
    assert!(made * TOKEN < SLOW * ON_THE_WAY, "{made} tokens for nobody");
    let mut quick = world.another_client().generate(prompt("x")).await.expect("a stream").into_inner();
    let read = async {
        for _ in 0..10_000 {
            quick.message().await.expect("a message").expect("an open stream");
        }
    };
    timeout(PATIENCE, read).await.expect("nobody is held back");
    drop(slow);
}
