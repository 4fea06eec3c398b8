//! What must hold at every moment: one state an epoch, and a state that is sound.
//!
//! Two may lead in one term, the higher id after the lower: openraft orders leaders by term and id. That what both of them
//! committed is one history, the states and the clients tell.

use std::collections::BTreeMap;

use helixflow_policy::check::check;

use super::host::{Observed, Process, Seat};
use crate::raft::Role;
use crate::raft::codec::encode;
use crate::raft::record::StateRecord;

/// What was seen so far.
#[derive(Default)]
pub(super) struct Seen {
    /// Who led in which term, by term and id, and when that was first seen, in milliseconds.
    leaders: BTreeMap<(u64, u64), u64>,
    /// By epoch, the sum of the state that some replica had then.
    states: BTreeMap<u64, (u64, u32)>,
    /// By replica, the epoch looked at last.
    epochs: BTreeMap<u64, u64>,
}

impl Seen {
    /// The highest term in which somebody led, and who.
    pub(super) fn last_leader(&self) -> Option<(u64, u64)> {
        self.leaders.last_key_value().map(|(led, _)| *led)
    }

    /// Who led last, and since when.
    pub(super) fn last_leader_since(&self) -> Option<(u64, u64)> {
        self.leaders.last_key_value().map(|((_, leader), since)| (*leader, *since))
    }

    /// Looks at a replica; says what is wrong with it.
    pub(super) fn look(&mut self, seat: &Seat, now: u64) -> Result<(), String> {
        let Process::Up(Observed { role, term, state }) = seat.process.lock().clone() else { return Ok(()) };
        if role == Role::Leader {
            self.leaders.entry((term, seat.id)).or_insert(now);
        }
        let epoch = state.epoch().0;
        if self.epochs.insert(seat.id, epoch) == Some(epoch) {
            return Ok(());
        }
        if let Some(violation) = check(&state).first() {
            return Err(format!("the state of {} is not sound: {violation}", seat.id));
        }
        let bytes = encode(&StateRecord(state.as_ref().clone())).map_err(|error| error.to_string())?;
        let sum = crc32c::crc32c(&bytes);
        let (other, first) = *self.states.entry(epoch).or_insert((seat.id, sum));
        if first == sum {
            Ok(())
        } else {
            Err(format!("the states of {other} and {} differ at epoch {epoch}", seat.id))
        }
    }
}
