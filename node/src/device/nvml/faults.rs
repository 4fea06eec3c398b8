//! Fault events of one GPU (XIDs), told by a thread that waits for them.
//!
//! NVML delivers as many events as came, but each with the code of the last one: whoever only looks now and then reads
//! "48, then 45" as 45 twice. So somebody always waits, and each code is told as it comes: kept here it would be lost with
//! this process, which is killed just when a fault has made the driver hang.

use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use helixflow_model::FaultEvent;
use nvml_wrapper::bitmasks::event::EventTypes;
use nvml_wrapper::enums::event::XidError;
use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, EventSet, Nvml};

use crate::device::driver::{Tell, pause};

/// How long one call waits, in milliseconds. Nobody waits for the thread, which ends with the process: any long time does.
const WAIT: u32 = 60_000;
/// Waits that fail one after the other before the set is given up. The set keeps what comes between two waits, and another
/// set would begin after it: so a driver that is busy with a fault, for seconds, is asked again.
const MOST_FAILED_WAITS: u32 = 10;
/// The pause after a wait that has failed: short beside a fault that keeps the driver busy, long beside a call.
const FAILED_WAIT_PAUSE: Duration = Duration::from_secs(1);
/// What the driver calls a fault that it does not know.
const UNKNOWN_XID: u32 = 999;

/// The events of one GPU.
#[derive(Default)]
pub(super) struct Faults {
    /// Who waits, once the driver has agreed to it.
    thread: Option<JoinHandle<()>>,
}

impl Faults {
    /// Whether somebody waits for them.
    pub(super) fn are_gathered(&self) -> bool {
        self.thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Begins to tell them, where the driver agrees.
    pub(super) fn gather(&mut self, nvml: &'static Nvml, device: &Device<'static>, tell: &Tell) {
        self.thread = thread(nvml, device, tell);
    }
}

fn thread(nvml: &'static Nvml, device: &Device<'static>, tell: &Tell) -> Option<JoinHandle<()>> {
    let set = nvml.create_event_set().ok()?;
    let set = device.register_events(EventTypes::CRITICAL_XID_ERROR, set).ok()?;
    let tell = Arc::clone(tell);
    Builder::new().name("faults".to_owned()).spawn(move || gather(&set, &tell)).ok()
}

/// Tells events until the driver fails for good; the next reading of a board that answers begins anew.
fn gather(set: &EventSet<'static>, tell: &Tell) {
    let mut failed_waits = 0;
    while failed_waits < MOST_FAILED_WAITS {
        match set.wait(WAIT) {
            Ok(event) => {
                failed_waits = 0;
                if let Some(code) = event.event_data.as_ref().map(code) {
                    tell(FaultEvent { code, count: 1 });
                }
            }
            Err(NvmlError::Timeout) => failed_waits = 0,
            Err(_) => {
                failed_waits += 1;
                pause(FAILED_WAIT_PAUSE);
            }
        }
    }
}

fn code(xid: &XidError) -> u32 {
    match *xid {
        XidError::Value(code) => u32::try_from(code).unwrap_or(UNKNOWN_XID),
        XidError::Unknown => UNKNOWN_XID,
    }
}
