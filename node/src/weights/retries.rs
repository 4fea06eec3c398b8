//! How often a broken download is tried again, and after which pause.

use std::time::Duration;

use super::settings::Patience;

/// A try that brought this much counts as progress, and the retries are counted anew. A server that gives a few
/// bytes a connection is still given up.
const GOOD_PIECE: u64 = 1 << 20;

/// The retries left to one download.
pub(super) struct Retries {
    patience: Patience,
    left: u32,
    pause: Duration,
    good_up_to: u64,
}

impl Retries {
    /// For a download that starts with `have` bytes.
    pub(super) fn new(patience: &Patience, have: u64) -> Self {
        Self {
            left: patience.retries,
            pause: patience.first_pause,
            patience: patience.clone(),
            good_up_to: have,
        }
    }

    /// The pause before the next try, after one that ended with `have` bytes; `None` when it was the last.
    pub(super) fn next_pause(&mut self, have: u64) -> Option<Duration> {
        if have >= self.good_up_to.saturating_add(GOOD_PIECE) {
            *self = Self::new(&self.patience, have);
        }
        self.left = self.left.checked_sub(1)?;
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(self.patience.longest_pause);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(retries: &mut Retries, have: u64) -> Vec<u128> {
        std::iter::from_fn(|| retries.next_pause(have)).map(|pause| pause.as_millis()).take(100).collect()
    }

    #[test]
    fn pauses_double_up_to_their_bound_and_end() {
        let patience = Patience { retries: 7, ..Patience::default() };
        let mut retries = Retries::new(&patience, 0);
        assert_eq!(pauses(&mut retries, 0), [500, 1000, 2000, 4000, 8000, 8000, 8000]);
    }

    #[test]
    fn a_good_piece_earns_new_retries_and_a_few_bytes_do_not() {
        let mut retries = Retries::new(&Patience::default(), 100);
        assert_eq!(pauses(&mut retries, 100 + GOOD_PIECE - 1).len(), 4);
        assert_eq!(pauses(&mut retries, 100 + GOOD_PIECE).len(), 4);
        assert_eq!(pauses(&mut retries, 100 + GOOD_PIECE).len(), 0);
    }
}
