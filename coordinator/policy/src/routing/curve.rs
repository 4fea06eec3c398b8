//! How long one token takes each sequence of a batch, by how many share the batch: a line, fitted over the replicas of a
//! version.
//!
//! The speed that a replica reports is what it was asked for as much as what it can do, so it is no measure of either by
//! itself: of two equal replicas the one with less work would look slow, and get even less. Work by speed is: by Little's
//! law (L = λW, Little 1961) the requests there, by the tokens a second, are the time that one token takes a request.
//! What all replicas have in common in that is their batch; what one of them has beyond the line is its own: a smaller
//! board, or a clock that is down.

use helixflow_model::LoadReport;

use super::expect::WHOLE;

/// Figures of a replica with less work than this, in thousandths of a request, tell little of its speed.
const LEAST_BUSY: u64 = 100;
/// Twenty tokens a second: what is assumed while nobody has generated anything.
const NOMINAL_STEP: u64 = 50_000_000;
/// Requests in a batch that take each twice as long as one alone: what is assumed while the figures do not tell. A kernel
/// that reads the weights once for the whole batch is bound by memory up to about so many on a CPU, and to more on a GPU.
const NOMINAL_DOUBLING: u64 = 8;
/// Bounds of the same, whatever the figures say: a batch that gains nothing, and one that costs next to nothing.
const DOUBLING: [u64; 2] = [1, 64];
/// Figures so many times the middle one, or less, bend the line by accident: a replica that computes nothing but prompts.
const OUTLIER: u64 = 8;
/// No token takes longer than ten seconds, in nanoseconds.
const LONGEST_STEP: u64 = 10_000_000_000;
/// What is made of the difference from the line is bounded: of a replica on which little is known, it may be accident.
const SLOWNESS: [u64; 2] = [WHOLE / 4, WHOLE * 4];
/// Within an eighth nothing is made of it: requests differ in their prompts and their lengths.
const ACCIDENT: u64 = WHOLE / 8;

/// The line: nanoseconds a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Curve {
    /// With nobody there.
    base: u64,
    /// What each request adds.
    each: u64,
    /// The speeds of the boards that it was fitted to, in thousandths: their sum and their number.
    speeds: (u64, u64),
}

/// What one replica's figures say.
#[derive(Clone, Copy)]
struct Point {
    /// Requests there, in thousandths.
    busy: u64,
    /// Nanoseconds that a token takes each of them.
    step: u64,
    /// Of its boards.
    speed: u64,
}

impl Point {
    /// None where a replica has had too little to do.
    fn of(load: &LoadReport, speed: u64) -> Option<Self> {
        let busy = u64::from(load.busy_milli);
        let step = busy.saturating_mul(1_000_000_000).checked_div(load.millitokens_per_second);
        let step = step.unwrap_or(LONGEST_STEP).clamp(1000, LONGEST_STEP);
        (busy >= LEAST_BUSY).then_some(Self { busy, step, speed })
    }
}

impl Curve {
    /// Fits it to loads, each with the speed of its boards.
    pub(super) fn fit<'a>(replicas: impl Iterator<Item = (&'a LoadReport, u64)>) -> Self {
        let mut points: Vec<Point> = replicas.filter_map(|(load, speed)| Point::of(load, speed)).collect();
        let middle = points.len() / 2;
        if points.is_empty() {
            return Self::through(0, NOMINAL_STEP, None, (WHOLE, 1));
        }
        let (_, middle, _) = points.select_nth_unstable_by_key(middle, |point| point.step);
        let usual = middle.step / OUTLIER..=middle.step.saturating_mul(OUTLIER);
        points.retain(|point| usual.contains(&point.step));
        let count = points.len() as u64;
        let sum = |of: fn(&Point) -> u64| points.iter().map(of).sum::<u64>();
        let (busy, step) = (sum(|point| point.busy) / count, sum(|point| point.step) / count);
        Self::through(busy, step, slope(&points, busy, step), (sum(|point| point.speed), count))
    }

    /// Through the means, with this slope where it is known and likely: nanoseconds for each request.
    fn through(busy: u64, step: u64, slope: Option<u64>, speeds: (u64, u64)) -> Self {
        let doubling_at = |requests: u64| step.saturating_mul(WHOLE) / (requests * WHOLE + busy);
        let [steepest, flattest] = DOUBLING.map(doubling_at);
        let each = slope.unwrap_or(doubling_at(NOMINAL_DOUBLING)).clamp(flattest, steepest);
        let base = step.saturating_sub(each.saturating_mul(busy) / WHOLE);
        Self { base, each, speeds }
    }

    /// Nanoseconds that a token takes each of so many requests, in thousandths.
    pub(super) const fn step(&self, busy: u64) -> u64 {
        self.base.saturating_add(self.each.saturating_mul(busy) / WHOLE)
    }

    /// What one request more adds to that.
    pub(super) const fn each(&self) -> u64 {
        self.each
    }

    /// How much longer than on the line everything takes a replica whose boards hold this speed, in thousandths: by what
    /// was measured or by its boards' speed, whichever is worse.
    pub(super) fn slowness(&self, load: &LoadReport, speed: u64) -> u64 {
        let (sum, count) = self.speeds;
        let by_clock = sum * WHOLE / (count * speed);
        let measured = Point::of(load, speed).map(|point| point.step * WHOLE / self.step(point.busy).max(1));
        let without_accident = |slowness: u64| match slowness {
            slow if slow > WHOLE => slow.saturating_sub(ACCIDENT).max(WHOLE),
            quick => (quick + ACCIDENT).min(WHOLE),
        };
        let [least, most] = SLOWNESS;
        measured.map_or(by_clock, |measured| without_accident(measured).max(by_clock)).clamp(least, most)
    }
}

/// Least squares; none where all have the same to do.
fn slope(points: &[Point], busy: u64, step: u64) -> Option<u64> {
    let off = |value: u64, mean: u64| i128::from(value) - i128::from(mean);
    let spread: i128 = points.iter().map(|point| off(point.busy, busy).pow(2)).sum();
    let together: i128 = points.iter().map(|point| off(point.busy, busy) * off(point.step, step)).sum();
    // Half a request apart, on average: below that it is all accident.
    let tells = spread > points.len() as i128 * i128::from(WHOLE / 2).pow(2);
    let slope = together * i128::from(WHOLE) / spread.max(1);
    tells.then(|| u64::try_from(slope.max(0)).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a replica that is on this line: nanoseconds a token, at so many requests.
    fn load(base: u64, each: u64, requests: u32) -> LoadReport {
        let step = base + each * u64::from(requests);
        let millitokens_per_second = u64::from(requests) * 1_000_000_000_000 / step;
        LoadReport {
            active: requests,
            busy_milli: requests * 1000,
            millitokens_per_second,
            ..LoadReport::default()
        }
    }

    fn fit(loads: &[LoadReport]) -> Curve {
        Curve::fit(loads.iter().map(|load| (load, WHOLE)))
    }

    #[test]
    fn the_line_that_the_replicas_are_on_is_found_and_none_of_them_is_slow() {
        let loads = [1, 3, 8, 12, 20].map(|requests| load(20_000_000, 1_000_000, requests));
        let curve = fit(&loads);
        assert!((19_900_000..=20_100_000).contains(&curve.base), "{curve:?}");
        assert!((990_000..=1_010_000).contains(&curve.each), "{curve:?}");
        assert!(loads.iter().all(|load| curve.slowness(load, WHOLE) == WHOLE));
    }

    #[test]
    fn a_replica_that_was_asked_for_little_is_not_slow() {
        let seldom = LoadReport { busy_milli: 250, millitokens_per_second: 12_500, ..LoadReport::default() };
        let curve = fit(&[seldom, load(20_000_000, 0, 1), load(20_000_000, 0, 6)]);
        assert_eq!(curve.slowness(&seldom, WHOLE), WHOLE);
    }

    #[test]
    fn a_clock_that_is_down_counts_once() {
        let mut loads = [4, 5, 6, 7, 8].map(|requests| load(20_000_000, 1_000_000, requests));
        loads[2].millitokens_per_second /= 2;
        let curve = Curve::fit((0..).zip(&loads).map(|(n, load)| (load, if n == 2 { 500 } else { WHOLE })));
        let slowness = curve.slowness(&loads[2], 500);
        assert!((1500..2100).contains(&slowness), "{slowness}");
        let before_it_shows = curve.slowness(&load(20_000_000, 1_000_000, 6), 500);
        assert!((1500..2100).contains(&before_it_shows), "{before_it_shows}");
    }

    #[test]
    fn one_replica_that_only_computes_prompts_bends_no_line() {
        let stuck = LoadReport { active: 4, busy_milli: 4000, ..LoadReport::default() };
        let loads = [1, 3, 8, 12, 20].map(|requests| load(20_000_000, 1_000_000, requests));
        let with_it: Vec<_> = loads.into_iter().chain([stuck]).collect();
        assert_eq!(fit(&with_it), fit(&loads));
        assert_eq!(fit(&with_it).slowness(&stuck, WHOLE), SLOWNESS[1]);
    }

    #[test]
    fn more_requests_always_take_longer_whatever_the_figures_say() {
        let falling = [load(50_000_000, 0, 2), load(10_000_000, 0, 20)];
        let curve = fit(&falling);
        assert!(curve.each() > 0 && curve.step(2000) > curve.step(1000), "{curve:?}");
        assert!(fit(&[]).each() > 0);
    }
}
