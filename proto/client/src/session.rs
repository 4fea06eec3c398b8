//! Writes that are applied once: a session numbers them, so that they can be tried again whatever happened.

use helixflow_proto::error::{Reason, status};
use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{OpenSessionRequest, PutTenantRequest, RemoveTenantRequest, WriteId};
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::retry::Repeat;
use crate::{Client, ClientError};

/// A writer's session: one write at a time. It expires when it is not used for ten minutes; writes are refused then
/// (reason `SESSION_EXPIRED`) and another one has to be opened.
#[derive(Debug)]
pub struct Session {
    client: Client,
    id: u64,
    last: u64,
}

impl Client {
    /// Opens a session. When it fails with an unknown outcome, open another: the one left behind expires.
    pub async fn open_session(&self) -> Result<Session, ClientError> {
        let call = async |channel, request| ClusterServiceClient::new(channel).open_session(request).await;
        let id = self.call(OpenSessionRequest {}, Repeat::Unnumbered, call).await?.0.session;
        Ok(Session { client: self.clone(), id, last: 0 })
    }
}

impl Session {
    /// Adds or changes a tenant, and gives its revision. `expected` is the revision that was read, 0 where there was no
    /// such tenant: another one is refused (reason `REVISION_DIFFERS`).
    pub async fn put_tenant(
        &mut self,
        tenant: &str,
        display_name: &str,
        expected: Option<u64>,
    ) -> Result<u64, ClientError> {
        let request = PutTenantRequest {
            tenant: tenant.to_owned(),
            display_name: display_name.to_owned(),
            expected_revision: expected,
            write: Some(self.number()),
        };
        let call = async |channel, request| ClusterServiceClient::new(channel).put_tenant(request).await;
        Ok(self.write(request, call).await?.revision)
    }

    /// Ends a tenant, with all its keys; returns a log index that says so.
    pub async fn remove_tenant(&mut self, tenant: &str) -> Result<u64, ClientError> {
        let request = RemoveTenantRequest { tenant: tenant.to_owned(), write: Some(self.number()) };
        let call = async |channel, request| ClusterServiceClient::new(channel).remove_tenant(request).await;
        Ok(self.write(request, call).await?.epoch)
    }

    /// The next write's number.
    fn number(&mut self) -> WriteId {
        self.last += 1;
        WriteId { session: self.id, sequence: self.last }
    }

    async fn write<T, R, F>(&self, message: T, call: F) -> Result<R, ClientError>
    where
        T: Clone,
        F: AsyncFn(Channel, Request<T>) -> Result<Response<R>, Status>,
    {
        match self.client.call(message, Repeat::Numbered, call).await {
            Ok((answer, _)) => Ok(answer),
            Err(ClientError::Call { status: answer, endpoint, attempts }) if attempts > 1 => {
                Err(ClientError::Call { status: Box::new(after_attempts(*answer)), endpoint, attempts })
            }
            Err(error) => Err(error),
        }
    }
}

/// What the last of several answers means: a session that is gone may have gone after an attempt that was applied.
fn after_attempts(answer: Status) -> Status {
    if Reason::of(&answer).as_deref() != Some(Reason::SessionExpired.as_str()) {
        return answer;
    }
    let text = "the session expired while the write was tried, which may have taken effect: read what is there, then open another session";
    status(Reason::OutcomeUnknown, text)
}
