//! The cluster's state and the commands that change it.

use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{
    AddModelRequest, BootstrapRequest, Consistency, CoordinatorMember, ModelSpec, StatusRequest,
    StatusResponse,
};

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
        Ok(self.call(StatusRequest { consistency: consistency.into() }, call).await?.0)
    }

    /// Makes the first members of a new cluster; any of them may be asked, once.
    pub async fn bootstrap(&self, members: Vec<CoordinatorMember>) -> Result<(), ClientError> {
        let call = async |channel, request| ClusterServiceClient::new(channel).bootstrap(request).await;
        self.call(BootstrapRequest { members }, call).await.map(|_| ())
    }

    /// Adds a model to serve; returns the log index that says so.
    pub async fn add_model(&self, model: ModelSpec) -> Result<u64, ClientError> {
        let call = async |channel, request| ClusterServiceClient::new(channel).add_model(request).await;
        Ok(self.call(AddModelRequest { model: Some(model), write: None }, call).await?.0.epoch)
    }
}
