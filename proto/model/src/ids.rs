//! Ids and names: one newtype each, so that a node's id is never passed where a replica's belongs.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Longest name (region, model, tenant, cluster) that the service accepts, in bytes.
const MAX_NAME: usize = 128;

macro_rules! numeric_id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

numeric_id!(
    /// A voter or observer of the Raft group. Allotted once, never reused.
    CoordinatorId, "coordinator-"
);
impl From<u64> for CoordinatorId {
    /// Raft's own tests number their members.
    fn from(id: u64) -> Self {
        Self(id)
    }
}
numeric_id!(
    /// A GPU node, allotted by the log when the node first joins.
    NodeId, "node-"
);
numeric_id!(
    /// One replica of a model: a set of nodes that together hold every layer.
    ReplicaId, "replica-"
);
numeric_id!(
    /// Rises when a replica's layers, peers or weights change; half of the fence.
    Generation, "g"
);
numeric_id!(
    /// The log index that a fact was learned at: a larger one knows more.
    Epoch, "e"
);
numeric_id!(
    /// The life of a cluster: raised by a restore or a recovery from a lost majority.
    Incarnation, "i"
);

numeric_id!(
    /// A writer's session: the log index that opened it, so that no id is ever given twice.
    SessionId, "session-"
);
numeric_id!(
    /// The number of a write within its session; the first is at least 1, and each is higher than the last.
    Sequence, "#"
);
numeric_id!(
    /// What a build can do: commands of a higher level mean nothing to it.
    FeatureLevel, "level "
);

/// A name or id that cannot be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} {value:?} is not valid: use 1 to 128 letters, digits, '.', '_', '-', ':' or '/'")]
pub struct InvalidName {
    kind: &'static str,
    value: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks length and characters.
            pub fn new(value: impl Into<String>) -> Result<Self, InvalidName> {
                let value = value.into();
                let fits = (1..=MAX_NAME).contains(&value.len())
                    && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:/".contains(&b));
                if fits { Ok(Self(value)) } else { Err(InvalidName { kind: $kind, value }) }
            }

            /// The name as it was given.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(value: String) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(value: &str) -> Result<Self, InvalidName> {
                Self::new(value)
            }
        }
    };
}

name!(
    /// A cluster, drawn at random when it is bootstrapped.
    ClusterId, "cluster id"
);
name!(
    /// A geographic region, as the operator names it.
    Region, "region"
);
name!(
    /// A served model, for instance `smollm2-135m-instruct`.
    ModelId, "model"
);
name!(
    /// What has heat, power and clocks: NVML's UUID, `amd-` with the chip's number or the bus address, or
    /// `simulated-` with a number.
    BoardId, "board"
);
name!(
    /// What has memory and takes shards: a whole board, a MIG instance or an AMD partition.
    DeviceId, "device"
);
name!(
    /// What a board computes in hardware: `bf16`, `fp8`.
    DeviceFeature, "feature"
);
name!(
    /// Whose request it is. `anonymous` until authentication is turned on.
    TenantId, "tenant"
);
name!(
    /// An API key's public half: it names the key, and proves nothing.
    KeyId, "key id"
);
name!(
    /// One call, from the client to the node; given by the client or drawn by the gateway.
    RequestId, "request id"
);
name!(
    /// One stream of tokens: it keeps its id over a continuation.
    StreamId, "stream id"
);

macro_rules! drawn {
    ($($name:ident),*) => {$(
        impl $name {
            /// A fresh one from 64 random bits.
            pub fn drawn(bits: u64) -> Self {
                Self(format!("{bits:016x}"))
            }
        }
    )*};
}

drawn!(ClusterId, RequestId, StreamId);

impl Default for TenantId {
    fn default() -> Self {
        Self("anonymous".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_to_its_characters_and_length() {
        assert_eq!(
            ModelId::new("smollm2-135m-instruct").map(|m| m.to_string()),
            Ok("smollm2-135m-instruct".to_owned())
        );
        for bad in ["", "white space", "new\nline", "ümlaut"] {
            assert!(ModelId::new(bad).is_err(), "{bad:?} was accepted");
        }
        assert!(Region::new("r".repeat(MAX_NAME)).is_ok());
        assert!(Region::new("r".repeat(MAX_NAME + 1)).is_err());
    }

    #[test]
    fn ids_say_what_they_are() {
        assert_eq!(NodeId(3).to_string(), "node-3");
        assert_eq!(Generation(2).to_string(), "g2");
    }
}
