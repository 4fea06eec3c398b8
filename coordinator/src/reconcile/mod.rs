//! The loop that turns what is seen into proposals: nodes are judged by whoever speaks for their region, placement is
//! planned by the leader, which also sees to where it stands.
//!
//! What to do is decided by the pure functions of `helixflow-policy`; this shell observes, proposes and logs. It runs
//! where the reports arrive, not on Raft's runtime: a stall that delays reports delays the judge as well, and a judge
//! whose round comes late judges nobody.

mod leadership;
mod observer;

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use helixflow_env::Randomness;
use helixflow_model::RequestId;
use helixflow_policy::failover::{LeaseTerms, Leases, Wards, judge};
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

/// Reconciles for as long as it is polled, whenever this coordinator leads or `speaks` for its region. `random` draws an id
/// for each round.
pub(crate) async fn run(
    raft: Handle,
    reports: watch::Receiver<Arc<Reports>>,
    speaks: watch::Receiver<bool>,
    terms: LeaseTerms,
    random: Arc<dyn Randomness>,
) {
    let mut state = raft.state();
    let mut observing: Option<Observer> = None;
    let mut leading: Option<Leadership> = None;
    loop {
        // The sender lives as long as Raft: once it is gone, rounds follow on each other after the pause.
        if timeout(ROUND, state.changed()).await.is_ok() {
            sleep(SHORTEST_PAUSE).await;
        }
        let now = Instant::now();
        let known = Arc::clone(&state.borrow_and_update());
        let standing = raft.standing();
        let leads = standing.role == Role::Leader && known.identity().is_some();
        if !leads {
            leading = None;
        }
        let wards = Wards::of(&known, standing.us, leads, *speaks.borrow());
        if !leads && wards.is_empty() {
            observing = None;
            continue;
        }
        let observer = observing.get_or_insert_with(|| Observer::begin(terms, &known, now));
        let reports = Arc::clone(&reports.borrow());
        let context = CallContext::new(RequestId::drawn(random.next_u64()));
        let span = tracing::info_span!("reconcile", term = standing.term, epoch = known.epoch().0, request_id = %context.request_id);
        let proposer = Proposer { raft: &raft, context };
        let seen =
            Seen { state: &known, reports: &reports, leases: observer.leases(&known, &reports, now), now };
        let work = async {
            let all_judged = judge_round(&proposer, &seen, &wards, observer).await;
            if leads {
                if all_judged {
                    plan_round(&proposer, &seen, observer).await;
                }
                let leadership = leading.get_or_insert_with(|| Leadership::begin(now));
                leadership.round(&raft, &known, &proposer.context, now).await;
            }
        };
        work.instrument(span).await;
    }
}

/// What one round goes by.
struct Seen<'a> {
    state: &'a ClusterState,
    reports: &'a Reports,
    leases: Leases,
    now: Instant,
}

/// Proposes what has changed with this judge's wards; tells whether the health of all of them is as the state says. Where
/// it is not, the plan depends on it and is made in the next round.
async fn judge_round(
    proposer: &Proposer<'_>,
    seen: &Seen<'_>,
    wards: &Wards<'_>,
    observer: &mut Observer,
) -> bool {
    let changes = judge(seen.state, &seen.leases, observer.terms(), wards);
    for change in &changes {
        if let Command::SetNodeHealth { node, health, .. } = change {
            let silent = seen.leases.silence(*node);
            tracing::warn!(%node, ?health, silent_ms = silent.as_millis() as u64, "a node's health changes");
        }
    }
    let all_judged = changes.is_empty();
    let heat = observer.heat(seen.state, seen.reports, wards, seen.now);
    if let Some(Command::RecordHeat { changes }) = &heat {
        tracing::info!(nodes = changes.len(), "bands and duties are recorded");
    }
    // The way to the leader may be long: all of a round goes at once.
    join_all(changes.into_iter().chain(heat).map(|command| proposer.propose(command))).await;
    all_judged
}

async fn plan_round(proposer: &Proposer<'_>, seen: &Seen<'_>, observer: &mut Observer) {
    let plan = plan(seen.state, &observer.observed(seen.reports, &seen.leases, seen.now));
    log_plan(&plan);
    if let Some(command) = plan.into_command() {
        proposer.propose(command).await;
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
