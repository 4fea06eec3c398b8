//! The members as the leader sees them, or as this coordinator knows them where no leader answers.

use std::collections::BTreeSet;
use std::time::Duration;

use helixflow_model::CoordinatorId;
use helixflow_policy::state::ClusterState;
use helixflow_proto::context::CallContext;
use helixflow_proto::v1::{CoordinatorMember, GroupMember, ListCoordinatorsResponse};
use tokio::time::Instant;

use crate::cluster::freshness::millis;
use crate::cluster::status::member as told;
use crate::raft::{Change, Handle, MemberView, Standing, Survey};

/// How long the leader may take to tell: an election. The list without it is worth more than a long wait.
const SURVEY_PATIENCE: Duration = Duration::from_secs(2);

/// Everybody who is registered or follows the log.
pub(in crate::cluster) async fn list(
    raft: &Handle,
    context: &CallContext,
    warnings: Vec<String>,
) -> ListCoordinatorsResponse {
    let latest = Instant::now() + SURVEY_PATIENCE;
    let deadline = Some(context.deadline.map_or(latest, |asked| asked.min(latest)));
    let asked = CallContext { deadline, ..context.clone() };
    let survey = raft.change(Change::Survey, asked).await.ok();
    let (standing, state) = (raft.standing(), raft.state().borrow().clone());
    let ids: BTreeSet<CoordinatorId> = match &survey {
        Some(survey) => state.coordinators().keys().chain(survey.members.keys()).copied().collect(),
        None => state.coordinators().keys().chain(standing.members.keys()).copied().collect(),
    };
    let leader = survey.as_ref().map(|survey| survey.leader).or(standing.leader);
    ListCoordinatorsResponse {
        leader: leader.map_or(0, |leader| leader.0),
        last_index: survey.as_ref().map_or(standing.applied, |survey| survey.last_index),
        members: ids.into_iter().map(|id| member(&state, &standing, survey.as_ref(), id)).collect(),
        leader_regions: state.leader_regions().iter().map(ToString::to_string).collect(),
        warnings,
    }
}

fn member(
    state: &ClusterState,
    standing: &Standing,
    survey: Option<&Survey>,
    id: CoordinatorId,
) -> GroupMember {
    let seen = survey.and_then(|survey| survey.members.get(&id));
    let votes = seen.map_or_else(|| standing.voters.contains(&id), |member| member.votes);
    let follows = seen.is_some() || (survey.is_none() && standing.members.contains_key(&id));
    let leads = survey.map_or(standing.leader, |survey| Some(survey.leader)) == Some(id);
    let role = match (leads, votes, follows) {
        (true, ..) => "leader",
        (_, true, _) => "voter",
        _ if state.observers().contains(&id) => "observer",
        (.., true) => "learner",
        _ => "none",
    };
    GroupMember {
        member: Some(record(state, standing, seen, id)),
        role: role.to_owned(),
        matched_index: seen.and_then(|member| member.matched),
        heard_age_ms: seen.and_then(|member| member.silent).map(millis),
        feature_level: state.level_of(id).0,
    }
}

/// What is registered; of one that is not, the address that Raft knows.
fn record(
    state: &ClusterState,
    standing: &Standing,
    seen: Option<&MemberView>,
    id: CoordinatorId,
) -> CoordinatorMember {
    match state.coordinators().get(&id) {
        Some(known) => told(id, known),
        None => {
            let raft = seen.map(|member| member.raft.clone()).or_else(|| standing.members.get(&id).cloned());
            CoordinatorMember { id: id.0, raft: raft.unwrap_or_default(), ..CoordinatorMember::default() }
        }
    }
}
