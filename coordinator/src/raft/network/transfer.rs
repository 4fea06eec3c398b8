//! Snapshots on their way: a header, then chunks, with a deadline of progress and not of the whole.

use std::time::Duration;

use bytes::Bytes;
use helixflow_proto::v1::SnapshotChunk;
use helixflow_proto::v1::snapshot_chunk::Part;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::Peer;
use crate::raft::record::{SnapshotHeader, SnapshotReply};
use crate::raft::types::{SnapshotMeta, Vote};

/// Bytes in one chunk: small enough to leave the channel to heartbeats in between.
const CHUNK_BYTES: usize = 64 << 10;
/// Chunks that wait in the stream, so that a slow receiver is noticed here and not in a buffer.
const CHUNKS_AHEAD: usize = 2;
/// The longest that one chunk may wait to be taken, and the receiver to install the whole.
const PROGRESS: Duration = Duration::from_secs(10);

/// Sends a snapshot and waits until it is installed or refused.
pub(super) async fn send(
    peer: &Peer,
    vote: Vote,
    meta: SnapshotMeta,
    data: Bytes,
) -> Result<SnapshotReply, Status> {
    let header = SnapshotHeader { vote: vote.into(), meta: meta.into(), bytes: data.len() as u64 };
    let header = peer.envelope.seal(&header)?;
    let (chunks, stream) = mpsc::channel(CHUNKS_AHEAD);
    let mut client = peer.client()?;
    let feed = feed(chunks, header, data);
    let call = client.snapshot(ReceiverStream::new(stream));
    tokio::pin!(feed, call);
    let reply = tokio::select! {
        reply = &mut call => reply?,
        fed = &mut feed => {
            fed?;
            timeout(PROGRESS, call).await.map_err(|_| late("install the snapshot"))??
        }
    };
    Ok(peer.envelope.open_reply(reply.get_ref())?)
}

async fn feed(
    chunks: mpsc::Sender<SnapshotChunk>,
    header: helixflow_proto::v1::RaftFrame,
    data: Bytes,
) -> Result<(), Status> {
    put(&chunks, Part::Header(header)).await?;
    let mut rest = data;
    while !rest.is_empty() {
        let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
        put(&chunks, Part::Data(chunk)).await?;
    }
    Ok(())
}

async fn put(chunks: &mpsc::Sender<SnapshotChunk>, part: Part) -> Result<(), Status> {
    let sent = timeout(PROGRESS, chunks.send(SnapshotChunk { part: Some(part) })).await;
    sent.map_err(|_| late("take the next chunk"))?
        .map_err(|_| Status::unavailable("the coordinator closed the snapshot's stream"))
}

fn late(what: &str) -> Status {
    Status::deadline_exceeded(format!("the coordinator did not {what} within {PROGRESS:?}"))
}
