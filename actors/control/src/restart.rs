//! The restart budget: a child that fails now and then is started again, one that fails at once each time is not.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Backoff;

/// How often a child may be restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestartPolicy {
    /// Most restarts within the window.
    pub most: usize,
    /// The time over which restarts are counted.
    pub window: Duration,
    /// The pause before each restart, longer with each one that the window still holds.
    pub backoff: Backoff,
}

/// What to do with a child that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restart {
    /// Start it again after this pause.
    After(Duration),
    /// The budget is spent; it holds room for one restart again after this time.
    Spent(Duration),
}

/// The restarts of one child that the window still holds.
#[derive(Clone, Debug)]
pub struct RestartBudget {
    policy: RestartPolicy,
    /// When each restart was granted, the oldest first; at most `policy.most`.
    granted: VecDeque<Duration>,
}

impl RestartBudget {
    /// A budget of which nothing is spent.
    pub const fn new(policy: RestartPolicy) -> Self {
        Self { policy, granted: VecDeque::new() }
    }

    /// How often the child may be restarted.
    pub const fn policy(&self) -> RestartPolicy {
        self.policy
    }

    /// The restarts that the window holds at `now`.
    pub fn spent(&self, now: Duration) -> usize {
        self.granted.iter().filter(|at| now.saturating_sub(**at) < self.policy.window).count()
    }

    /// Decides on a failure at `now`, the time since the process began; it never runs backwards.
    pub fn decide(&mut self, now: Duration) -> Restart {
        while self.granted.front().is_some_and(|at| now.saturating_sub(*at) >= self.policy.window) {
            self.granted.pop_front();
        }
        if self.granted.len() >= self.policy.most {
            let oldest = self.granted.front().copied().unwrap_or(now);
            return Restart::Spent((oldest + self.policy.window).saturating_sub(now));
        }
        self.granted.push_back(now);
        let failures = u32::try_from(self.granted.len()).unwrap_or(u32::MAX);
        Restart::After(self.policy.backoff.pause(failures))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const POLICY: RestartPolicy = RestartPolicy {
        most: 3,
        window: Duration::from_secs(60),
        backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(8) },
    };

    #[test]
    fn a_child_that_fails_at_once_each_time_is_given_up() {
        let mut budget = RestartBudget::new(POLICY);
        let second = Duration::from_secs;
        assert_eq!(budget.decide(second(0)), Restart::After(second(1)));
        assert_eq!(budget.decide(second(1)), Restart::After(second(2)));
        assert_eq!(budget.decide(second(3)), Restart::After(second(4)));
        assert_eq!(budget.decide(second(7)), Restart::Spent(second(53)));
        assert_eq!(budget.decide(second(60)), Restart::After(second(4)));
    }

    #[test]
    fn a_child_that_fails_now_and_then_is_restarted_for_ever() {
        let mut budget = RestartBudget::new(POLICY);
        for failure in 0..1000 {
            let decision = budget.decide(POLICY.window * failure);
            assert_eq!(decision, Restart::After(POLICY.backoff.first));
        }
    }

    proptest! {
        #[test]
        fn no_window_holds_more_restarts_than_the_policy(gaps in prop::collection::vec(0u64..40, 1..200)) {
            let mut budget = RestartBudget::new(POLICY);
            let mut now = Duration::ZERO;
            let mut granted: Vec<Duration> = Vec::new();
            for gap in gaps {
                now += Duration::from_secs(gap);
                match budget.decide(now) {
                    Restart::After(_) => granted.push(now),
                    Restart::Spent(free_in) => {
                        let mut later = budget.clone();
                        prop_assert!(matches!(later.decide(now + free_in), Restart::After(_)));
                    }
                }
                let held = granted.iter().filter(|at| now - **at < POLICY.window).count();
                prop_assert!(held <= POLICY.most);
                prop_assert_eq!(budget.spent(now), held);
            }
        }
    }
}
