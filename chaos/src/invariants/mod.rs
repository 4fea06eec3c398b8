//! The promises, one a file: each a pure function from a plan and its history to what breaks it.

mod answers_repeat;
mod failures_have_a_cause;
mod processes_return;
mod requests_end;
mod service_goes_on;
mod state_is_sound;

use std::fmt;

use serde::Serialize;

use crate::experiments::Plan;
use crate::history::History;

/// Something that breaks a promise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Broken {
    /// Which promise.
    pub invariant: &'static str,
    /// What was seen instead.
    pub seen: String,
}

impl Broken {
    fn new(invariant: &'static str, seen: impl Into<String>) -> Self {
        Self { invariant, seen: seen.into() }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.seen)
    }
}

/// Everything that breaks a promise; empty when all of them hold.
#[must_use]
pub fn check(plan: &Plan, history: &History) -> Vec<Broken> {
    let all = [
        requests_end::check,
        answers_repeat::check,
        failures_have_a_cause::check,
        service_goes_on::check,
        processes_return::check,
        state_is_sound::check,
    ];
    all.iter().flat_map(|check| check(plan, history)).collect()
}

#[cfg(test)]
pub(crate) mod sample;
