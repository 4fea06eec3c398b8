//! Fault events of one GPU (XIDs), gathered by a thread that waits for them.
//!
//! NVML delivers as many events as came, but each with the code of the last one: whoever only looks now and then reads
//! "48, then 45" as 45 twice. So somebody always waits, and each code is taken as it comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use helixflow_model::FaultEvent;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, EventSet, Nvml};
use parking_lot::Mutex;

/// How long one call waits, in milliseconds. Nobody waits for the thread, which ends with the process: any long time does.
const WAIT: u32 = 60_000;
/// Codes that are kept until somebody takes them: NVIDIA names about two hundred.
const MOST_CODES: usize = 256;
/// What the driver calls a fault that it does not know.
const UNKNOWN_XID: u32 = 999;

/// How often each code came.
type Counts = Arc<Mutex<BTreeMap<u32, u32>>>;

/// The events of one GPU.
pub(super) struct Faults {
    nvml: &'static Nvml,
    counts: Counts,
    /// Who waits, once the driver has agreed to it.
    thread: Option<JoinHandle<()>>,
}

impl Faults {
    pub(super) fn new(nvml: &'static Nvml) -> Self {
        Self { nvml, counts: Counts::default(), thread: None }
    }

    /// Those since the last call, each code once. They are taken of a board that is lost, too: that is when they matter.
    pub(super) fn since_last(&mut self, device: Option<&Device<'static>>) -> Vec<FaultEvent> {
        let waits = self.thread.as_ref().is_some_and(|thread| !thread.is_finished());
        if let (false, Some(device)) = (waits, device) {
            self.thread = self.wait(device);
        }
        let counts = std::mem::take(&mut *self.counts.lock());
        counts.into_iter().map(|(code, count)| FaultEvent { code, count }).collect()
    }

    fn wait(&self, device: &Device<'static>) -> Option<JoinHandle<()>> {
        let set = self.nvml.create_event_set().ok()?;
        let set = device.register_events(EventTypes::CRITICAL_XID_ERROR, set).ok()?;
        let counts = Arc::clone(&self.counts);
        Builder::new().name("faults".to_owned()).spawn(move || gather(&set, &counts)).ok()
    }
}

/// Takes events until the driver fails; the next reading of a board that answers begins anew.
fn gather(set: &EventSet<'static>, counts: &Mutex<BTreeMap<u32, u32>>) {
    loop {
        let event = match set.wait(WAIT) {
            Ok(event) => event,
            Err(NvmlError::Timeout) => continue,
            Err(_) => return,
        };
        let code = match event.event_data {
            Some(XidError::Value(code)) => u32::try_from(code).unwrap_or(UNKNOWN_XID),
            Some(XidError::Unknown) => UNKNOWN_XID,
            None => continue,
        };
        let mut counts = counts.lock();
        if counts.len() < MOST_CODES || counts.contains_key(&code) {
            let count = counts.entry(code).or_default();
            *count = count.saturating_add(1);
        }
    }
}
