//! What a group is built on: an async runtime, and the state machine behind the log.
//!
//! Production has one of each. A simulation brings a seeded runtime, and a state machine that may have a planted fault.

use bytes::Bytes;
use openraft::AsyncRuntime;
use openraft::storage::RaftStateMachine;

use super::machine::Machine;
use super::runtime::RestingRuntime;
use super::types::TypeConfig;

/// A runtime, and the state machine that goes with it.
pub(crate) trait Platform: AsyncRuntime + Sized {
    /// Applies the log.
    type Machine: RaftStateMachine<TypeConfig<Self>, SnapshotData = Bytes>;
}

impl Platform for RestingRuntime {
    type Machine = Machine;
}

#[cfg(test)]
impl Platform for openraft_rt_tokio::TokioRuntime {
    type Machine = Machine;
}
