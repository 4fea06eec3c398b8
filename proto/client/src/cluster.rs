//! The cluster's state and the commands that change it.

use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{
    AddModelRequest, BootstrapRequest, Consistency, CoordinatorMember, ModelSpec, StatusRequest,
    StatusResponse,
};

use crate::retry::Repeat;
use crate::{Client, ClientError};

impl Client {
    /// What one coordinator knows of the cluster, also without a quorum.
    pub async fn status(&self) -> Result<StatusResponse, ClientError> {
        self.status_as(Consistency::Stale).await
    }

    /// The status of the cluster, confirmed by a majority.
    pub async fn confirmed_status(&self) -> Result<StatusResponse, ClientError> {
        self.status_as(Consistency::Confirmed).await
    }

    async fn status_as(&self, consistency: Consistency) -> Result<StatusResponse, ClientError> {
        let call = async |channel, request| ClusterServiceClient::new(channel).status(request).await;
        Ok(self.call(StatusRequest { consistency: consistency.into() }, Repeat::Harmless, call).await?.0)
    }

    /// Makes a new cluster of the coordinators whose Raft ports these are, and tells who they are; one of them is asked.
    pub async fn bootstrap(&self, raft: Vec<String>) -> Result<Vec<CoordinatorMember>, ClientError> {
        let call = async |channel, request| ClusterServiceClient::new(channel).bootstrap(request).await;
        Ok(self.call(BootstrapRequest { raft }, Repeat::Unnumbered, call).await?.0.members)
    }

    /// Adds a model to serve; returns the log index that says so.
    pub async fn add_model(&self, model: ModelSpec) -> Result<u64, ClientError> {
        let call = async |channel, request| ClusterServiceClient::new(channel).add_model(request).await;
        Ok(self
            .call(AddModelRequest { model: Some(model), write: None }, Repeat::Unnumbered, call)
            .await?
            .0
            .epoch)
    }
}
