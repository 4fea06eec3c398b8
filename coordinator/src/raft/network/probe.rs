//! Whether the machine of a coordinator says that nobody listens there any more.

use std::io;
use std::time::Duration;

use helixflow_model::CoordinatorId;
use tokio::time::{sleep, timeout};

use super::Peers;

/// How often a connection is tried: a process that is ending closes its port and its connections in any order.
const TRIES: usize = 5;
/// The rest between two of them.
const REST: Duration = Duration::from_millis(10);
/// A refusal comes at once; whoever takes longer refuses nothing.
const LIMIT: Duration = Duration::from_millis(100);

impl Peers {
    /// Whether a connection to a member is refused. One that is made, or that nobody answers, is no refusal.
    pub(crate) async fn is_refused_by(&self, id: CoordinatorId) -> bool {
        let Some(address) = self.known_address(id) else { return false };
        for _ in 0..TRIES {
            match timeout(LIMIT, self.network().connect(address.clone())).await {
                Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return true,
                Ok(Ok(_)) => sleep(REST).await,
                Ok(Err(_)) | Err(_) => return false,
            }
        }
        false
    }
}
