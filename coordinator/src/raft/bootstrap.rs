//! The first membership of a new group: every member is asked who it is and which disk it has before one is made.

use std::collections::BTreeMap;

use helixflow_model::CoordinatorId;
use helixflow_proto::error::{Reason, status};
use openraft::errors::{InitializeError, RaftError};
use tonic::Status;

use super::describe::{Described, describe};
use super::group::Group;
use super::platform::Platform;
use super::types::{DiskId, Member};

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
    /// A member to be does not answer.
    #[error("{id} at {address} does not answer: start it, or correct its address")]
    NoAnswer {
        /// Who.
        id: CoordinatorId,
        /// Where.
        address: String,
        /// What its silence looked like.
        source: Box<Status>,
    },
    /// Somebody else answers at its address.
    #[error("at {address} answers {found}, not {id}: correct the address")]
    SomebodyElse {
        /// Who was expected.
        id: CoordinatorId,
        /// Where.
        address: String,
        /// Who answered.
        found: CoordinatorId,
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
            | BootstrapError::SomebodyElse { .. } => Reason::Refused,
            BootstrapError::NoAnswer { .. } => Reason::NoQuorum,
            BootstrapError::Stopped => Reason::Draining,
        };
        let cause = match &error {
            BootstrapError::NoAnswer { source, .. } => format!(" ({})", source.message()),
            _ => String::new(),
        };
        status(reason, format!("{error}{cause}"))
    }
}

/// Makes the group of these members, by their Raft addresses. Asked again for the same members, it changes nothing.
pub(super) async fn bootstrap<R: Platform>(
    group: &Group<R>,
    addresses: &BTreeMap<CoordinatorId, String>,
) -> Result<(), BootstrapError> {
    let us = group.us();
    if group.raft().is_initialized().await.map_err(|_| BootstrapError::Stopped)? {
        return same_members(group, addresses);
    }
    if !addresses.contains_key(&us.id) {
        return Err(BootstrapError::NotAMember { us: us.id });
    }
    let mut members = BTreeMap::new();
    for (id, address) in addresses {
        let disk = if *id == us.id { us.disk } else { disk_of_peer(group, *id, address).await? };
        members.insert(*id, Member { raft: address.clone(), disk });
    }
    match group.raft().initialize(members).await {
        Ok(()) => Ok(()),
        // Somebody was faster: what counts is whom they made members.
        Err(RaftError::APIError(InitializeError::NotAllowed(_))) => same_members(group, addresses),
        Err(RaftError::APIError(InitializeError::NotInMembers(_))) => {
            Err(BootstrapError::NotAMember { us: us.id })
        }
        Err(RaftError::Fatal(_)) => Err(BootstrapError::Stopped),
    }
}

fn same_members<R: Platform>(
    group: &Group<R>,
    addresses: &BTreeMap<CoordinatorId, String>,
) -> Result<(), BootstrapError> {
    let known: BTreeMap<CoordinatorId, String> =
        group.members().into_iter().map(|(id, member)| (id, member.raft)).collect();
    if known == *addresses {
        return Ok(());
    }
    let members: Vec<String> = known.iter().map(|(id, raft)| format!("{id} at {raft}")).collect();
    Err(BootstrapError::HasALog { us: group.us().id, members: members.join(", ") })
}

async fn disk_of_peer<R: Platform>(
    group: &Group<R>,
    id: CoordinatorId,
    address: &str,
) -> Result<DiskId, BootstrapError> {
    let no_answer =
        |source| BootstrapError::NoAnswer { id, address: address.to_owned(), source: Box::new(source) };
    let Described { id: found, disk, has_log, .. } = describe(group, address).await.map_err(no_answer)?;
    if found != id {
        return Err(BootstrapError::SomebodyElse { id, address: address.to_owned(), found });
    }
    if has_log {
        return Err(BootstrapError::PeerHasALog { id, address: address.to_owned() });
    }
    Ok(disk)
}
