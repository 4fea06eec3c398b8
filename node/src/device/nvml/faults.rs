//! Fault events of one GPU (XIDs), gathered by the driver and collected without waiting.

use std::collections::BTreeMap;

use helixflow_model::FaultEvent;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::{Device, EventSet, Nvml};

/// Events that one reading takes: a storm may bring more in a second, and the next reading takes on from there.
const MOST_EVENTS: u32 = 256;
/// What the driver calls a fault that it does not know.
const UNKNOWN_XID: u32 = 999;

/// The events of one GPU.
pub(super) struct Faults {
    nvml: &'static Nvml,
    /// Where they gather, once the driver has agreed to it.
    set: Option<EventSet<'static>>,
}

impl Faults {
    pub(super) const fn new(nvml: &'static Nvml) -> Self {
        Self { nvml, set: None }
    }

    /// Those since the last call, each code once. They are taken of a board that is lost, too: that is when they matter.
    pub(super) fn since_last(&mut self, device: Option<&Device<'static>>) -> Vec<FaultEvent> {
        if let (None, Some(device)) = (&self.set, device) {
            let set = self.nvml.create_event_set().ok();
            self.set = set.and_then(|set| device.register_events(EventTypes::CRITICAL_XID_ERROR, set).ok());
        }
        let mut counts = BTreeMap::<u32, u32>::new();
        for _ in 0..MOST_EVENTS {
            // No events left ends in a timeout; a driver that fails has none to give.
            let Some(Ok(event)) = self.set.as_ref().map(|set| set.wait(0)) else { break };
            let code = match event.event_data {
                Some(XidError::Value(code)) => u32::try_from(code).unwrap_or(UNKNOWN_XID),
                Some(XidError::Unknown) => UNKNOWN_XID,
                None => continue,
            };
            *counts.entry(code).or_default() += 1;
        }
        counts.into_iter().map(|(code, count)| FaultEvent { code, count }).collect()
    }
}
