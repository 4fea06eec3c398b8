//! Who answers at an address: asked before a coordinator is made a member, and of the other members now and then.

use std::sync::Arc;
use std::time::Duration;

use helixflow_model::{CoordinatorId, FeatureLevel, Incarnation, Region};
use helixflow_policy::state::{ClusterState, Coordinator};
use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::{DescribeRequest, DescribeResponse};
use openraft::async_runtime::watch::WatchReceiver;
use tokio::time::timeout;
use tonic::Status;

use super::group::Group;
use super::network::disk_of;
use super::platform::Platform;
use super::types::DiskId;

/// How long a coordinator may take to say who it is.
const DESCRIBE_TIMEOUT: Duration = Duration::from_secs(2);

/// What a coordinator says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its id.
    pub id: CoordinatorId,
    /// The disk that holds its log.
    pub disk: DiskId,
    /// Whether there is anything in its log.
    pub has_log: bool,
    /// Where it stands and how it is reached, by its configuration.
    pub about: Coordinator,
    /// The life of the cluster that it knows; 0 when it is a member of none.
    pub incarnation: Incarnation,
    /// Whether it says that we were a member and are none any more.
    pub we_were_removed: bool,
}

/// Asks who answers at an address.
pub(super) async fn describe<R: Platform>(group: &Group<R>, address: &str) -> Result<Described, Status> {
    let mut client = group.peers().client(address)?;
    let us = group.us();
    let request = DescribeRequest { coordinator: us.id.0, disk: us.disk.0.to_be_bytes().to_vec() };
    let late = |_| Status::deadline_exceeded(format!("no answer within {DESCRIBE_TIMEOUT:?}"));
    let answer = timeout(DESCRIBE_TIMEOUT, client.describe(request)).await.map_err(late)??.into_inner();
    let region = Region::new(answer.region).map_err(|error| Status::internal(error.to_string()))?;
    Ok(Described {
        id: CoordinatorId(answer.coordinator),
        disk: disk_of(&answer.disk).ok_or_else(|| Status::internal("it did not name its disk"))?,
        has_log: answer.has_log,
        about: Coordinator {
            region,
            grpc: answer.grpc,
            raft: answer.raft,
            level: FeatureLevel(answer.feature_level),
        },
        incarnation: Incarnation(answer.incarnation),
        we_were_removed: answer.you_were_removed,
    })
}

/// Who answers at an address, once it is known that the others reach it at the one that it names.
pub(super) async fn identify<R: Platform>(group: &Group<R>, address: &str) -> Result<Described, Status> {
    let found = answering(group, address).await?;
    if found.about.raft == address {
        return Ok(found);
    }
    let named = answering(group, &found.about.raft).await?;
    if (named.id, named.disk) == (found.id, found.disk) {
        return Ok(found);
    }
    let message = format!(
        "{} at {address} says that it is reached at {}, where {} answers: correct its raft.advertise",
        found.id, found.about.raft, named.id
    );
    Err(status(Reason::Refused, message))
}

async fn answering<R: Platform>(group: &Group<R>, address: &str) -> Result<Described, Status> {
    describe(group, address).await.map_err(|error| {
        let message = format!(
            "no coordinator of this cluster answers at {address}: start one there, or correct the address of its Raft \
             port ({})",
            error.message()
        );
        status(Reason::Refused, message)
    })
}

/// Says who we are, and to the one that asks what became of it.
pub(super) fn answer<R: Platform>(
    group: &Group<R>,
    request: &DescribeRequest,
    has_log: bool,
) -> DescribeResponse {
    let (us, Coordinator { region, grpc, raft, level }) = (group.us(), group.about().clone());
    let state = group.state();
    DescribeResponse {
        coordinator: us.id.0,
        disk: us.disk.0.to_be_bytes().to_vec(),
        has_log,
        region: region.into(),
        grpc,
        raft,
        feature_level: level.0,
        incarnation: state.identity().map_or(0, |identity| identity.incarnation.0),
        you_were_removed: was_removed(group, &state, request),
    }
}

/// Whether the one that asks was a member: its id was used, and neither the state nor the committed membership knows it
/// with its disk any more. One that is about to be added is known to the state before it has a log to ask with.
fn was_removed<R: Platform>(group: &Group<R>, state: &Arc<ClusterState>, request: &DescribeRequest) -> bool {
    let id = CoordinatorId(request.coordinator);
    let was_used = id.0 > 0 && id < state.next_coordinator();
    let metrics = group.raft().metrics();
    let committed = Arc::clone(&metrics.borrow_watched().committed_membership_config);
    let is_member = committed.nodes().any(|(known, _)| *known == id);
    was_used && !is_member && !state.coordinators().contains_key(&id)
}
