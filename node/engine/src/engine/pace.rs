//! How the engine keeps to the speed of a board that is slower than the machine: it rests after its steps.
//!
//! A simulated board has a clock of its own, and the CPU does its work. What the CPU does faster than that clock would
//! allow is made up for by a rest, so that the clock shows in every figure. Orders are obeyed during a rest; only the next
//! step waits.

use std::time::{Duration, Instant};

use crate::schedule::Stepped;

/// The longest rest after one step: more is a mistake of whoever sets the pace, and could not be added to an instant.
const LONGEST_REST: Duration = Duration::from_secs(3_600);

/// Sets the pace of one engine. Called on the engine's thread: it must return soon, and never wait.
pub trait Pace: Send {
    /// Hears of a step and how long it took, and says how long to rest before the next one.
    fn rest(&mut self, step: Stepped, worked: Duration) -> Duration;
}

/// As fast as the machine can.
pub(super) struct Unpaced;

impl Pace for Unpaced {
    fn rest(&mut self, _: Stepped, _: Duration) -> Duration {
        Duration::ZERO
    }
}

/// What a step took, its rest included, and when the next may begin; none for at once.
pub(super) fn paced(
    pace: &mut dyn Pace,
    step: Stepped,
    began: Instant,
    ended: Instant,
) -> (Duration, Option<Instant>) {
    let worked = ended.duration_since(began);
    let rest = pace.rest(step, worked).min(LONGEST_REST);
    if rest.is_zero() { (worked, None) } else { (worked + rest, Some(ended + rest)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Rests(Duration);

    impl Pace for Rests {
        fn rest(&mut self, _: Stepped, _: Duration) -> Duration {
            self.0
        }
    }

    fn paced_by(rest: Duration) -> (Duration, Option<Duration>) {
        #[expect(clippy::disallowed_methods, reason = "any instant will do")]
        let began = Instant::now();
        let ended = began + Duration::from_millis(40);
        let (took, next) = paced(&mut Rests(rest), Stepped::default(), began, ended);
        (took, next.map(|next| next.duration_since(ended)))
    }

    #[test]
    fn without_a_rest_nothing_is_added() {
        assert_eq!(paced_by(Duration::ZERO), (Duration::from_millis(40), None));
    }

    #[test]
    fn half_the_speed_doubles_what_a_step_takes() {
        let rest = Duration::from_millis(40);
        assert_eq!(paced_by(rest), (Duration::from_millis(80), Some(rest)));
    }

    #[test]
    fn a_rest_is_bounded() {
        assert_eq!(paced_by(Duration::MAX).1, Some(LONGEST_REST));
    }
}
