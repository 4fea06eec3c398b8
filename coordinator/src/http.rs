//! The HTTP port: metrics in Prometheus form, and probes.
//!
//! `/healthz` says that the process answers; `/readyz` that it knows its cluster and can serve from what it knows, with
//! or without a quorum.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use helixflow_env::net::{Connection, Listener};
use metrics_exporter_prometheus::PrometheusHandle;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::sleep;

use crate::raft::{Handle, Role};

/// A listener that fails (no file descriptors left) is asked again after this pause.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone)]
struct Shown {
    raft: Handle,
    metrics: PrometheusHandle,
}

/// Serves until `stop` is done.
pub(crate) async fn serve(
    listener: Listener,
    raft: Handle,
    metrics: PrometheusHandle,
    stop: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    let router = Router::new()
        .route("/metrics", get(render))
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .with_state(Shown { raft, metrics });
    axum::serve(Accepting(listener), router).with_graceful_shutdown(stop).await
}

async fn ready(State(shown): State<Shown>) -> (StatusCode, String) {
    const NO_MEMBER: &str =
        "not a member of a cluster yet: see helixflow cluster bootstrap, or helixflow coordinator add";
    if shown.raft.state().borrow().identity().is_some() {
        return (StatusCode::OK, "ok\n".to_owned());
    }
    let why = shown.raft.standing().misdirected.unwrap_or_else(|| NO_MEMBER.to_owned());
    (StatusCode::SERVICE_UNAVAILABLE, why + "\n")
}

async fn render(State(shown): State<Shown>) -> String {
    let standing = shown.raft.standing();
    metrics::gauge!("helixflow_raft_term").set(standing.term as f64);
    metrics::gauge!("helixflow_raft_applied_index").set(standing.applied as f64);
    metrics::gauge!("helixflow_raft_is_leader").set(f64::from(u8::from(standing.role == Role::Leader)));
    if let Some(age) = standing.quorum_age {
        metrics::gauge!("helixflow_raft_quorum_age_seconds").set(age.as_secs_f64());
    }
    shown.metrics.render()
}

/// Our listener, as axum takes it.
struct Accepting(Listener);

impl axum::serve::Listener for Accepting {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        loop {
            match self.0.accept().await {
                Ok(connection) => {
                    let peer = connection.peer().unwrap_or(self.0.local_addr());
                    return (connection, peer);
                }
                Err(error) => {
                    tracing::warn!(%error, "an HTTP connection was not accepted");
                    sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.local_addr())
    }
}
