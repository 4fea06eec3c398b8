//! Where the leader stands: handed over by the order of preference in the state; and changes of the voters made whole
//! that another leader left half made.

use std::collections::BTreeMap;

use helixflow_model::CoordinatorId;
use helixflow_policy::failover::{Standings, VoterView, successor};
use helixflow_policy::state::ClusterState;
use helixflow_proto::context::CallContext;
use tokio::time::Instant;

use crate::raft::{Change, Handle, Survey};

/// What this leader knows of its own leadership.
pub(super) struct Leadership {
    /// Since when it leads, or when it last tried to hand its place over.
    settled: Instant,
    /// Whether a change was half made in the last round: one that is under way is whole by the next.
    was_half_made: bool,
}

impl Leadership {
    pub(super) fn begin(now: Instant) -> Self {
        Self { settled: now, was_half_made: false }
    }

    /// Looks at the group once, and does what is due.
    pub(super) async fn round(
        &mut self,
        raft: &Handle,
        state: &ClusterState,
        context: &CallContext,
        now: Instant,
    ) {
        let Ok(survey) = raft.change(Change::Survey, context.clone()).await else { return };
        if !survey.settled && self.was_half_made {
            tracing::warn!("a change of the voters was left half made, and is made whole");
            ask(raft, Change::Settle, context).await;
        }
        self.was_half_made = !survey.settled;
        if let Some(to) = successor(state, &self.standings(&survey, now)) {
            tracing::info!(%to, "the leader's place goes to a region that is preferred");
            self.settled = now;
            ask(raft, Change::HandOver { to }, context).await;
        }
    }

    fn standings(&self, survey: &Survey, now: Instant) -> Standings {
        let others = survey.members.iter().filter(|(id, member)| **id != survey.leader && member.votes);
        let voters: BTreeMap<CoordinatorId, VoterView> = others
            .map(|(id, member)| {
                let lag = survey.last_index.saturating_sub(member.matched.unwrap_or(0));
                (*id, VoterView { lag, silent: member.silent })
            })
            .collect();
        Standings { leader: survey.leader, settled: now.saturating_duration_since(self.settled), voters }
    }
}

async fn ask(raft: &Handle, change: Change, context: &CallContext) {
    if let Err(error) = raft.change(change, context.clone()).await {
        tracing::warn!(%error, "the group was not changed");
    }
}
