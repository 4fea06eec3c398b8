//! A new member: asked who it is, made known, a learner, and a voter once it has caught up.
//!
//! A voter that lacked the log would count for the quorum and could acknowledge nothing: until it had caught up, one
//! failure more would stop every write.

use std::time::Duration;

use helixflow_model::CoordinatorId;
use helixflow_policy::state::{Command, Outcome, Voting};
use helixflow_proto::context::CallContext;
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::AddCoordinatorProgress;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use tonic::Status;

use super::{POLL, step};
use crate::cluster::service::{refused, write_context};
use crate::cluster::status::member as told;
use crate::raft::{Change, Described, Handle, MemberView, Survey};

/// Entries that a learner may lack when it gets its vote: a round trip's worth, which replication sends meanwhile.
const CAUGHT_UP_WITHIN: u64 = 100;
/// A learner that gets nothing more of the log for this long is given up; a snapshot arrives as one piece.
const NO_PROGRESS: Duration = Duration::from_secs(60);

/// Where the steps are told.
type Progress = mpsc::Sender<Result<AddCoordinatorProgress, Status>>;

/// A coordinator that is to become a member.
pub(in crate::cluster) struct Add {
    pub(in crate::cluster) raft: Handle,
    pub(in crate::cluster) context: CallContext,
    /// `host:port` of the new coordinator's Raft port.
    pub(in crate::cluster) address: String,
    pub(in crate::cluster) voting: Voting,
}

impl Add {
    /// Takes every step that is left, and tells each. Whoever does not listen any more ends it; asked for again, it goes
    /// on from there.
    pub(in crate::cluster) async fn run(self, progress: Progress) {
        if let Err(status) = self.steps(&progress).await {
            // Nobody listens: nobody is told.
            let _ = progress.send(Err(status)).await;
        }
    }

    async fn steps(&self, progress: &Progress) -> Result<(), Status> {
        let newcomer = self.raft.identify(self.address.clone()).await?;
        let survey = step(&self.raft, Change::Survey, &self.context).await?;
        self.check(&newcomer, &survey)?;
        self.admit(&newcomer).await?;
        let Described { id, disk, about, .. } = &newcomer;
        let learner = Change::AddLearner { id: *id, raft: about.raft.clone(), disk: *disk };
        step(&self.raft, learner, &self.context).await?;
        let survey = self.catch_up(&newcomer, progress).await?;
        let survey = match self.voting {
            Voting::Observer => survey,
            Voting::Voter => step(&self.raft, Change::Promote { id: *id }, &self.context).await?,
        };
        let done = AddCoordinatorProgress { done: true, ..self.seen(&newcomer, &survey) };
        let _ = progress.send(Ok(done)).await;
        Ok(())
    }

    /// Judges what must not become a member, before anything is written.
    fn check(&self, newcomer: &Described, survey: &Survey) -> Result<(), Status> {
        let id = newcomer.id;
        let problem = match survey.members.get(&id) {
            Some(member) if member.disk != newcomer.disk => format!("{id} is a member with another disk"),
            Some(member) if member.votes && self.voting == Voting::Observer => {
                let message = format!("{id} is a voter: remove it, then add an observer under a new id");
                return Err(status(Reason::Refused, message));
            }
            Some(_) => return Ok(()),
            None if newcomer.has_log => format!("{id} at {} has a log of another group", self.address),
            None => return Ok(()),
        };
        let next = self.raft.state().borrow().next_coordinator();
        let message = format!("{problem}: give the new coordinator id = {} and an empty data_dir", next.0);
        Err(status(Reason::Refused, message))
    }

    async fn admit(&self, newcomer: &Described) -> Result<(), Status> {
        let Described { id, about, .. } = newcomer.clone();
        let admit = Command::AdmitCoordinator { id, coordinator: about, voting: self.voting };
        let applied = self.raft.propose(admit, write_context(&self.context)).await?;
        match &applied.outcome {
            Outcome::Refused { reason } => Err(refused(reason)),
            _ => Ok(()),
        }
    }

    async fn catch_up(&self, newcomer: &Described, progress: &Progress) -> Result<Survey, Status> {
        let mut best = None;
        let mut advanced = Instant::now();
        loop {
            let survey = step(&self.raft, Change::Survey, &self.context).await?;
            let matched = member(&survey, newcomer.id).and_then(|member| member.matched);
            if progress.send(Ok(self.seen(newcomer, &survey))).await.is_err() {
                return Err(Status::cancelled("the caller has gone"));
            }
            if matched.is_some_and(|at| at.saturating_add(CAUGHT_UP_WITHIN) >= survey.last_index) {
                return Ok(survey);
            }
            if matched > best {
                (best, advanced) = (matched, Instant::now());
            }
            if advanced.elapsed() > NO_PROGRESS {
                let message = format!(
                    "{} got nothing of the log for {NO_PROGRESS:?}: see its log, then give the same command again; it has no vote yet",
                    newcomer.id
                );
                return Err(status(Reason::DeadlineExceeded, message));
            }
            sleep(POLL).await;
        }
    }

    fn seen(&self, newcomer: &Described, survey: &Survey) -> AddCoordinatorProgress {
        let member = member(survey, newcomer.id);
        let role = match (member.is_some_and(|member| member.votes), self.voting) {
            (true, _) => "voter",
            (false, Voting::Observer) => "observer",
            (false, Voting::Voter) => "learner",
        };
        AddCoordinatorProgress {
            member: Some(told(newcomer.id, &newcomer.about)),
            role: role.to_owned(),
            matched_index: member.and_then(|member| member.matched).unwrap_or(0),
            last_index: survey.last_index,
            done: false,
        }
    }
}

fn member(survey: &Survey, id: CoordinatorId) -> Option<&MemberView> {
    survey.members.get(&id)
}
