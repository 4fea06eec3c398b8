//! The lines that the process writes, whole and one at a time, from whichever thread.

use std::io::{self, Write};

use parking_lot::Mutex;

use crate::device::protocol::Line;

/// Standard output.
#[derive(Default)]
pub(super) struct Output {
    turn: Mutex<()>,
}

impl Output {
    /// Writes a line. Where nobody reads it, the input ends as well, and the process with it.
    pub(super) fn write(&self, line: &Line) {
        let Ok(mut bytes) = serde_json::to_vec(line) else { return };
        bytes.push(b'\n');
        let _turn = self.turn.lock();
        let mut output = io::stdout().lock();
        if let Err(error) = output.write_all(&bytes).and_then(|()| output.flush()) {
            tracing::debug!(%error, "nobody reads the answers");
        }
    }
}
