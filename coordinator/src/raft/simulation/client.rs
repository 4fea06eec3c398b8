//! A client in a simulation: it writes and reads registers at any coordinator, and records what it saw.
//!
//! A register is a tenant, its value the tenant's display name; every value is written once. What was not answered in
//! time counts as unknown.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use helixflow_env::net::Connector;
use helixflow_env::{Randomness, SeededRandom};
use helixflow_linearizability::{Action, Operation};
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{Consistency, GetTenantRequest, OpenSessionRequest, PutTenantRequest, WriteId};
use parking_lot::Mutex;
use tokio::time::{sleep, timeout};
use tonic::transport::{Channel, Endpoint};

use super::events::Events;
use super::host::{CLIENTS, name};
use super::network::{Machines, SimulatedNetwork};

/// Registers in use: few, so that operations meet.
pub(super) const KEYS: u64 = 4;
/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_millis(700);
/// One step in so many is a burst of writes at one coordinator: what a leader that is cut off is left with.
const BURST_ONE_IN: u64 = 14;
const BURST: usize = 24;
/// How often a numbered write is sent before its outcome counts as unknown.
const ATTEMPTS: u64 = 4;
/// Between two operations, at most.
const PAUSE_MS: u64 = 40;

/// What clients saw, in the order of their answers.
pub(super) type History = Vec<Operation<String, String>>;

/// What all clients of a run share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) seed: u64,
    pub(super) coordinators: u64,
    pub(super) events: Events,
    pub(super) machines: Machines,
    /// Reads promise to be confirmed, and are not: a planted bug.
    pub(super) stale_reads: bool,
    pub(super) history: Arc<Mutex<History>>,
    /// By coordinator, when a write was last acknowledged there, in milliseconds.
    pub(super) served_ms: Arc<Mutex<BTreeMap<u64, u64>>>,
    /// Clients may end.
    pub(super) stop: Arc<AtomicBool>,
}

impl Shared {
    pub(super) fn new(seed: u64, coordinators: u64, events: Events, stale_reads: bool) -> Self {
        let (machines, history, served_ms, stop) = Default::default();
        Self { seed, coordinators, events, machines, stale_reads, history, served_ms, stop }
    }

    fn served(&self, coordinator: u64) {
        self.served_ms.lock().insert(coordinator, now_us() / 1000);
    }

    fn record(&self, client: u64, coordinator: u64, operation: Operation<String, String>) {
        let Operation { key, action, invoked, returned } = &operation;
        let what = format!("{key} {action:?} at {} from {invoked} until {returned:?}", name(coordinator));
        self.events.push(u128::from(now_us() / 1000), format!("c{client}"), what);
        self.history.lock().push(operation);
    }
}

pub(super) type ClusterClient = ClusterServiceClient<Channel>;

/// A client of one coordinator. It connects with its first call.
pub(super) fn connect(coordinator: u64, machines: Machines) -> ClusterClient {
    let endpoint = Endpoint::from_shared(format!("http://{}:{CLIENTS}", name(coordinator)));
    let connector = Connector(Arc::new(SimulatedNetwork { us: "client".to_owned(), machines }));
    let endpoint = endpoint.expect("an address").connect_timeout(PATIENCE / 2);
    ClusterServiceClient::new(endpoint.connect_with_connector_lazy(connector))
}

pub(super) fn now_us() -> u64 {
    let elapsed = turmoil::sim_elapsed().unwrap_or_default();
    u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
}

/// One client.
pub(super) struct Client {
    number: u64,
    shared: Shared,
    random: SeededRandom,
    channels: BTreeMap<u64, ClusterClient>,
    written: u64,
    session: Option<u64>,
}

impl Client {
    pub(super) fn new(number: u64, shared: Shared) -> Self {
        let random = SeededRandom::new(shared.seed ^ (number << 56));
        Self { number, shared, random, channels: BTreeMap::new(), written: 0, session: None }
    }

    pub(super) async fn run(mut self) -> turmoil::Result {
        while !self.shared.stop.load(Ordering::Relaxed) {
            sleep(Duration::from_millis(1 + self.below(PAUSE_MS))).await;
            let coordinator = 1 + self.below(self.shared.coordinators);
            let key = format!("t{}", self.below(KEYS));
            if self.below(BURST_ONE_IN) == 0 {
                let burst: Vec<_> = (0..BURST).map(|_| self.write(coordinator, &key)).collect();
                futures::future::join_all(burst).await;
            } else if self.below(2) == 0 {
                self.write_once(coordinator, key).await;
            } else {
                self.read(coordinator, key).await;
            }
        }
        Ok(())
    }

    fn below(&self, bound: u64) -> u64 {
        self.random.next_u64() % bound.max(1)
    }

    fn client(&mut self, coordinator: u64) -> ClusterClient {
        let machines = &self.shared.machines;
        self.channels.entry(coordinator).or_insert_with(|| connect(coordinator, machines.clone())).clone()
    }

    /// A write of a value of its own, which begins when it is first polled.
    fn write(&mut self, coordinator: u64, key: &str) -> impl Future<Output = ()> + use<> {
        self.written += 1;
        let value = format!("{}-{}", self.number, self.written);
        let (mut client, key) = (self.client(coordinator), key.to_owned());
        let (number, shared) = (self.number, self.shared.clone());
        async move {
            let request =
                PutTenantRequest { tenant: key.clone(), display_name: value.clone(), ..Default::default() };
            let invoked = now_us();
            let answer = timeout(PATIENCE, client.put_tenant(request)).await;
            let returned = matches!(answer, Ok(Ok(_))).then(now_us);
            if returned.is_some() {
                shared.served(coordinator);
            }
            let write = Operation { key, action: Action::Write(value), invoked, returned };
            shared.record(number, coordinator, write);
        }
    }

    /// A write with a number of its session, sent again to whoever answers until its outcome is known.
    async fn write_once(&mut self, coordinator: u64, key: String) {
        let Some(session) = self.session(coordinator).await else { return };
        self.written += 1;
        let value = format!("{}-{}", self.number, self.written);
        let request = PutTenantRequest {
            tenant: key.clone(),
            display_name: value.clone(),
            write: Some(WriteId { session, sequence: self.written }),
            ..Default::default()
        };
        let invoked = now_us();
        let mut returned = None;
        let mut coordinator = coordinator;
        for _ in 0..ATTEMPTS {
            let answer = timeout(PATIENCE, self.client(coordinator).put_tenant(request.clone())).await;
            if matches!(answer, Ok(Ok(_))) {
                returned = Some(now_us());
                self.shared.served(coordinator);
                break;
            }
            coordinator = 1 + self.below(self.shared.coordinators);
        }
        if returned.is_none() {
            // One write of a session at a time: the next one needs a session in which none is unsettled.
            self.session = None;
        }
        let write = Operation { key, action: Action::Write(value), invoked, returned };
        self.shared.record(self.number, coordinator, write);
    }

    async fn session(&mut self, coordinator: u64) -> Option<u64> {
        if self.session.is_none() {
            let answer =
                timeout(PATIENCE, self.client(coordinator).open_session(OpenSessionRequest {})).await;
            self.session = answer.ok().and_then(Result::ok).map(|opened| opened.into_inner().session);
        }
        self.session
    }

    async fn read(&mut self, coordinator: u64, key: String) {
        let mut client = self.client(coordinator);
        let consistency = if self.shared.stale_reads { Consistency::Stale } else { Consistency::Confirmed };
        let request = GetTenantRequest { tenant: key.clone(), consistency: consistency.into() };
        let invoked = now_us();
        let Ok(Ok(answer)) = timeout(PATIENCE, client.get_tenant(request)).await else { return };
        let value = answer.into_inner().tenant.map(|tenant| tenant.display_name);
        let read = Operation { key, action: Action::Read(value), invoked, returned: Some(now_us()) };
        self.shared.record(self.number, coordinator, read);
    }
}
