//! Hello: cluster, protocol versions and build go with every internal call and reply, as metadata.
//!
//! A stranger (another cluster, no common version) is refused with a message that says which side is which. There is no
//! connection preface: a proxy between two processes sees nothing but gRPC. This proves no identity.

mod client;
mod server;

use helixflow_model::ClusterId;
use http::HeaderMap;

pub use client::{HelloClient, HelloClientLayer};
pub use server::{HelloLayer, HelloService};

/// The lowest protocol version that this build speaks.
pub const LOWEST_PROTOCOL: u32 = 1;
/// The highest protocol version that this build speaks.
pub const HIGHEST_PROTOCOL: u32 = 1;

const CLUSTER: &str = "helixflow-cluster";
const PROTOCOL: &str = "helixflow-protocol";
const BUILD: &str = "helixflow-build";

/// Who a process says it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// The lowest protocol version that it speaks.
    pub lowest: u32,
    /// The highest.
    pub highest: u32,
    /// Its build, for the logs.
    pub build: String,
}

/// Why a caller or a server is not one of us.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stranger {
    /// No Hello came with the call.
    #[error(
        "the {side} sent no {CLUSTER} and {PROTOCOL} metadata: it is no process of this cluster, or an older build"
    )]
    Silent {
        /// `caller` or `server`.
        side: &'static str,
    },
    /// It belongs to another cluster.
    #[error(
        "the {side} belongs to cluster {theirs}, this process to {ours}: check the addresses in its configuration"
    )]
    OtherCluster {
        /// `caller` or `server`.
        side: &'static str,
        /// Their cluster.
        theirs: String,
        /// Our cluster.
        ours: ClusterId,
    },
    /// It speaks no version that we speak.
    #[error(
        "the {side} speaks protocol {lowest} to {highest} (build {build}), this process {LOWEST_PROTOCOL} to {HIGHEST_PROTOCOL}: upgrade the older of the two"
    )]
    OtherProtocol {
        /// `caller` or `server`.
        side: &'static str,
        /// Their lowest version.
        lowest: u32,
        /// Their highest version.
        highest: u32,
        /// Their build.
        build: String,
    },
}

impl Hello {
    /// This build, as a member of `cluster`.
    pub fn new(cluster: ClusterId) -> Self {
        let build = env!("CARGO_PKG_VERSION").to_owned();
        Self { cluster, lowest: LOWEST_PROTOCOL, highest: HIGHEST_PROTOCOL, build }
    }

    /// Writes it into a call's or reply's headers.
    pub fn write(&self, headers: &mut HeaderMap) {
        let mut put = |name: &'static str, value: String| {
            if let Ok(value) = http::HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        };
        put(CLUSTER, self.cluster.to_string());
        put(PROTOCOL, format!("{}-{}", self.lowest, self.highest));
        put(BUILD, self.build.clone());
    }

    /// Whether the headers bear a Hello at all.
    pub fn is_in(headers: &HeaderMap) -> bool {
        headers.contains_key(CLUSTER) || headers.contains_key(PROTOCOL)
    }

    /// Checks the Hello in a call's or reply's headers against ours; `side` names the other process in the error.
    pub fn check(&self, headers: &HeaderMap, side: &'static str) -> Result<(), Stranger> {
        let text = |name| headers.get(name).and_then(|v| v.to_str().ok());
        let (Some(cluster), Some(protocol)) = (text(CLUSTER), text(PROTOCOL)) else {
            return Err(Stranger::Silent { side });
        };
        if cluster != self.cluster.as_str() {
            return Err(Stranger::OtherCluster {
                side,
                theirs: cluster.to_owned(),
                ours: self.cluster.clone(),
            });
        }
        let versions =
            protocol.split_once('-').and_then(|(low, high)| Some((low.parse().ok()?, high.parse().ok()?)));
        let (lowest, highest) = versions.unwrap_or((0, 0));
        if lowest > self.highest || highest < self.lowest {
            let build = text(BUILD).unwrap_or("unknown").to_owned();
            return Err(Stranger::OtherProtocol { side, lowest, highest, build });
        }
        Ok(())
    }
}

impl From<Stranger> for tonic::Status {
    fn from(stranger: Stranger) -> Self {
        let reason = match &stranger {
            Stranger::OtherCluster { .. } => crate::error::Reason::WrongCluster,
            Stranger::Silent { .. } | Stranger::OtherProtocol { .. } => {
                crate::error::Reason::ProtocolMismatch
            }
        };
        crate::error::status(reason, stranger.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(cluster: &str) -> Hello {
        Hello::new(ClusterId::new(cluster).expect("a valid name"))
    }

    #[test]
    fn a_member_is_known_and_a_stranger_is_told_why() {
        let ours = hello("alpha");
        let mut headers = HeaderMap::new();
        assert_eq!(ours.check(&headers, "caller"), Err(Stranger::Silent { side: "caller" }));
        ours.write(&mut headers);
        assert_eq!(ours.check(&headers, "caller"), Ok(()));
        let refused = hello("beta").check(&headers, "caller").map_err(|e| e.to_string());
        assert_eq!(
            refused,
            Err("the caller belongs to cluster alpha, this process to beta: check the addresses in its configuration".to_owned())
        );
    }

    #[test]
    fn versions_must_overlap() {
        let ours = hello("alpha");
        let mut headers = HeaderMap::new();
        Hello { lowest: 2, highest: 3, ..hello("alpha") }.write(&mut headers);
        assert!(matches!(
            ours.check(&headers, "server"),
            Err(Stranger::OtherProtocol { lowest: 2, highest: 3, .. })
        ));
        headers.insert(PROTOCOL, http::HeaderValue::from_static("nonsense"));
        assert!(matches!(ours.check(&headers, "server"), Err(Stranger::OtherProtocol { .. })));
    }
}
