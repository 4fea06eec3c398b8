//! Clients of one cluster that write and read without rest and note down what they saw: a history for the checker.
//!
//! A write without an answer is noted as unknown, and its value never written again; a write that was surely refused, and
//! a read that failed, are not noted at all.

use std::mem::take;
use std::sync::Arc;
use std::time::Duration;

use helixflow_env::{Randomness, SeededRandom};
use helixflow_linearizability::{Action, Operation};
use helixflow_proto::error::Reason;
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{Consistency, GetTenantRequest, PutTenantRequest, Tenant};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::history::Seen;
use crate::seats::Cluster;

/// Clients at work at the same time.
const CLIENTS: u64 = 4;
/// Registers that they share: few, so that they meet.
const KEYS: u64 = 5;
/// One operation of so many is a read.
const READS_ONE_OF: u64 = 3;
/// How long one call may take: more than an election, which a coordinator waits for by itself.
const CALL: Duration = Duration::from_secs(3);

/// Running clients.
pub(crate) struct Clients {
    running: Vec<JoinHandle<Vec<Seen>>>,
    stop: watch::Sender<bool>,
    /// When the write that was acknowledged last was sent, in nanoseconds since the origin.
    acknowledged: watch::Receiver<u64>,
    origin: Instant,
}

impl Clients {
    /// Starts them; keys and values bear the name of the part, so that each part is a history of its own.
    pub(crate) fn start(cluster: &Cluster, part: u64) -> Self {
        let origin = Instant::now();
        let (stop, stopped) = watch::channel(false);
        let (tell, acknowledged) = watch::channel(0);
        let tell = Arc::new(tell);
        let start = |id| {
            let client = Client {
                id,
                part,
                coordinators: (0..cluster.seats.len()).map(|seat| cluster.client(seat)).collect(),
                random: SeededRandom::new(part << 8 | id),
                origin,
                written: 0,
                tell: Arc::clone(&tell),
                seen: Vec::new(),
            };
            tokio::spawn(client.run(stopped.clone()))
        };
        Self { running: (0..CLIENTS).map(start).collect(), stop, acknowledged, origin }
    }

    /// Nanoseconds since the origin of all times in the history.
    pub(crate) fn now(&self) -> u64 {
        nanoseconds(self.origin)
    }

    /// Waits until a write is acknowledged that was sent at this time or later.
    pub(crate) async fn write_sent_after(&self, time: u64) {
        let mut acknowledged = self.acknowledged.clone();
        let heard = acknowledged.wait_for(|sent| *sent >= time);
        timeout(crate::seats::PATIENCE, heard).await.expect("a write in time").expect("running clients");
    }

    /// Ends them, reads every key once more at every coordinator, and gives the whole history.
    pub(crate) async fn finish(self, cluster: &Cluster, part: u64) -> Vec<Seen> {
        self.stop.send(true).expect("running clients");
        let mut seen = Vec::new();
        for client in self.running {
            seen.extend(client.await.expect("a client without panic"));
        }
        for seat in 0..cluster.seats.len() {
            for key in 0..KEYS {
                let key = name(part, key);
                let read = async || {
                    let invoked = nanoseconds(self.origin);
                    let tenant = get(&mut cluster.client(seat), &key).await?;
                    Some(Seen::read(&key, tenant, invoked, nanoseconds(self.origin)))
                };
                seen.push(cluster.until("a confirmed read", read).await);
            }
        }
        seen
    }
}

/// One client: an operation after the other, at the same coordinator until that one fails.
struct Client {
    id: u64,
    part: u64,
    coordinators: Vec<ClusterServiceClient<Channel>>,
    random: SeededRandom,
    origin: Instant,
    written: u64,
    tell: Arc<watch::Sender<u64>>,
    seen: Vec<Seen>,
}

impl Client {
    async fn run(mut self, stopped: watch::Receiver<bool>) -> Vec<Seen> {
        self.coordinators.rotate_left(self.id as usize % 3);
        while !*stopped.borrow() {
            let key = name(self.part, self.random.next_u64() % KEYS);
            let answered = if self.random.next_u64().is_multiple_of(READS_ONE_OF) {
                self.read(&key).await
            } else {
                self.write(&key).await
            };
            if !answered {
                self.coordinators.rotate_left(1);
            }
        }
        take(&mut self.seen)
    }

    async fn read(&mut self, key: &str) -> bool {
        let invoked = nanoseconds(self.origin);
        let found = get(&mut self.coordinators[0], key).await;
        let answered = found.is_some();
        self.seen.extend(found.map(|tenant| Seen::read(key, tenant, invoked, nanoseconds(self.origin))));
        answered
    }

    async fn write(&mut self, key: &str) -> bool {
        self.written += 1;
        let value = format!("{}-{}", self.id, self.written);
        let request = PutTenantRequest {
            tenant: key.to_owned(),
            display_name: value.clone(),
            ..PutTenantRequest::default()
        };
        let invoked = nanoseconds(self.origin);
        let answer = timeout(CALL, self.coordinators[0].put_tenant(request)).await;
        let returned = nanoseconds(self.origin);
        let (operation, revision) = match answer {
            Ok(Ok(put)) => {
                self.tell.send_if_modified(|sent| std::mem::replace(sent, invoked.max(*sent)) < invoked);
                (Some(Some(returned)), Some(put.into_inner().revision))
            }
            Ok(Err(status)) if surely_had_no_effect(&status) => (None, None),
            Ok(Err(_)) | Err(_) => (Some(None), None),
        };
        if let Some(returned) = operation {
            let operation =
                Operation { key: key.to_owned(), action: Action::Write(value), invoked, returned };
            self.seen.push(Seen { operation, revision });
        }
        revision.is_some()
    }
}

/// By the word of the coordinator, or because there was nobody to send it to.
fn surely_had_no_effect(status: &Status) -> bool {
    let reason = Reason::of(status);
    let refused = [Reason::NoQuorum, Reason::Draining, Reason::QueueFull, Reason::DiskLow];
    refused.iter().any(|known| reason.as_deref() == Some(known.as_str())) || is_unsent(status)
}

fn is_unsent(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// A linearizable read; nothing when it failed.
async fn get(client: &mut ClusterServiceClient<Channel>, key: &str) -> Option<Option<Tenant>> {
    let request = GetTenantRequest { tenant: key.to_owned(), consistency: Consistency::Confirmed.into() };
    let answer = timeout(CALL, client.get_tenant(request)).await.ok()?;
    match answer {
        Ok(read) => Some(read.into_inner().tenant),
        Err(status) => {
            assert_ne!(status.code(), Code::Internal, "a read failed: {status}");
            None
        }
    }
}

fn name(part: u64, key: u64) -> String {
    format!("part-{part}-{key}")
}

fn nanoseconds(origin: Instant) -> u64 {
    u64::try_from(origin.elapsed().as_nanos()).expect("a run of under five centuries")
}
