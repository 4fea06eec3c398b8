//! The members of the coordinators' group: who they are, who comes, who goes, who leads.

use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{
    AddCoordinatorProgress, AddCoordinatorRequest, ListCoordinatorsRequest, ListCoordinatorsResponse,
    RemoveCoordinatorRequest, SetLeaderRegionsRequest, TransferLeaderRequest,
};
use tonic::Streaming;

use crate::retry::Repeat;
use crate::{Client, ClientError};

impl Client {
    /// The members as their leader sees them.
    pub async fn coordinators(&self) -> Result<ListCoordinatorsResponse, ClientError> {
        let call =
            async |channel, request| ClusterServiceClient::new(channel).list_coordinators(request).await;
        Ok(self.call(ListCoordinatorsRequest {}, Repeat::Harmless, call).await?.0)
    }

    /// Makes the coordinator whose Raft port is at `raft` a member; an observer never votes.
    pub async fn add_coordinator(&self, raft: String, observer: bool) -> Result<Addition, ClientError> {
        let call = async |channel, request| ClusterServiceClient::new(channel).add_coordinator(request).await;
        let (steps, endpoint) =
            self.call(AddCoordinatorRequest { raft, observer }, Repeat::Unnumbered, call).await?;
        Ok(Addition { steps, endpoint })
    }

    /// Takes a member out of the group; tells whether it was one.
    pub async fn remove_coordinator(&self, id: u64) -> Result<bool, ClientError> {
        let call =
            async |channel, request| ClusterServiceClient::new(channel).remove_coordinator(request).await;
        Ok(self.call(RemoveCoordinatorRequest { id }, Repeat::Unnumbered, call).await?.0.was_member)
    }

    /// Hands the leader's place to a voter, to the one that has most of the log where none is named; tells who leads.
    pub async fn transfer_leader(&self, to: Option<u64>) -> Result<u64, ClientError> {
        let call = async |channel, request| ClusterServiceClient::new(channel).transfer_leader(request).await;
        Ok(self.call(TransferLeaderRequest { to: to.unwrap_or(0) }, Repeat::Unnumbered, call).await?.0.leader)
    }

    /// Says where the leader should stand, the most preferred region first; returns the log index that says so.
    pub async fn set_leader_regions(&self, regions: Vec<String>) -> Result<u64, ClientError> {
        let call =
            async |channel, request| ClusterServiceClient::new(channel).set_leader_regions(request).await;
        Ok(self.call(SetLeaderRegionsRequest { regions }, Repeat::Unnumbered, call).await?.0.epoch)
    }
}

/// The steps of an addition, as they are made.
#[derive(Debug)]
pub struct Addition {
    steps: Streaming<AddCoordinatorProgress>,
    endpoint: String,
}

impl Addition {
    /// The next step; the last one says that it is done.
    pub async fn next(&mut self) -> Result<AddCoordinatorProgress, ClientError> {
        let endpoint = self.endpoint.clone();
        match self.steps.message().await {
            Ok(Some(step)) => Ok(step),
            Ok(None) => Err(ClientError::Truncated { endpoint }),
            Err(status) => Err(ClientError::in_stream(status, endpoint)),
        }
    }
}
