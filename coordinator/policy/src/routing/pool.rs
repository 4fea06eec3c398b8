//! Candidates to draw from, in constant time: those of one rank lie side by side, region by region.

use std::ops::Range;

use helixflow_model::Region;

/// Draws before all are looked at: enough that of a hundred candidates, half of which suit, one scan comes in 2³² picks.
const DRAWS: usize = 32;

/// The candidates of one rank, as places in their version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stretch {
    /// In the order of regions, each where the one before ends.
    regions: Vec<(Region, Range<usize>)>,
}

impl Stretch {
    /// Of regions in order, side by side.
    pub(super) fn of(regions: Vec<(Region, Range<usize>)>) -> Self {
        Self { regions }
    }

    /// Those of one region, and all others.
    pub(super) fn split(&self, region: &Region) -> (Pool, Pool) {
        let begin = self.regions.first().map_or(0, |(_, range)| range.start);
        let end = self.regions.last().map_or(0, |(_, range)| range.end);
        let found = self.regions.binary_search_by(|(name, _)| name.cmp(region)).ok();
        let near = found.and_then(|at| self.regions.get(at)).map_or(end..end, |(_, range)| range.clone());
        let far = Pool { before: begin..near.start, after: near.end..end };
        (Pool { before: near, after: end..end }, far)
    }
}

/// Some of them: up to two ranges of places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pool {
    before: Range<usize>,
    after: Range<usize>,
}

impl Pool {
    fn len(&self) -> usize {
        self.before.len() + self.after.len()
    }

    fn places(&self) -> impl Iterator<Item = usize> + use<> {
        self.before.clone().chain(self.after.clone())
    }

    fn nth(&self, n: usize) -> usize {
        match n.checked_sub(self.before.len()) {
            None => self.before.start + n,
            Some(beyond) => self.after.start + beyond,
        }
    }

    /// Draws one of those that suit, each as likely as any other; none where none suits. So many are drawn that do not
    /// suit, then all are looked at.
    pub(super) fn draw(&self, random: &mut Draws, suits: impl Fn(usize) -> bool) -> Option<usize> {
        let drawn = (0..DRAWS).map(|_| random.below(self.len()));
        let found = drawn.map_while(|n| n.map(|n| self.nth(n))).find(|place| suits(*place));
        found.or_else(|| {
            let suiting = || self.places().filter(|place| suits(*place));
            let n = random.below(suiting().count())?;
            suiting().nth(n)
        })
    }
}

/// Numbers that follow from one random number: SplitMix64 (Steele, Lea and Flood 2014), so that a pick stays a function of
/// its arguments however many it needs.
pub(super) struct Draws(u64);

impl Draws {
    pub(super) const fn from(random: u64) -> Self {
        Self(random)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `count`, even to within one part in 2⁶⁴ / count; none below nothing.
    fn below(&mut self, count: usize) -> Option<usize> {
        let scaled = (u128::from(self.next()) * count as u128) >> 64;
        usize::try_from(scaled).ok().filter(|n| *n < count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn region(name: &str) -> Region {
        Region::new(name).unwrap()
    }

    #[test]
    fn the_own_region_and_all_others_make_up_the_whole() {
        let stretch = Stretch::of(vec![(region("a"), 3..5), (region("b"), 5..6), (region("c"), 6..9)]);
        for (own, near) in [("a", 3..5), ("b", 5..6), ("c", 6..9), ("elsewhere", 0..0)] {
            let (own, others) = stretch.split(&region(own));
            assert_eq!(own.places().collect::<Vec<_>>(), near.clone().collect::<Vec<_>>());
            let far: Vec<usize> = (3..9).filter(|place| !near.contains(place)).collect();
            assert_eq!(others.places().collect::<Vec<_>>(), far);
            assert_eq!((0..others.len()).map(|n| others.nth(n)).collect::<Vec<_>>(), far);
        }
    }

    #[test]
    fn the_one_of_ten_thousand_that_suits_is_found() {
        let pool = Pool { before: 0..4000, after: 5000..11_000 };
        assert_eq!(pool.draw(&mut Draws::from(1), |place| place == 10_999), Some(10_999));
        assert_eq!(pool.draw(&mut Draws::from(1), |place| place == 4500), None);
    }

    #[test]
    fn those_that_suit_are_drawn_equally_often() {
        let pool = Pool { before: 0..3, after: 7..10 };
        let mut draws = Draws::from(1);
        let mut counts = [0_u32; 10];
        for _ in 0..4000 {
            counts[pool.draw(&mut draws, |place| place % 2 == 0 || place == 9).unwrap()] += 1;
        }
        assert!(counts.iter().all(|count| *count == 0 || (900..1100).contains(count)), "{counts:?}");
    }
}
