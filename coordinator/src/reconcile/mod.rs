//! The leader's loop: observe state and reports, judge nodes, plan placement, propose; see to where the leader stands.
//!
//! What to do is decided by the pure functions of `helixflow-policy`; this shell observes, proposes and logs. It runs
//! where the reports arrive, not on Raft's runtime: a stall that delays reports delays the judge as well, and a judge
//! whose round comes late judges nobody.

mod leadership;
mod observer;

use std::sync::Arc;
use std::time::Duration;

use helixflow_env::Randomness;
use helixflow_model::RequestId;
use helixflow_policy::failover::{LeaseTerms, judge};
use helixflow_policy::placement::{Plan, plan};
use helixflow_policy::state::{ClusterState, Command, Outcome};
use helixflow_proto::context::CallContext;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument;

use self::leadership::Leadership;
use self::observer::Observer;
use crate::raft::{Applied, Handle, Role};
use crate::telemetry::Reports;

/// A round comes at least this often: leases run out without any event.
const ROUND: Duration = Duration::from_millis(500);
/// and at most this often, however fast the state changes.
const SHORTEST_PAUSE: Duration = Duration::from_millis(50);

/// Reconciles for as long as it is polled, whenever this coordinator leads. `random` draws an id for each round.
pub(crate) async fn run(
    raft: Handle,
    reports: watch::Receiver<Arc<Reports>>,
    terms: LeaseTerms,
    random: Arc<dyn Randomness>,
) {
    let mut state = raft.state();
    let mut leading: Option<(Observer, Leadership)> = None;
    loop {
        // The sender lives as long as Raft: once it is gone, rounds follow on each other after the pause.
        if timeout(ROUND, state.changed()).await.is_ok() {
            sleep(SHORTEST_PAUSE).await;
        }
        let now = Instant::now();
        let known = Arc::clone(&state.borrow_and_update());
        let standing = raft.standing();
        if standing.role != Role::Leader || known.identity().is_none() {
            leading = None;
            continue;
        }
        let (observer, leadership) =
            leading.get_or_insert_with(|| (Observer::begin(terms, &known, now), Leadership::begin(now)));
        let heard = Arc::clone(&reports.borrow());
        let context = CallContext::new(RequestId::drawn(random.next_u64()));
        let span = tracing::info_span!("reconcile", term = standing.term, epoch = known.epoch().0, request_id = %context.request_id);
        let proposer = Proposer { raft: &raft, context };
        let work = async {
            round(&proposer, &known, &heard, observer, now).await;
            leadership.round(&raft, &known, &proposer.context, now).await;
        };
        work.instrument(span).await;
    }
}

/// One round: changes of health first, for the plan depends on them and is then made in the next round.
async fn round(
    proposer: &Proposer<'_>,
    state: &ClusterState,
    reports: &Reports,
    observer: &mut Observer,
    now: Instant,
) {
    let leases = observer.leases(state, reports, now);
    let changes = judge(state, &leases, observer.terms());
    if changes.is_empty() {
        let plan = plan(state, &observer.observed(&leases, now));
        log_plan(&plan);
        if let Some(command) = plan.into_command() {
            proposer.propose(command).await;
        }
        return;
    }
    for change in changes {
        if let Command::SetNodeHealth { node, health, .. } = &change {
            let silent = leases.silence(*node);
            tracing::warn!(%node, ?health, silent_ms = silent.as_millis() as u64, "a node's health changes");
        }
        proposer.propose(change).await;
    }
}

fn log_plan(plan: &Plan) {
    for step in &plan.moves {
        tracing::info!(reason = %step.reason(), replica = ?step.replica(), step = ?step, "a move is proposed");
    }
}

/// Writes on behalf of one round.
struct Proposer<'a> {
    raft: &'a Handle,
    context: CallContext,
}

impl Proposer<'_> {
    /// Proposes one command. What is refused or fails is planned again by a later round.
    async fn propose(&self, command: Command) {
        match self.raft.propose(command, self.context.clone()).await {
            Ok(Applied { outcome: Outcome::Refused { reason }, index }) => {
                tracing::info!(%reason, index, "the proposal was refused");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the proposal failed"),
        }
    }
}
