//! `grpc.health.v1`: whether requests are answered, not whether a port is open.
//!
//! A node reports a replica ready only after it has produced tokens, and says so again and again; the gateway is ready
//! while it has lately heard of one such replica. The library's own service ends a watch of an unknown name; the specification
//! wants it open, hence this one over the library's types.

use std::collections::BTreeMap;
use std::pin::Pin;

use futures::{Stream, StreamExt};
use helixflow_proto::error::{Reason, status};
use tokio::sync::watch;
use tokio_stream::wrappers::WatchStream;
use tonic::{Code, Request, Response, Status};
use tonic_health::ServingStatus;
use tonic_health::pb::health_check_response::ServingStatus as WireStatus;
use tonic_health::pb::health_server::Health;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// Names that follow readiness: the server as a whole, and what needs a replica.
const READY_NAMES: [&str; 4] =
    ["", "readiness", "helixflow.v1.InferenceService", "inference.GRPCInferenceService"];
/// Names that are served for as long as the process answers at all.
const LIVE_NAMES: [&str; 3] = ["liveness", "helixflow.v1.ClusterService", "helixflow.v1.TelemetryService"];

/// Each name's status.
pub(super) type Statuses = BTreeMap<&'static str, ServingStatus>;

/// The statuses of a gateway that has, or has not, a ready replica, and that is, or is not, going away.
pub(super) fn statuses(has_replica: bool, draining: bool) -> Statuses {
    let serving = |yes: bool| if yes { ServingStatus::Serving } else { ServingStatus::NotServing };
    let ready = READY_NAMES.map(|name| (name, serving(has_replica && !draining)));
    let live = LIVE_NAMES.map(|name| (name, serving(!draining)));
    ready.into_iter().chain(live).collect()
}

/// Whether the server as a whole serves.
pub(super) fn is_serving(statuses: &Statuses) -> bool {
    statuses.get("") == Some(&ServingStatus::Serving)
}

/// Answers Check and Watch from the latest statuses.
#[derive(Clone, Debug)]
pub(super) struct HealthService {
    statuses: watch::Receiver<Statuses>,
}

impl HealthService {
    pub(super) fn new(statuses: watch::Receiver<Statuses>) -> Self {
        Self { statuses }
    }
}

#[tonic::async_trait]
impl Health for HealthService {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let name = request.into_inner().service;
        match self.statuses.borrow().get(name.as_str()) {
            Some(status) => Ok(Response::new(reply((*status).into()))),
            None => {
                let known: Vec<&str> =
                    READY_NAMES.iter().chain(&LIVE_NAMES).copied().filter(|n| !n.is_empty()).collect();
                Err(Status::new(
                    Code::NotFound,
                    format!("{name:?} is not served here; ask for one of {}", known.join(", ")),
                ))
            }
        }
    }

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let name = request.into_inner().service;
        let of = move |statuses: &Statuses| {
            statuses.get(name.as_str()).map_or(WireStatus::ServiceUnknown, |s| (*s).into())
        };
        let mut last = None;
        let changes = WatchStream::new(self.statuses.clone()).filter_map(move |statuses| {
            let now = of(&statuses);
            let told = last.replace(now) == Some(now);
            std::future::ready((!told).then(|| Ok(reply(now))))
        });
        // When the statuses end, the process does.
        let farewell =
            futures::stream::once(async { Err(status(Reason::Draining, "this coordinator is going away")) });
        Ok(Response::new(Box::pin(changes.chain(farewell))))
    }
}

fn reply(status: WireStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(name: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest { service: name.to_owned() })
    }

    #[tokio::test]
    async fn readiness_follows_the_replicas_and_liveness_does_not() {
        let (_keep, statuses) = watch::channel(statuses(false, false));
        let health = HealthService::new(statuses);
        let told =
            async |name| health.check(ask(name)).await.map(|r| r.into_inner().status()).map_err(|s| s.code());
        assert_eq!(told("").await, Ok(WireStatus::NotServing));
        assert_eq!(told("liveness").await, Ok(WireStatus::Serving));
        assert_eq!(told("no.such.Service").await, Err(Code::NotFound));
    }

    #[tokio::test]
    async fn a_watch_tells_each_change_once_and_of_an_unknown_name_stays_open() {
        let (sender, receiver) = watch::channel(statuses(false, false));
        let health = HealthService::new(receiver);
        let mut ready = health.watch(ask("readiness")).await.expect("a watch").into_inner();
        let mut unknown = health.watch(ask("no.such.Service")).await.expect("a watch").into_inner();
        let mut next = async || ready.next().await.and_then(Result::ok).map(|r| r.status());
        assert_eq!(next().await, Some(WireStatus::NotServing));
        sender.send_replace(statuses(false, false));
        sender.send_replace(statuses(true, false));
        assert_eq!(next().await, Some(WireStatus::Serving));
        let first = unknown.next().await.and_then(Result::ok).map(|r| r.status());
        assert_eq!(first, Some(WireStatus::ServiceUnknown));
        assert!(futures::poll!(unknown.next()).is_pending());
    }
}
