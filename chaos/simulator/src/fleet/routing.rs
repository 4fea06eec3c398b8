//! Who gets a request, by policy. HelixFlow's own routing stands in `production`.
//!
//! The policies beside it know the number of requests at each board exactly and at once, better than any balancer of
//! several gateways could: in their favour.

use std::time::Duration;

use helixflow_policy::routing::Own;

use super::boards::Boards;
use super::production::Production;
use super::{FleetError, Setting};
use crate::Serving;
use crate::policy::Router;
use crate::random::{Stream, bits};

/// Requests that a prompt which is still to be computed counts as: about the steps that one takes, as in production.
const PROMPT: u32 = 8;

/// Picks a board for each request.
pub(super) struct Routing {
    way: Way,
    seed: u64,
    /// Requests picked for so far.
    picks: u64,
    under_way: UnderWay,
}

enum Way {
    InTurn,
    FewestOfAll,
    FewestWithPrompts,
    FewerOfTwo,
    Production(Box<Production>),
}

impl Routing {
    pub(super) fn new(setting: Setting, boards: &Boards, seed: u64) -> Result<Self, FleetError> {
        let way = match setting.policy.router() {
            Router::InTurn => Way::InTurn,
            Router::FewestOfAll => Way::FewestOfAll,
            Router::FewestWithPrompts => Way::FewestWithPrompts,
            Router::FewerOfTwo => Way::FewerOfTwo,
            Router::HelixFlow(thermal) => Way::Production(Box::new(Production::new(boards, thermal)?)),
        };
        Ok(Self { way, seed, picks: 0, under_way: UnderWay::new(boards.len()) })
    }

    /// Takes in what the boards report.
    pub(super) fn hear(&mut self, boards: &mut Boards, serving: &Serving, now: Duration) {
        if let Way::Production(production) = &mut self.way {
            production.hear(boards, serving, now);
        }
    }

    /// The board for the next request; none when nobody can take it.
    pub(super) fn pick(&mut self, boards: &Boards) -> Option<usize> {
        let random = bits(self.seed, Stream::Picks, self.picks);
        let turn = self.picks;
        self.picks += 1;
        match &self.way {
            Way::InTurn => usize::try_from(turn).ok()?.checked_rem(self.under_way.counts.len()),
            Way::FewestOfAll => self.under_way.fewest(random),
            Way::FewestWithPrompts => {
                let counts = &self.under_way.counts;
                lowest(counts.len(), |board| counts[board] + PROMPT * boards.unanswered(board), random)
            }
            Way::FewerOfTwo => fewer_of_two(&self.under_way.counts, random),
            Way::Production(production) => {
                let count = |board| self.under_way.counts.get(board).copied().unwrap_or_default();
                let own = |board| Own { under_way: count(board), unanswered: boards.unanswered(board) };
                production.pick(own, random)
            }
        }
    }

    /// A board has taken a request.
    pub(super) fn took(&mut self, board: usize) {
        self.under_way.change(board, 1);
    }

    /// A request has ended at a board.
    pub(super) fn let_go(&mut self, board: usize) {
        self.under_way.change(board, -1);
    }
}

/// How many requests are under way at each board, and the boards by that number.
struct UnderWay {
    counts: Vec<u32>,
    /// The boards with so many, in no order.
    with: Vec<Vec<u32>>,
    /// Where each board stands in its list.
    place: Vec<usize>,
}

impl UnderWay {
    fn new(boards: usize) -> Self {
        Self {
            counts: vec![0; boards],
            with: vec![(0..boards as u32).collect()],
            place: (0..boards).collect(),
        }
    }

    fn change(&mut self, board: usize, by: i32) {
        let before = self.counts[board];
        let after = before.saturating_add_signed(by);
        let list = &mut self.with[before as usize];
        list.swap_remove(self.place[board]);
        if let Some(&moved) = list.get(self.place[board]) {
            self.place[moved as usize] = self.place[board];
        }
        if self.with.len() <= after as usize {
            self.with.push(Vec::new());
        }
        self.place[board] = self.with[after as usize].len();
        self.with[after as usize].push(board as u32);
        self.counts[board] = after;
    }

    /// Any of those with the fewest.
    fn fewest(&self, random: u64) -> Option<usize> {
        let list = self.with.iter().find(|list| !list.is_empty())?;
        list.get(below(random, list.len())).map(|board| *board as usize)
    }
}

/// Any of so many boards with the lowest score.
fn lowest(boards: usize, score: impl Fn(usize) -> u32, random: u64) -> Option<usize> {
    let least = (0..boards).map(&score).min()?;
    let with_least = || (0..boards).filter(|board| score(*board) == least);
    with_least().nth(below(random, with_least().count()))
}

fn fewer_of_two(own: &[u32], random: u64) -> Option<usize> {
    let (one, other) = (below(random >> 32, own.len()), below(random & 0xffff_ffff, own.len() - 1));
    let other = if other >= one { other + 1 } else { other };
    match (own.get(one), own.get(other)) {
        (Some(here), Some(there)) if there < here => Some(other),
        (here, _) => here.map(|_| one),
    }
}

/// Maps 32 random bits onto `0..count`; to 0 for an empty range.
fn below(bits: u64, count: usize) -> usize {
    (((bits & 0xffff_ffff) as u128 * count as u128) >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fewest_of_all_are_drawn_evenly() {
        let mut own = UnderWay::new(4);
        (0..3).for_each(|_| own.change(1, 1));
        (0..4).for_each(|board| own.change(board, 1));
        own.change(2, 1);
        own.change(2, -1);
        assert_eq!(own.counts, [1, 4, 1, 1]);
        let mut drawn = [0; 4];
        for n in 0..3000 {
            drawn[own.fewest(bits(1, Stream::Picks, n)).unwrap()] += 1;
        }
        assert_eq!(drawn[1], 0);
        assert!([0, 2, 3].into_iter().all(|board| (900..1100).contains(&drawn[board])), "{drawn:?}");
    }

    #[test]
    fn of_the_lowest_scores_any_is_taken() {
        let mut drawn = [0u32; 4];
        for n in 0..3000 {
            drawn[lowest(4, |board| [7, 2, 2, 9][board], bits(1, Stream::Picks, n)).unwrap()] += 1;
        }
        assert_eq!((drawn[0], drawn[3]), (0, 0));
        assert!(drawn[1].abs_diff(drawn[2]) < 300, "{drawn:?}");
        assert_eq!(lowest(0, |_| 0, 1), None);
    }

    #[test]
    fn of_two_the_one_with_fewer_is_taken() {
        let mut drawn = [0; 3];
        for n in 0..3000 {
            drawn[fewer_of_two(&[9, 5, 1], bits(1, Stream::Picks, n)).unwrap()] += 1;
        }
        assert_eq!(drawn[0], 0, "there is always a better one beside it");
        assert!(drawn[2] > 1800 && drawn[1] > 900, "{drawn:?}");
    }
}
