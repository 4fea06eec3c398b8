//! The coordinators that a client knows, and the loop that turns from one to the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use helixflow_env::{Env, net::Connector};
use helixflow_model::RequestId;
use helixflow_proto::context::{CallContext, attach};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use crate::error::ClientError;
use crate::retry::{Next, Repeat, after};

/// How long to wait for a connection: a coordinator that is up answers within a round trip.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections are probed this often while a call waits, so that a dead peer is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long a probe may take.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// How calls are made.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClientOptions {
    /// How long a call may take in all; a stream, until its last token. None waits for as long as it goes on.
    pub timeout: Option<Duration>,
}

/// A client of one cluster. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    coordinators: Arc<[Coordinator]>,
    /// The one that answered last: where the next call begins.
    preferred: Arc<AtomicUsize>,
    options: ClientOptions,
    env: Env,
}

#[derive(Clone, Debug)]
struct Coordinator {
    address: String,
    channel: Channel,
}

impl Client {
    /// Knows the coordinators at these `host:port` addresses; connects when first needed.
    pub fn new(env: &Env, addresses: &[String], options: ClientOptions) -> Result<Self, ClientError> {
        if addresses.is_empty() {
            return Err(ClientError::NoEndpoint);
        }
        let coordinators: Result<Arc<[_]>, _> =
            addresses.iter().map(|address| coordinator(env, address)).collect();
        Ok(Self { coordinators: coordinators?, preferred: Arc::default(), options, env: env.clone() })
    }

    /// Makes a call at the preferred coordinator, then at the others, as [`after`] decides.
    pub(crate) async fn call<T, R, F>(
        &self,
        message: T,
        repeat: Repeat,
        call: F,
    ) -> Result<(R, String), ClientError>
    where
        T: Clone,
        F: AsyncFn(Channel, Request<T>) -> Result<tonic::Response<R>, Status>,
    {
        let context = self.context();
        let mut attempts = 0;
        loop {
            let index = self.preferred.load(Ordering::Relaxed);
            let Coordinator { address, channel } = self.coordinators[index].clone();
            let mut request = Request::new(message.clone());
            attach(&context, request.metadata_mut());
            attempts += 1;
            let status = match call(channel, request).await {
                Ok(response) => return Ok((response.into_inner(), address)),
                Err(status) => status,
            };
            let Next::Retry(wait) = after(&status, repeat, attempts, self.coordinators.len() as u32) else {
                return Err(ClientError::Call { status: Box::new(status), endpoint: address, attempts });
            };
            tracing::debug!(%address, %status, ?wait, "turning to the next coordinator");
            let next = (index + 1) % self.coordinators.len();
            let _ = self.preferred.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
            tokio::time::sleep(wait).await;
        }
    }

    fn context(&self) -> CallContext {
        let mut context = CallContext::new(RequestId::drawn(self.env.random.next_u64()));
        context.deadline = self.options.timeout.map(|timeout| tokio::time::Instant::now() + timeout);
        context
    }
}

fn coordinator(env: &Env, address: &str) -> Result<Coordinator, ClientError> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|source| ClientError::BadEndpoint { address: address.to_owned(), source })?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT);
    let channel = endpoint.connect_with_connector_lazy(Connector(Arc::clone(&env.network)));
    Ok(Coordinator { address: address.to_owned(), channel })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_client_goes_round_its_coordinators_and_stays_with_the_one_that_answers() {
        let addresses = ["a:1", "b:1", "c:1"].map(str::to_owned);
        let client =
            Client::new(&Env::simulated(1), &addresses, ClientOptions::default()).expect("addresses");
        // How many coordinators in a row are silent, and who is asked next then: each call begins where the last ended.
        for (silent, answers) in [(0, "a:1"), (1, "b:1"), (2, "a:1"), (4, "b:1"), (8, "a:1"), (0, "a:1")] {
            let left = AtomicU32::new(silent);
            let call = async |_, _: Request<()>| {
                let is_silent = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
                is_silent.map_or(Ok(tonic::Response::new(())), |_| Err(Status::unavailable("refused")))
            };
            let ((), address) = client.call((), Repeat::Harmless, call).await.expect("an answer");
            assert_eq!(address, answers, "after {silent} silent ones");
        }
    }
}
