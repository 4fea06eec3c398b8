//! A real register, and clients that overlap: histories that are right by construction.

use helixflow_linearizability::{Action, Operation};
use proptest::prelude::*;

/// Time between two effects: what an operation is wider than that on either side overlaps with others.
const APART: u64 = 10;

/// What one client does next, before it is known when and with which result.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    is_write: bool,
    /// How long before its effect it is sent, and how long after it its answer comes.
    before: u64,
    after: u64,
    /// What becomes of a write.
    fate: Fate,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fate {
    Acknowledged,
    /// It took effect, and nobody heard.
    Unheard,
    /// It never took effect, and nobody heard.
    Vanished,
}

/// Up to `most` steps, each overlapping with up to `overlap` others on either side.
pub(crate) fn steps(most: usize, overlap: u64) -> impl Strategy<Value = Vec<Step>> {
    let width = 0..=overlap * APART;
    let fate =
        prop_oneof![6 => Just(Fate::Acknowledged), 1 => Just(Fate::Unheard), 1 => Just(Fate::Vanished)];
    let step = (any::<bool>(), width.clone(), width, fate).prop_map(|(is_write, before, after, fate)| Step {
        is_write,
        before,
        after,
        fate,
    });
    prop::collection::vec(step, 0..most)
}

/// The register, and what its clients wrote down.
#[derive(Default)]
pub(crate) struct Recorded {
    pub(crate) history: Vec<Operation<u8, u64>>,
    /// What the register holds.
    pub(crate) value: Option<u64>,
    /// When its last effect was.
    now: u64,
    written: u64,
}

impl Recorded {
    /// Does the steps at moments that follow each other, none reaching back over what was quiet before.
    pub(crate) fn run(mut self, key: u8, steps: &[Step]) -> Self {
        let quiet = self.now;
        for step in steps {
            self.now += APART;
            let action = if step.is_write {
                self.written += 1;
                if step.fate != Fate::Vanished {
                    self.value = Some(self.written);
                }
                Action::Write(self.written)
            } else {
                Action::Read(self.value)
            };
            let heard = !step.is_write || step.fate == Fate::Acknowledged;
            self.history.push(Operation {
                key,
                action,
                invoked: self.now.saturating_sub(step.before).max(quiet + 1),
                returned: heard.then_some(self.now + step.after),
            });
        }
        self.quieten()
    }

    /// Lets every answer come before anything else is sent.
    fn quieten(mut self) -> Self {
        self.now = self.history.iter().filter_map(|o| o.returned).fold(self.now, u64::max) + APART;
        self
    }

    /// One operation that overlaps with none; it reports what it is told to.
    pub(crate) fn alone(mut self, key: u8, action: Action<u64>) -> Self {
        self.history.push(Operation { key, action, invoked: self.now, returned: Some(self.now + 1) });
        self.quieten()
    }

    /// An acknowledged write of a new value that overlaps with nothing, and that value.
    pub(crate) fn write_alone(mut self, key: u8) -> (Self, u64) {
        self.written += 1;
        let value = self.written;
        self.value = Some(value);
        (self.alone(key, Action::Write(value)), value)
    }
}
