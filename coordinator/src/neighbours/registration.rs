//! This coordinator's record in the state and its address in Raft's membership, kept as its configuration says.
//!
//! The Raft address comes first: until the leader knows it, nothing else reaches this coordinator. The disk tells that it
//! is the same one. Addresses change one coordinator at a time, for the others have to be a majority meanwhile.

use helixflow_policy::state::{Command, Outcome};

use super::Neighbours;
use crate::raft::{Change, Standing};

impl Neighbours {
    /// Proposes what differs. What fails is tried again in the next round.
    pub(super) async fn keep_registered(&self, standing: &Standing) {
        let (id, disk) = self.raft.us();
        let Some(known) = standing.members.get(&id) else { return };
        if *known != self.about.raft {
            let raft = self.about.raft.clone();
            tracing::info!(from = %known, to = %raft, "the Raft address has changed; the group is told");
            let moved = self.raft.change(Change::Move { id, raft, disk }, self.context()).await;
            if let Err(error) = moved {
                tracing::warn!(%error, "the group does not know the new Raft address yet");
            }
            return;
        }
        // One that is being removed is not known any more, and does not come back by itself.
        let registered = self.raft.state().borrow().coordinators().get(&id).cloned();
        if standing.leader.is_some() && registered.is_some_and(|known| known != self.about) {
            self.register().await;
        }
    }

    async fn register(&self) {
        let (id, coordinator) = (self.raft.us().0, self.about.clone());
        let command = Command::RegisterCoordinator { id, coordinator };
        match self.raft.propose(command, self.context()).await {
            Ok(applied) => match applied.outcome {
                Outcome::Refused { reason } => {
                    tracing::warn!(%reason, "this coordinator's record was refused");
                }
                _ => tracing::info!(%id, "this coordinator's record is as its configuration says"),
            },
            Err(error) => tracing::warn!(%error, "this coordinator's record was not written"),
        }
    }
}
