//! Who gets a request, by policy. HelixFlow's own routing stands in `production`.
//!
//! The policies beside it know the number of requests at each board exactly and at once, better than any balancer of
//! several gateways could: in their favour.

use std::time::Duration;

use helixflow_policy::routing::Thermal;

use super::boards::Boards;
use super::production::Production;
use super::{FleetError, Setting};
use crate::random::{Stream, bits};
use crate::{Policy, Serving};

/// Picks a board for each request.
pub(super) struct Routing {
    way: Way,
    seed: u64,
    /// Requests picked for so far.
    picks: u64,
    /// Requests under way at each board.
    own: Vec<u32>,
}

enum Way {
    InTurn,
    FewestOfAll,
    FewerOfTwo,
    Production(Box<Production>),
}

impl Routing {
    pub(super) fn new(setting: Setting, boards: &Boards, seed: u64) -> Result<Self, FleetError> {
        let way = match setting.policy {
            Policy::RoundRobin => Way::InTurn,
            Policy::LeastLoaded | Policy::ClockCap | Policy::PowerCap => Way::FewestOfAll,
            Policy::TwoChoices => Way::FewerOfTwo,
            Policy::HelixFlow => Way::Production(Box::new(Production::new(boards, Thermal::Counted)?)),
            Policy::WithoutThermalTerm => Way::Production(Box::new(Production::new(boards, Thermal::Zero)?)),
        };
        Ok(Self { way, seed, picks: 0, own: vec![0; boards.len()] })
    }

    /// Takes in what the boards report.
    pub(super) fn hear(&mut self, boards: &mut Boards, serving: &Serving, now: Duration) {
        if let Way::Production(production) = &mut self.way {
            production.hear(boards, serving, now);
        }
    }

    /// The board for the next request; none when nobody can take it.
    pub(super) fn pick(&mut self) -> Option<usize> {
        let random = bits(self.seed, Stream::Picks, self.picks);
        let turn = self.picks;
        self.picks += 1;
        match &self.way {
            Way::InTurn => Some(usize::try_from(turn).ok()? % self.own.len()),
            Way::FewestOfAll => fewest(&self.own, random),
            Way::FewerOfTwo => fewer_of_two(&self.own, random),
            Way::Production(production) => production.pick(&self.own, random),
        }
    }

    /// A board has taken a request.
    pub(super) fn took(&mut self, board: usize) {
        if let Some(own) = self.own.get_mut(board) {
            *own += 1;
        }
    }

    /// A request has ended at a board.
    pub(super) fn let_go(&mut self, board: usize) {
        if let Some(own) = self.own.get_mut(board) {
            *own = own.saturating_sub(1);
        }
    }
}

/// Any of those with the fewest.
fn fewest(own: &[u32], random: u64) -> Option<usize> {
    let least = *own.iter().min()?;
    let equal = own.iter().filter(|count| **count == least).count();
    let chosen = below(random, equal);
    own.iter().enumerate().filter(|(_, count)| **count == least).nth(chosen).map(|(board, _)| board)
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
        let mut drawn = [0; 4];
        for n in 0..3000 {
            drawn[fewest(&[2, 5, 2, 2], bits(1, Stream::Picks, n)).unwrap()] += 1;
        }
        assert_eq!(drawn[1], 0);
        assert!([0, 2, 3].into_iter().all(|board| (900..1100).contains(&drawn[board])), "{drawn:?}");
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
