//! For which boards processes were replaced while others were well, and how long such a board is waited for the next time.
//!
//! A new process may cure a call that hangs, or see a board that has come back. But it costs the other boards a pause: so
//! the wait doubles each time for a board that it did not help, and is the first one again once it did.

use std::collections::BTreeMap;
use std::time::Duration;

use helixflow_control::Backoff;
use helixflow_model::BoardId;

/// The longest wait: a board that hangs or is gone for good costs the others a pause of seconds in each hour, and one that
/// somebody mends without starting the node again is back within it.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);

/// How many processes were replaced for each board, in vain.
#[derive(Default)]
pub(super) struct Replaced(BTreeMap<BoardId, u32>);

impl Replaced {
    /// How long the board may be late by now, where `first` is what it may be at first.
    pub(super) fn wait(&self, board: &BoardId, first: Duration) -> Duration {
        let in_vain = self.0.get(board).copied().unwrap_or_default();
        Backoff { first, longest: LONGEST_WAIT.max(first) }.pause(in_vain.saturating_add(1))
    }

    /// A process is replaced for this board.
    pub(super) fn count(&mut self, board: BoardId) {
        let in_vain = self.0.entry(board).or_default();
        *in_vain = in_vain.saturating_add(1);
    }

    /// The board has answered in a process that has run for so long. One that has not run for longer than the wait has
    /// not helped yet: a board that answers once and hangs again would cost a pause after each first wait.
    pub(super) fn answered(&mut self, board: &BoardId, ran: Duration, first: Duration) {
        if ran >= self.wait(board, first) {
            self.0.remove(board);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Duration = Duration::from_secs(120);

    fn board(name: &str) -> BoardId {
        BoardId::new(name).expect("a valid id")
    }

    #[test]
    fn the_wait_for_a_board_doubles_up_to_an_hour_and_others_have_the_first_one() {
        let mut replaced = Replaced::default();
        let mut waits = Vec::new();
        for _ in 0..7 {
            waits.push(replaced.wait(&board("a"), FIRST).as_secs());
            replaced.count(board("a"));
        }
        assert_eq!(waits, [120, 240, 480, 960, 1920, 3600, 3600]);
        assert_eq!(replaced.wait(&board("b"), FIRST), FIRST);
    }

    #[test]
    fn a_board_is_cured_once_it_answers_later_than_it_would_have_been_given_up() {
        let mut replaced = Replaced::default();
        replaced.count(board("a"));
        replaced.answered(&board("a"), Duration::from_secs(239), FIRST);
        assert_eq!(replaced.wait(&board("a"), FIRST), 2 * FIRST, "it may hang again at once");
        replaced.answered(&board("a"), Duration::from_secs(240), FIRST);
        assert_eq!(replaced.wait(&board("a"), FIRST), FIRST);
    }
}
