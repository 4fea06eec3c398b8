//! The whole state of a cluster, as the bytes of a backup file.

use helixflow_proto::v1::cluster_service_client::ClusterServiceClient;
use helixflow_proto::v1::{BackupChunk, BackupRequest};

use crate::retry::Repeat;
use crate::{Client, ClientError};

impl Client {
    /// Reads a backup, confirmed by a majority; `told` hears how many bytes of how many are there.
    pub async fn backup(&self, mut told: impl FnMut(u64, u64)) -> Result<Vec<u8>, ClientError> {
        let call = async |channel, request| ClusterServiceClient::new(channel).backup(request).await;
        let (mut chunks, endpoint) = self.call(BackupRequest {}, Repeat::Harmless, call).await?;
        let mut bytes = Vec::new();
        let mut total = u64::MAX;
        while (bytes.len() as u64) < total {
            match chunks.message().await {
                Ok(Some(BackupChunk { data, total_bytes })) => {
                    total = total_bytes;
                    bytes.extend(data);
                    told(bytes.len() as u64, total);
                }
                Ok(None) => return Err(ClientError::Truncated { endpoint }),
                Err(status) => return Err(ClientError::in_stream(status, endpoint)),
            }
        }
        Ok(bytes)
    }
}
