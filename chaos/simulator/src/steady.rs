//! How far a board's die rises over its inlet, and how fast the board is, when it works without a pause: by the clock that
//! it is kept to.

use helixflow_model::MegaHertz;
use helixflow_physics::{Board, Work};

/// Shares of the highest clock that are tried; between them it is interpolated.
const SHARES: [f64; 13] = [0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 1.0];
/// Seconds after which a board of any product has settled: ten times the longest time in which its heat does.
const SETTLES: f64 = 600.0;

/// A board at its clocks, from the lowest tried to the highest.
pub(crate) struct Steady(Vec<Point>);

/// Settled at one clock.
#[derive(Clone, Copy)]
struct Point {
    clock: f64,
    rise: f64,
    speed: f64,
}

impl Steady {
    /// Of a board in the air that it has.
    pub(crate) fn of(board: &Board, memory_bound: f64) -> Self {
        let mut board = board.clone();
        let most = board.parameters().clocks.most;
        let work = Work { busy: 1.0, memory_bound };
        let settled = |share: f64| {
            let clock = share * most;
            board.limit_clock(Some(MegaHertz(clock as u32)));
            board.step(SETTLES, work);
            let speed = board.step(SETTLES, work).work / SETTLES;
            Point { clock, rise: board.die() - board.surroundings().inlet, speed }
        };
        Self(SHARES.map(settled).into())
    }

    /// The highest clock at which the rise is no more than this; the lowest tried where it always is.
    pub(crate) fn clock_within(&self, rise: f64) -> MegaHertz {
        MegaHertz(self.within(rise, |point| point.clock) as u32)
    }

    /// The speed there, of that at the highest clock; none where the lowest clock tried rises further.
    pub(crate) fn speed_within(&self, rise: f64) -> f64 {
        let reached = self.0.first().is_some_and(|lowest| lowest.rise <= rise);
        if reached { self.within(rise, |point| point.speed) } else { 0.0 }
    }

    fn within(&self, rise: f64, of: impl Fn(&Point) -> f64) -> f64 {
        let above = self.0.iter().position(|point| point.rise > rise);
        let Some(above) = above else { return self.0.last().map_or(0.0, of) };
        let pair = above.checked_sub(1).and_then(|below| self.0.get(below)).zip(self.0.get(above));
        let Some((below, above)) = pair else { return self.0.first().map_or(0.0, of) };
        let way = (rise - below.rise) / (above.rise - below.rise);
        of(below) + way * (of(above) - of(below))
    }
}

#[cfg(test)]
mod tests {
    use helixflow_physics::{H100_SXM, Surroundings};

    use super::*;

    #[test]
    fn a_board_kept_to_the_clock_of_a_rise_rises_that_far() {
        let mut board = Board::new(H100_SXM, Surroundings { inlet: 30.0, fans: 1.0 }, 1);
        let steady = Steady::of(&board, 0.5);
        let all = steady.clock_within(f64::INFINITY);
        assert_eq!(f64::from(all.0), H100_SXM.clocks.most);
        let rise = 35.0;
        board.limit_clock(Some(steady.clock_within(rise)));
        let work = Work { busy: 1.0, memory_bound: 0.5 };
        board.step(1200.0, work);
        assert!((board.die() - 30.0 - rise).abs() < 1.0, "{}", board.die());
        assert!((board.speed() - steady.speed_within(rise)).abs() < 0.01);
        assert_eq!(steady.speed_within(1.0), 0.0);
    }
}
