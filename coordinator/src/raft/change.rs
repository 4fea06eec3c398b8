//! Changes of the membership, one step at a time, as the leader makes them; and the survey of the group that it can give.
//!
//! Each step may be asked for again: what is so already changes nothing. What belongs together (a learner that catches up
//! and then votes, a leader that hands its place over before it goes) is put together by `cluster::members`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use helixflow_model::CoordinatorId;
use helixflow_policy::failover::{LARGEST_LAG, LONGEST_SILENCE};
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, Fatal, RaftError};
use openraft::{ChangeMembers, Instant as _, RaftMetrics};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep};

use super::group::Group;
use super::platform::Platform;
use super::record::ChangeReply;
use super::types::{DiskId, Member, TypeConfig};

/// How often the leader looks who has answered meanwhile: a few times a heartbeat.
const HEARD_POLL: Duration = Duration::from_millis(20);

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// Changes nothing: the survey is all that is asked for.
    Survey,
    /// Lets a coordinator follow the log without a vote.
    AddLearner {
        /// Who.
        id: CoordinatorId,
        /// `host:port` of its Raft port.
        raft: String,
        /// The disk that its log will lie on.
        disk: DiskId,
    },
    /// Gives a learner that has caught up a vote.
    Promote {
        /// Which.
        id: CoordinatorId,
    },
    /// Gives a member another address. Its disk, and so its log, is the same.
    Move {
        /// Which.
        id: CoordinatorId,
        /// `host:port` of its Raft port from now on.
        raft: String,
        /// Its disk, which has to be the one that is known.
        disk: DiskId,
    },
    /// Changes nothing, and tells whether a member can be taken out now.
    CheckRemoval {
        /// Which.
        id: CoordinatorId,
    },
    /// Takes a member out of the group.
    Remove {
        /// Which.
        id: CoordinatorId,
    },
    /// Makes a change of the voters whole that is half made.
    Settle,
    /// Begins to hand the leader's place over. That it is handed over shows in the next leader.
    HandOver {
        /// To whom.
        to: CoordinatorId,
    },
}

/// The group, as its leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Survey {
    /// Who leads.
    pub leader: CoordinatorId,
    /// The last index of its log.
    pub last_index: u64,
    /// Whether no change of the voters is half made: its leader was lost between the two entries that it takes.
    pub settled: bool,
    /// Everybody who follows the log, the leader itself included.
    pub members: BTreeMap<CoordinatorId, MemberView>,
}

/// One member, as the leader sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemberView {
    /// `host:port` of its Raft port.
    pub raft: String,
    /// Its disk.
    pub disk: DiskId,
    /// Whether it has a vote.
    pub votes: bool,
    /// The last index that it is known to hold.
    pub matched: Option<u64>,
    /// How long ago it answered last.
    pub silent: Option<Duration>,
}

impl Survey {
    /// The voter that has most of the log besides the leader, of those that can lead.
    pub(crate) fn heir(&self) -> Option<CoordinatorId> {
        let able = |(id, member): &(&CoordinatorId, &MemberView)| {
            **id != self.leader && member.can_lead(self.last_index)
        };
        self.members.iter().filter(able).max_by_key(|(_, member)| member.matched).map(|(id, _)| *id)
    }
}

impl MemberView {
    /// Whether it answers and has about everything that the leader has.
    fn can_lead(&self, last_index: u64) -> bool {
        let caught_up = self.matched.is_some_and(|at| at.saturating_add(LARGEST_LAG) >= last_index);
        self.votes && caught_up && self.answers()
    }

    fn answers(&self) -> bool {
        self.silent.is_some_and(|silent| silent < LONGEST_SILENCE)
    }
}

/// Why a step was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ChangeRefusal {
    /// Another disk is known under the id.
    #[error("{id} is a member with another disk: give the new coordinator another id and an empty data_dir")]
    OtherDisk {
        /// Who.
        id: CoordinatorId,
    },
    /// Somebody else is reached at the address.
    #[error("{raft} is the address of {id}: give the new coordinator a port of its own")]
    AddressTaken {
        /// The address.
        raft: String,
        /// Whose it is.
        id: CoordinatorId,
    },
    /// It does not follow the log.
    #[error("{id} is no member of the group: see helixflow coordinator list")]
    NotAMember {
        /// Who.
        id: CoordinatorId,
    },
    /// The group would have no voter.
    #[error("{id} is the last voter: add another one first")]
    LastVoter {
        /// Who.
        id: CoordinatorId,
    },
    /// Too few of those who stay answer.
    #[error(
        "without {id} only {alive} of {voters} voters would answer, which is no majority: start the others first, or remove those that are gone for good"
    )]
    NoMajority {
        /// Who should go.
        id: CoordinatorId,
        /// Those who stay and answer.
        alive: usize,
        /// Those who stay.
        voters: usize,
    },
    /// It cannot lead now.
    #[error("{id} cannot lead now: it has no vote, does not answer or lacks too much of the log")]
    CannotLead {
        /// Who.
        id: CoordinatorId,
    },
    /// Another change is under way.
    #[error("another change of the membership is under way: try again shortly")]
    Busy,
    /// Raft itself refuses.
    #[error("Raft refuses the change: {0}")]
    Raft(String),
}

/// Why the leader did not make a step.
enum Undone {
    Refused(ChangeRefusal),
    NotLeader(Option<CoordinatorId>),
    Unknown,
}

impl From<ChangeRefusal> for Undone {
    fn from(refusal: ChangeRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Makes a step, where this coordinator leads.
pub(super) async fn change<R: Platform>(
    group: &Group<R>,
    change: Change,
) -> Result<ChangeReply, Fatal<TypeConfig<R>>> {
    let surveyed = match &change {
        Change::Remove { id } | Change::CheckRemoval { id } => survey_before_removal(group, *id).await,
        _ => survey(group),
    };
    let Some(survey) = surveyed else {
        return Ok(ChangeReply::NotLeader { leader: group.standing().leader });
    };
    let is_question = matches!(change, Change::Survey | Change::CheckRemoval { .. });
    let made = match prepare(&survey, change) {
        Ok(Step::None) if survey.settled || is_question => Ok(()),
        // The change to no other voters makes whole what is half made.
        Ok(Step::None) => commit(group, ChangeMembers::AddVoterIds(BTreeSet::new()), false).await?,
        Ok(Step::Membership(members, retain)) => commit(group, members, retain).await?,
        Ok(Step::HandOver(to)) => {
            group.raft().trigger().transfer_leader(to).await?;
            Ok(())
        }
        Err(refusal) => Err(refusal.into()),
    };
    Ok(match made {
        Ok(()) => ChangeReply::Done(self::survey(group).unwrap_or(survey)),
        Err(Undone::Refused(refusal)) => ChangeReply::Refused(refusal),
        Err(Undone::NotLeader(leader)) => ChangeReply::NotLeader { leader },
        Err(Undone::Unknown) => ChangeReply::Unknown,
    })
}

/// What openraft is to do.
enum Step {
    None,
    /// A change of the membership, and whether voters that lose their vote stay as learners.
    Membership(ChangeMembers<CoordinatorId, Member>, bool),
    HandOver(CoordinatorId),
}

/// Judges a step by how the group stands: pure.
fn prepare(survey: &Survey, change: Change) -> Result<Step, ChangeRefusal> {
    match change {
        Change::Survey | Change::Settle => Ok(Step::None),
        Change::AddLearner { id, raft, disk } => add_learner(survey, id, raft, disk),
        Change::Move { id, raft, disk } => {
            let member = known(survey, id)?;
            if member.disk != disk {
                return Err(ChangeRefusal::OtherDisk { id });
            }
            if member.raft == raft {
                return Ok(Step::None);
            }
            address_is_free(survey, id, &raft)?;
            let moved = BTreeMap::from([(id, Member { raft, disk })]);
            Ok(Step::Membership(ChangeMembers::SetNodes(moved), true))
        }
        Change::Promote { id } if known(survey, id)?.votes => Ok(Step::None),
        Change::Promote { id } => {
            Ok(Step::Membership(ChangeMembers::AddVoterIds(BTreeSet::from([id])), true))
        }
        Change::CheckRemoval { id } => remove(survey, id).map(|_| Step::None),
        Change::Remove { id } => remove(survey, id),
        Change::HandOver { to } => hand_over(survey, to),
    }
}

fn known(survey: &Survey, id: CoordinatorId) -> Result<&MemberView, ChangeRefusal> {
    survey.members.get(&id).ok_or(ChangeRefusal::NotAMember { id })
}

fn address_is_free(survey: &Survey, id: CoordinatorId, raft: &str) -> Result<(), ChangeRefusal> {
    match survey.members.iter().find(|(other, member)| **other != id && member.raft == raft) {
        Some((other, _)) => Err(ChangeRefusal::AddressTaken { raft: raft.to_owned(), id: *other }),
        None => Ok(()),
    }
}

fn add_learner(
    survey: &Survey,
    id: CoordinatorId,
    raft: String,
    disk: DiskId,
) -> Result<Step, ChangeRefusal> {
    address_is_free(survey, id, &raft)?;
    match survey.members.get(&id) {
        Some(member) if member.disk == disk => Ok(Step::None),
        Some(_) => Err(ChangeRefusal::OtherDisk { id }),
        None => {
            let learner = BTreeMap::from([(id, Member { raft, disk })]);
            Ok(Step::Membership(ChangeMembers::AddNodes(learner), true))
        }
    }
}

/// A change needs a majority of those who vote before it, and of those who vote after it: one that cannot have it would
/// stand in the way of every write, so it is not begun.
fn remove(survey: &Survey, id: CoordinatorId) -> Result<Step, ChangeRefusal> {
    match survey.members.get(&id) {
        None => return Ok(Step::None),
        Some(member) if !member.votes => {
            return Ok(Step::Membership(ChangeMembers::RemoveNodes(BTreeSet::from([id])), false));
        }
        Some(_) => {}
    }
    let stay = |(other, member): &(&CoordinatorId, &MemberView)| **other != id && member.votes;
    let voters = survey.members.iter().filter(stay).count();
    let alive = survey.members.iter().filter(stay).filter(|(_, member)| member.answers()).count();
    if voters == 0 {
        return Err(ChangeRefusal::LastVoter { id });
    }
    if alive <= voters / 2 {
        return Err(ChangeRefusal::NoMajority { id, alive, voters });
    }
    Ok(Step::Membership(ChangeMembers::RemoveVoters(BTreeSet::from([id])), false))
}

fn hand_over(survey: &Survey, to: CoordinatorId) -> Result<Step, ChangeRefusal> {
    if to == survey.leader {
        return Ok(Step::None);
    }
    if known(survey, to)?.can_lead(survey.last_index) {
        Ok(Step::HandOver(to))
    } else {
        Err(ChangeRefusal::CannotLead { id: to })
    }
}

/// Waits until a majority of those who stay have answered since it was asked, for that is what the removal needs next: one
/// that fell silent a moment ago does not count.
async fn survey_before_removal<R: Platform>(group: &Group<R>, id: CoordinatorId) -> Option<Survey> {
    let begun = Instant::now();
    loop {
        let mut survey = survey(group)?;
        for member in survey.members.values_mut() {
            member.silent = member.silent.filter(|silent| *silent < begun.elapsed());
        }
        if remove(&survey, id).is_ok() || begun.elapsed() > LONGEST_SILENCE {
            return Some(survey);
        }
        sleep(HEARD_POLL).await;
    }
}

async fn commit<R: Platform>(
    group: &Group<R>,
    members: ChangeMembers<CoordinatorId, Member>,
    retain: bool,
) -> Result<Result<(), Undone>, Fatal<TypeConfig<R>>> {
    let error = match group.raft().change_membership(members, retain).await {
        Ok(_) => return Ok(Ok(())),
        Err(RaftError::Fatal(fatal)) => return Err(fatal),
        Err(RaftError::APIError(error)) => error,
    };
    Ok(Err(match error {
        ClientWriteError::ForwardToLeader(to) => {
            Undone::NotLeader(to.leader_id.filter(|leader| *leader != group.us().id))
        }
        ClientWriteError::ChangeMembershipError(ChangeMembershipError::InProgress(_)) => {
            ChangeRefusal::Busy.into()
        }
        ClientWriteError::ChangeMembershipError(error) => ChangeRefusal::Raft(error.to_string()).into(),
        _ => Undone::Unknown,
    }))
}

/// How the group stands, where this coordinator leads.
fn survey<R: Platform>(group: &Group<R>) -> Option<Survey> {
    let metrics = group.raft().metrics();
    let metrics = metrics.borrow_watched();
    let us = group.us().id;
    (metrics.current_leader == Some(us) && metrics.replication.is_some()).then(|| {
        let voters: BTreeSet<CoordinatorId> = metrics.membership_config.voter_ids().collect();
        let view = |(id, member): (&CoordinatorId, &Member)| (*id, view(&metrics, us, *id, member, &voters));
        Survey {
            leader: us,
            last_index: metrics.last_log_index.unwrap_or(0),
            settled: metrics.membership_config.membership().get_joint_config().len() < 2,
            members: metrics.membership_config.nodes().map(view).collect(),
        }
    })
}

fn view<R: Platform>(
    metrics: &RaftMetrics<TypeConfig<R>>,
    us: CoordinatorId,
    id: CoordinatorId,
    member: &Member,
    voters: &BTreeSet<CoordinatorId>,
) -> MemberView {
    let (matched, silent) = if id == us {
        (metrics.last_log_index, Some(Duration::ZERO))
    } else {
        let matched = metrics.replication.as_ref().and_then(|all| all.get(&id)?.map(|at| at.index));
        let heard = metrics.heartbeat.as_ref().and_then(|all| all.get(&id)?.as_ref().map(|at| at.elapsed()));
        (matched, heard)
    };
    MemberView { raft: member.raft.clone(), disk: member.disk, votes: voters.contains(&id), matched, silent }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Voters 1 to `voters`, led by the first; those in `silent` have not answered for long.
    fn survey(voters: u64, silent: &[u64]) -> Survey {
        let member = |id: u64| MemberView {
            raft: format!("host:{id}"),
            disk: DiskId(id.into()),
            votes: true,
            matched: Some(10),
            silent: Some(if silent.contains(&id) { LONGEST_SILENCE } else { Duration::ZERO }),
        };
        let members = (1..=voters).map(|id| (CoordinatorId(id), member(id))).collect();
        Survey { leader: CoordinatorId(1), last_index: 10, settled: true, members }
    }

    fn refusal(survey: &Survey, change: Change) -> Option<ChangeRefusal> {
        prepare(survey, change).err()
    }

    #[test]
    fn a_removal_that_would_leave_no_majority_is_not_begun() {
        let remove = |id| Change::Remove { id: CoordinatorId(id) };
        assert_eq!(
            refusal(&survey(1, &[]), remove(1)),
            Some(ChangeRefusal::LastVoter { id: CoordinatorId(1) })
        );
        assert_eq!(refusal(&survey(3, &[3]), remove(3)), None);
        let id = CoordinatorId(2);
        let no_majority = ChangeRefusal::NoMajority { id, alive: 1, voters: 2 };
        assert_eq!(refusal(&survey(3, &[3]), remove(2)), Some(no_majority));
        assert_eq!(refusal(&survey(5, &[5]), remove(2)), None);
        assert_eq!(refusal(&survey(3, &[]), remove(9)), None);
    }

    #[test]
    fn a_learner_under_a_known_id_or_address_is_refused_and_the_same_once_more_is_not() {
        let add = |id: u64, raft: &str, disk: u128| Change::AddLearner {
            id: CoordinatorId(id),
            raft: raft.to_owned(),
            disk: DiskId(disk),
        };
        assert!(matches!(prepare(&survey(3, &[]), add(3, "host:3", 3)), Ok(Step::None)));
        assert_eq!(
            refusal(&survey(3, &[]), add(3, "host:3", 4)),
            Some(ChangeRefusal::OtherDisk { id: CoordinatorId(3) })
        );
        let taken = ChangeRefusal::AddressTaken { raft: "host:3".to_owned(), id: CoordinatorId(3) };
        assert_eq!(refusal(&survey(3, &[]), add(4, "host:3", 4)), Some(taken));
        assert_eq!(refusal(&survey(3, &[]), add(4, "host:4", 4)), None);
    }

    #[test]
    fn the_place_goes_to_a_voter_that_answers_and_has_most_of_the_log() {
        let mut group = survey(4, &[4]);
        group.members.entry(CoordinatorId(2)).and_modify(|member| member.matched = Some(9));
        let to = |id| match prepare(&group, Change::HandOver { to: CoordinatorId(id) }) {
            Ok(Step::HandOver(id)) => Ok(Some(id.0)),
            Ok(_) => Ok(None),
            Err(refusal) => Err(refusal),
        };
        assert_eq!(group.heir(), Some(CoordinatorId(3)));
        assert_eq!(to(2), Ok(Some(2)));
        assert_eq!(to(1), Ok(None));
        assert_eq!(to(4), Err(ChangeRefusal::CannotLead { id: CoordinatorId(4) }));
        assert_eq!(to(5), Err(ChangeRefusal::NotAMember { id: CoordinatorId(5) }));
        assert_eq!(survey(1, &[]).heir(), None);
    }
}
