//! Closed-loop clients: each sends a request, reads its whole answer, and sends the next, until it is told to stop.
//!
//! So at most as many requests run as there are clients, whatever the cluster does. Each client begins with a coordinator
//! of its own, and turns to the others as any client of the service does.

mod prompts;
mod request;

use std::sync::Arc;
use std::time::Duration;

use helixflow_client::{Client, ClientError, ClientOptions};
use helixflow_env::Env;
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::history::{Outcome, Request};

pub use prompts::{Prompt, prompts};
pub use request::Answer;
pub(crate) use request::ask;

/// The rest after a failure: a cluster that refuses at once is not asked in a busy loop.
const REST: Duration = Duration::from_millis(100);

/// What to send.
#[derive(Clone, Debug)]
pub struct LoadSpec {
    /// How many clients.
    pub clients: u16,
    /// Which model.
    pub model: String,
    /// What they ask; client `c` asks prompt `c` first, then the one after it, and so on in a circle. Not empty.
    pub prompts: Vec<Prompt>,
    /// How long a request may take, to its last token.
    pub deadline: Duration,
}

/// Running clients.
#[derive(Debug)]
pub struct Load {
    requests: Arc<Mutex<Vec<Request>>>,
    stop: watch::Sender<bool>,
    clients: JoinSet<()>,
}

impl Load {
    /// Starts the clients. Times are counted from `origin`.
    ///
    /// # Errors
    /// When an endpoint is no address.
    pub fn start(
        env: &Env,
        endpoints: &[String],
        spec: &LoadSpec,
        origin: Instant,
    ) -> Result<Self, ClientError> {
        let (stop, stopped) = watch::channel(false);
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let mut clients = JoinSet::new();
        for number in 0..spec.clients {
            let mut endpoints = endpoints.to_vec();
            let first = usize::from(number) % endpoints.len().max(1);
            endpoints.rotate_left(first);
            let options = ClientOptions { timeout: Some(spec.deadline) };
            let client = Client::new(env, &endpoints, options)?;
            let looping = Looping { number, client, spec: spec.clone(), origin, stopped: stopped.clone() };
            clients.spawn(looping.run(Arc::clone(&requests)));
        }
        Ok(Self { requests, stop, clients })
    }

    /// How many requests have ended so far.
    #[must_use]
    pub fn ended(&self) -> usize {
        self.requests.lock().len()
    }

    /// Whether each client has ended a request that it began at `since` or later.
    #[must_use]
    pub fn all_went_on(&self, since: Duration) -> bool {
        let requests = self.requests.lock();
        let went_on = |number| requests.iter().any(|r| usize::from(r.client) == number && r.began >= since);
        (0..self.clients.len()).all(went_on)
    }

    /// Lets each client end its request, and gives back all that were made.
    pub async fn stop(mut self) -> Vec<Request> {
        self.stop.send_replace(true);
        while self.clients.join_next().await.is_some() {}
        std::mem::take(&mut self.requests.lock())
    }
}

/// One client.
struct Looping {
    number: u16,
    client: Client,
    spec: LoadSpec,
    origin: Instant,
    stopped: watch::Receiver<bool>,
}

impl Looping {
    async fn run(self, requests: Arc<Mutex<Vec<Request>>>) {
        let mut order = (0..self.spec.prompts.len()).cycle().skip(usize::from(self.number));
        while !*self.stopped.borrow() {
            let Some(prompt) = order.next() else { return };
            let request = self.one(prompt).await;
            let failed = !matches!(request.outcome, Outcome::Answered(_));
            requests.lock().push(request);
            if failed {
                sleep(REST).await;
            }
        }
    }

    async fn one(&self, prompt: usize) -> Request {
        let began = self.origin.elapsed();
        let Told { outcome, longest_gap } =
            ask(&self.client, &self.spec.model, &self.spec.prompts[prompt], self.spec.deadline).await;
        Request { client: self.number, prompt, began, ended: self.origin.elapsed(), longest_gap, outcome }
    }
}

pub(crate) use request::Told;
