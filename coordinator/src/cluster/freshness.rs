//! What reads promise, on the wire.

use std::time::Duration;

use helixflow_proto::error::invalid;
use helixflow_proto::v1;
use tonic::Status;

use crate::raft::{Consistency, Reading};

/// What a request asks for; `default` where it says nothing.
pub(super) fn asked(wire: i32, default: Consistency) -> Result<Consistency, Status> {
    match v1::Consistency::try_from(wire) {
        Ok(v1::Consistency::Unspecified) => Ok(default),
        Ok(v1::Consistency::Confirmed) => Ok(Consistency::Confirmed),
        Ok(v1::Consistency::Stale) => Ok(Consistency::Stale),
        Err(_) => {
            Err(invalid("consistency", format!("consistency: {wire}; give 1 (confirmed) or 2 (stale)")))
        }
    }
}

/// What an answer is worth.
pub(super) fn freshness(reading: &Reading) -> v1::Freshness {
    let consistency = match reading.consistency {
        Consistency::Confirmed => v1::Consistency::Confirmed,
        Consistency::Stale => v1::Consistency::Stale,
    };
    v1::Freshness {
        consistency: consistency.into(),
        age_ms: reading.age.map(millis),
        applied_index: reading.applied,
    }
}

/// Whole milliseconds.
pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
