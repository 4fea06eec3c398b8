//! What the log has recorded of a node's boards: what placement goes by, not what they say this moment.

use helixflow_model::{Band, Duty};
use helixflow_proto::v1;
use serde::Serialize;

/// Of the worst of the node's boards.
#[derive(Debug, Serialize)]
pub(crate) struct Recorded {
    pub(crate) duty: &'static str,
    pub(crate) band: &'static str,
    /// The log index that said so; 0 where nobody has said anything yet.
    pub(crate) since_epoch: u64,
}

impl Recorded {
    /// What an operator should see beside the node's health; none of a node that may be asked everything.
    pub(crate) fn note(&self) -> Option<&'static str> {
        (self.duty != Duty::Full.as_str()).then_some(self.duty)
    }
}

impl From<v1::NodeHeat> for Recorded {
    /// A duty or band of a newer build is unknown here.
    fn from(wire: v1::NodeHeat) -> Self {
        Self {
            duty: Duty::try_from(wire.duty()).map_or("unknown", Duty::as_str),
            band: Band::try_from(wire.band()).map_or("unknown", Band::as_str),
            since_epoch: wire.since_epoch,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_asked_less_is_noted() {
        let heat =
            v1::NodeHeat { duty: v1::Duty::NoNewShards.into(), band: v1::Band::Hot.into(), since_epoch: 9 };
        let recorded = Recorded::from(heat);
        assert_eq!(
            (recorded.duty, recorded.band, recorded.note()),
            ("no-new-shards", "hot", Some("no-new-shards"))
        );
        let full = v1::NodeHeat { duty: v1::Duty::Full.into(), band: v1::Band::Warm.into(), since_epoch: 9 };
        assert_eq!(Recorded::from(full).note(), None);
        assert_eq!(Recorded::from(v1::NodeHeat::default()).band, "unknown");
    }
}
