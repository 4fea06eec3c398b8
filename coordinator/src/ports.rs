//! The three ports, all opened before anything is served: a port in use is an error that names it.

use std::net::SocketAddr;

use helixflow_env::Env;
use helixflow_env::net::Listener;
use helixflow_model::Region;
use helixflow_policy::state::{Coordinator, FEATURE_LEVEL};
use tokio::runtime::Handle as Runtime;

use crate::config::CoordinatorConfig;
use crate::error::CoordinatorError;

/// Where a coordinator is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// `host:port` for clients, nodes and operators.
    pub grpc: String,
    /// `host:port` for the other coordinators.
    pub raft: String,
    /// Where metrics and probes are.
    pub http: SocketAddr,
}

impl Addresses {
    /// The record of a coordinator in this region, as the others know it.
    pub(crate) fn record(&self, region: Region) -> Coordinator {
        Coordinator { region, grpc: self.grpc.clone(), raft: self.raft.clone(), level: FEATURE_LEVEL }
    }
}

/// The ports, open.
pub(crate) struct Ports {
    pub(crate) grpc: Listener,
    pub(crate) raft: Listener,
    pub(crate) http: Listener,
    pub(crate) addresses: Addresses,
}

impl Ports {
    /// Opens all three; Raft's on Raft's runtime, which accepts its connections.
    pub(crate) async fn bind(
        config: &CoordinatorConfig,
        env: &Env,
        raft_runtime: &Runtime,
    ) -> Result<Self, CoordinatorError> {
        let grpc = bind(env, "grpc.listen", config.grpc.listen).await?;
        let http = bind(env, "http.listen", config.http.listen).await?;
        let (raft_env, listen) = (env.clone(), config.raft.listen);
        let raft = raft_runtime.spawn(async move { bind(&raft_env, "raft.listen", listen).await });
        let died = |source| CoordinatorError::Server { name: "Raft port's", source: Box::new(source) };
        let raft = raft.await.map_err(died)??;
        let addresses = Addresses {
            grpc: config.grpc.advertised(grpc.local_addr()),
            raft: config.raft.advertised(raft.local_addr()),
            http: http.local_addr(),
        };
        Ok(Self { grpc, raft, http, addresses })
    }
}

async fn bind(env: &Env, key: &'static str, address: SocketAddr) -> Result<Listener, CoordinatorError> {
    env.network.bind(address).await.map_err(|source| CoordinatorError::Bind { key, address, source })
}
