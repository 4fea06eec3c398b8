//! Clients of one cluster that write and read without rest and note down what they saw: a history for the checker.
//!
//! Every other client has a session and sends each write until it is answered, which must apply it once. The others send
//! a write once: without an answer it is noted as unknown, and its value never written again. A write that was surely
//! refused, and a read that failed, are not noted at all.

use std::sync::Arc;
use std::time::Duration;

use helixflow_env::{Randomness, SeededRandom};
use helixflow_linearizability::{Action, Operation};
use helixflow_proto::error::Reason;
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{
    Consistency, GetTenantRequest, OpenSessionRequest, PutTenantRequest, PutTenantResponse, Tenant, WriteId,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::history::Seen;
use crate::seats::{Cluster, PATIENCE};

/// Clients at work at the same time.
const CLIENTS: u64 = 4;
/// Registers that they share: few, so that they meet.
const KEYS: u64 = 5;
/// One operation of so many is a read.
const READS_ONE_OF: u64 = 3;
/// How long one call may take: more than an election, which a coordinator waits for by itself.
const CALL: Duration = Duration::from_secs(3);
/// The rest before a write of a session is sent again.
const REST: Duration = Duration::from_millis(5);

/// What clients noted down.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) seen: Vec<Seen>,
    /// Numbered writes that were sent more than once.
    pub(crate) repeated: u64,
}

/// Running clients.
pub(crate) struct Clients {
    running: Vec<JoinHandle<Recorded>>,
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
                repeated: 0,
                session: None,
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
        timeout(PATIENCE, heard).await.expect("a write in time").expect("running clients");
    }

    /// Ends them, reads every key once more at every coordinator, and gives the whole history.
    pub(crate) async fn finish(self, cluster: &Cluster, part: u64) -> Recorded {
        self.stop.send(true).expect("running clients");
        let mut all = Recorded::default();
        for client in self.running {
            let recorded = client.await.expect("a client without panic");
            all.seen.extend(recorded.seen);
            all.repeated += recorded.repeated;
        }
        for seat in 0..cluster.seats.len() {
            for key in 0..KEYS {
                let key = name(part, key);
                let read = async || {
                    let invoked = nanoseconds(self.origin);
                    let tenant = get(&mut cluster.client(seat), &key).await?;
                    Some(Seen::read(&key, tenant, invoked, nanoseconds(self.origin)))
                };
                all.seen.push(cluster.until("a confirmed read", read).await);
            }
        }
        all
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
    /// Numbered writes that were sent more than once.
    repeated: u64,
    /// The session that numbers its writes.
    session: Option<u64>,
    tell: Arc<watch::Sender<u64>>,
    seen: Vec<Seen>,
}

impl Client {
    async fn run(mut self, stopped: watch::Receiver<bool>) -> Recorded {
        self.coordinators.rotate_left(self.id as usize % 3);
        if self.id.is_multiple_of(2) {
            self.session = Some(self.open_session().await);
        }
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
        Recorded { seen: self.seen, repeated: self.repeated }
    }

    async fn read(&mut self, key: &str) -> bool {
        let invoked = nanoseconds(self.origin);
        let found = get(&mut self.coordinators[0], key).await;
        let answered = found.is_some();
        self.seen.extend(found.map(|tenant| Seen::read(key, tenant, invoked, nanoseconds(self.origin))));
        answered
    }

    async fn open_session(&mut self) -> u64 {
        let began = Instant::now();
        loop {
            if let Ok(Ok(opened)) =
                timeout(CALL, self.coordinators[0].open_session(OpenSessionRequest {})).await
            {
                return opened.into_inner().session;
            }
            assert!(began.elapsed() < PATIENCE, "no session within {PATIENCE:?}");
            self.coordinators.rotate_left(1);
            sleep(REST).await;
        }
    }

    async fn write(&mut self, key: &str) -> bool {
        self.written += 1;
        let value = format!("{}-{}", self.id, self.written);
        let request = PutTenantRequest {
            tenant: key.to_owned(),
            display_name: value.clone(),
            expected_revision: None,
            write: self.session.map(|session| WriteId { session, sequence: self.written }),
        };
        let invoked = nanoseconds(self.origin);
        let end = match self.session {
            Some(_) => End::Acknowledged(self.put_until_answered(request).await.revision),
            None => self.put_once(request).await,
        };
        let (returned, revision) = match end {
            End::Refused => return false,
            End::Unknown => (None, None),
            End::Acknowledged(revision) => {
                self.tell.send_if_modified(|sent| std::mem::replace(sent, invoked.max(*sent)) < invoked);
                (Some(nanoseconds(self.origin)), Some(revision))
            }
        };
        let operation = Operation { key: key.to_owned(), action: Action::Write(value), invoked, returned };
        self.seen.push(Seen { operation, revision });
        revision.is_some()
    }

    async fn put_once(&mut self, request: PutTenantRequest) -> End {
        match timeout(CALL, self.coordinators[0].put_tenant(request)).await {
            Ok(Ok(put)) => End::Acknowledged(put.into_inner().revision),
            Ok(Err(status)) if surely_had_no_effect(&status) => End::Refused,
            Ok(Err(_)) | Err(_) => End::Unknown,
        }
    }

    /// The same write under the same number, at one coordinator after the other.
    async fn put_until_answered(&mut self, request: PutTenantRequest) -> PutTenantResponse {
        let began = Instant::now();
        let mut again = false;
        loop {
            match timeout(CALL, self.coordinators[0].put_tenant(request.clone())).await {
                Ok(Ok(put)) => {
                    self.repeated += u64::from(again);
                    return put.into_inner();
                }
                Ok(Err(status)) => {
                    assert_ne!(
                        status.code(),
                        Code::FailedPrecondition,
                        "a session's write is refused: {status}"
                    );
                }
                Err(_) => {}
            }
            assert!(began.elapsed() < PATIENCE, "a session's write without an answer for {PATIENCE:?}");
            again = true;
            self.coordinators.rotate_left(1);
            sleep(REST).await;
        }
    }
}

/// How a write ended, as far as its client knows.
enum End {
    /// At this revision.
    Acknowledged(u64),
    /// Without any effect.
    Refused,
    /// With or without effect.
    Unknown,
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
