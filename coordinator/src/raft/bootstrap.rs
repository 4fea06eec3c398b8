//! The first membership of a new group: every member is asked who it is and which disk it has before one is made.

use std::collections::BTreeMap;

use helixflow_model::CoordinatorId;
use helixflow_proto::error::{Reason, status};
use openraft::errors::{InitializeError, RaftError};
use tonic::Status;

use super::describe::{Described, identify};
use super::group::Group;
use super::platform::Platform;
use super::types::Member;

/// Why no group was made.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The coordinator that was asked is not among the members.
    #[error("{us} is not among the members: ask one of them, or add it")]
    NotAMember {
        /// Who was asked.
        us: CoordinatorId,
    },
    /// It is a member of another group already.
    #[error(
        "{us} has a log already, with the members {members}: bootstrap is for empty data directories only"
    )]
    HasALog {
        /// Who was asked.
        us: CoordinatorId,
        /// Its members.
        members: String,
    },
    /// A member to be has a log already.
    #[error("{id} at {address} has a log already: give it an empty data_dir, or leave it out")]
    PeerHasALog {
        /// Who.
        id: CoordinatorId,
        /// Where.
        address: String,
    },
    /// A member to be does not answer, or not where it says.
    #[error("{}", .0.message())]
    NotFound(Box<Status>),
    /// Two members to be have one id.
    #[error("{id} answers at {first} and at {second}: give each coordinator its own id, and name each once")]
    Twice {
        /// Whose id it is.
        id: CoordinatorId,
        /// Where it answers,
        first: String,
        /// and where it answers too.
        second: String,
    },
    /// This coordinator's Raft has ended.
    #[error("this coordinator is stopping: ask another one")]
    Stopped,
}

impl From<BootstrapError> for Status {
    fn from(error: BootstrapError) -> Self {
        let reason = match &error {
            BootstrapError::NotAMember { .. }
            | BootstrapError::HasALog { .. }
            | BootstrapError::PeerHasALog { .. }
            | BootstrapError::NotFound(_)
            | BootstrapError::Twice { .. } => Reason::Refused,
            BootstrapError::Stopped => Reason::Draining,
        };
        status(reason, error.to_string())
    }
}

/// Makes the group of those who answer at these Raft addresses. Asked again for the same members, it changes nothing.
pub(super) async fn bootstrap<R: Platform>(
    group: &Group<R>,
    addresses: &[String],
) -> Result<Vec<Described>, BootstrapError> {
    let found = identified(group, addresses).await?;
    let members = found.iter().map(|(id, member)| {
        let raft = member.about.raft.clone();
        (*id, Member { raft, disk: member.disk })
    });
    let (members, us): (BTreeMap<_, _>, _) = (members.collect(), group.us().id);
    let all = || found.values().cloned().collect();
    if group.raft().is_initialized().await.map_err(|_| BootstrapError::Stopped)? {
        return same_members(group, &members).map(|()| all());
    }
    if !found.contains_key(&us) {
        return Err(BootstrapError::NotAMember { us });
    }
    if let Some(known) = found.values().find(|member| member.has_log) {
        return Err(BootstrapError::PeerHasALog { id: known.id, address: known.about.raft.clone() });
    }
    match group.raft().initialize(members.clone()).await {
        Ok(()) => Ok(all()),
        // Somebody was faster: what counts is whom they made members.
        Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
            same_members(group, &members).map(|()| all())
        }
        Err(RaftError::APIError(InitializeError::NotInMembers(_))) => Err(BootstrapError::NotAMember { us }),
        Err(RaftError::Fatal(_)) => Err(BootstrapError::Stopped),
    }
}

/// Who answers at each address.
async fn identified<R: Platform>(
    group: &Group<R>,
    addresses: &[String],
) -> Result<BTreeMap<CoordinatorId, Described>, BootstrapError> {
    let mut found: BTreeMap<CoordinatorId, Described> = BTreeMap::new();
    for address in addresses {
        let member =
            identify(group, address).await.map_err(|error| BootstrapError::NotFound(Box::new(error)))?;
        let id = member.id;
        if let Some(other) = found.insert(id, member) {
            let (first, second) = (other.about.raft, address.clone());
            return Err(BootstrapError::Twice { id, first, second });
        }
    }
    Ok(found)
}

fn same_members<R: Platform>(
    group: &Group<R>,
    members: &BTreeMap<CoordinatorId, Member>,
) -> Result<(), BootstrapError> {
    let known = group.members();
    if known == *members {
        return Ok(());
    }
    let members: Vec<String> = known.iter().map(|(id, member)| format!("{id} at {}", member.raft)).collect();
    Err(BootstrapError::HasALog { us: group.us().id, members: members.join(", ") })
}
