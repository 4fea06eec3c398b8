//! Everything that happens, in order, with its time: what two runs of one seed must agree on.

use std::fmt::Display;
use std::sync::Arc;

use parking_lot::Mutex;

/// The events of one run. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    pub(super) fn push(&self, at_ms: u128, who: impl Display, what: impl Display) {
        self.0.lock().push(format!("{at_ms:>7} {who:<4} {what}"));
    }

    pub(super) fn text(&self) -> String {
        self.0.lock().join("\n")
    }
}
