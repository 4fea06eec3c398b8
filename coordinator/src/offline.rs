//! What is done to a data directory while its coordinator is stopped: restored from a backup, or recovered from a lost
//! majority. The lock of the data directory is held meanwhile, so that no coordinator runs over it.

use helixflow_env::Env;
use helixflow_env::disk::Lock;
use helixflow_policy::state::{Coordinator, FEATURE_LEVEL};

use crate::config::CoordinatorConfig;
use crate::coordinator::claim;
use crate::error::CoordinatorError;
use crate::raft::{Backup, NewLife, Seat, Survivor};

/// A data directory whose coordinator is stopped.
pub struct Offline {
    seat: Seat,
    _lock: Lock,
}

impl Offline {
    /// Takes the data directory of this configuration; it is made when missing.
    pub fn open(config: &CoordinatorConfig, env: &Env) -> Result<Self, CoordinatorError> {
        config.check()?;
        let about = Coordinator {
            region: config.region.clone(),
            grpc: config.grpc.settled("grpc.listen")?,
            raft: config.raft.settled("raft.listen")?,
            level: FEATURE_LEVEL,
        };
        let lock = claim(config, env)?;
        let (cluster, data_dir) = (config.cluster.clone(), config.data_dir.clone());
        Ok(Self { seat: Seat { env: env.clone(), cluster, id: config.id, about, data_dir }, _lock: lock })
    }

    /// Makes the log of a new life of the cluster from a backup, with this coordinator as its only member. A directory
    /// that has a log is refused.
    pub async fn restore(&self, backup: Backup) -> Result<NewLife, CoordinatorError> {
        Ok(self.seat.restore(backup).await?)
    }

    /// What the coordinator holds, as a survivor of a lost majority. Nothing is changed.
    pub async fn survivor(&self) -> Result<Survivor, CoordinatorError> {
        Ok(self.seat.survivor().await?)
    }

    /// Begins a new life of the cluster from what the survivor holds, with it as the only member.
    pub async fn recover(&self, survivor: Survivor) -> Result<NewLife, CoordinatorError> {
        Ok(self.seat.recover(survivor).await?)
    }
}
