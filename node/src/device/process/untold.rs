//! Fault events that one board has told and nobody has heard: the driver tells each once, so they are kept until a reading
//! of the board can bear them, whichever process gives it.

use helixflow_model::{BoardReading, FaultEvent};

/// Codes that are kept of one board: NVIDIA names about two hundred. Of more the earliest stay, which come nearest to the
/// cause.
const MOST_CODES: usize = 256;

/// The events that came since the last reading that somebody took.
#[derive(Debug, Default)]
pub(super) struct Untold(Vec<FaultEvent>);

impl Untold {
    /// Keeps an event until the next reading.
    pub(super) fn add(&mut self, event: FaultEvent) {
        add(&mut self.0, event);
    }

    /// Keeps the events of a reading that nobody takes.
    pub(super) fn keep(&mut self, reading: BoardReading) {
        for event in reading.faults {
            add(&mut self.0, event);
        }
    }

    /// Puts what is kept before the events of a reading that somebody will take.
    pub(super) fn put_before(&mut self, reading: &mut BoardReading) {
        let told = std::mem::replace(&mut reading.faults, std::mem::take(&mut self.0));
        for event in told {
            add(&mut reading.faults, event);
        }
    }
}

/// Adds an event to a list that has each code once.
fn add(events: &mut Vec<FaultEvent>, new: FaultEvent) {
    if let Some(known) = events.iter_mut().find(|event| event.code == new.code) {
        known.count = known.count.saturating_add(new.count);
    } else if events.len() < MOST_CODES {
        events.push(new);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(events: impl IntoIterator<Item = (u32, u32)>) -> BoardReading {
        let faults = events.into_iter().map(|(code, count)| FaultEvent { code, count }).collect();
        BoardReading { faults, ..BoardReading::default() }
    }

    #[test]
    fn what_nobody_heard_comes_before_what_is_new_each_code_once() {
        let mut untold = Untold::default();
        untold.keep(reading([(79, 1)]));
        untold.keep(reading([(48, 1), (79, 1)]));
        let mut next = reading([(45, 1), (48, 2)]);
        untold.put_before(&mut next);
        assert_eq!(next, reading([(79, 2), (48, 3), (45, 1)]));
        let mut next = reading([]);
        untold.put_before(&mut next);
        assert_eq!(next, reading([]), "it is told once");
    }

    #[test]
    fn codes_that_are_kept_are_bounded_and_the_earliest_stay() {
        let mut untold = Untold::default();
        for code in 0..1000 {
            untold.keep(reading([(code, 1)]));
        }
        let mut next = reading([]);
        untold.put_before(&mut next);
        let codes: Vec<u32> = next.faults.iter().map(|event| event.code).collect();
        assert_eq!(codes, (0..256).collect::<Vec<_>>());
    }
}
