//! The cluster's state and the commands that change it.

use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{
    AddModelRequest, BootstrapRequest, CoordinatorMember, ModelSpec, StatusRequest, StatusResponse,
};

use crate::{Client, ClientError};

impl Client {
    /// What one coordinator knows of the cluster.
    pub async fn status(&self) -> Result<StatusResponse, ClientError> {
        let call = async |channel, request| ClusterServiceClient::new(channel).status(request).await;
        Ok(self.call(StatusRequest::default(), call).await?.0)
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
