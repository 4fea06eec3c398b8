//! When a call may be tried again: a pure decision.

use std::time::Duration;

use helixflow_proto::error::Reason;
use tonic::{Code, Status};

use crate::transport::broke;

/// Rounds over all coordinators before a call fails: enough to outlast an election.
const ROUNDS: u32 = 4;
/// The wait after the first full round; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// What to do after a failed attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask the next coordinator after this wait.
    Retry(Duration),
    /// Tell the caller.
    GiveUp,
}

/// What it does to make a call twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Nothing: the call changes nothing.
    Harmless,
    /// Perhaps harm, since the service knows no repetition for one: a call whose outcome is unknown is left to the caller.
    Unnumbered,
    /// The call is a write with a number, applied once however often it is sent.
    Numbered,
}

/// Decides from the answer, what a repetition does, the number of attempts so far (at least 1) and the number of
/// coordinators.
pub(crate) fn after(status: &Status, repeat: Repeat, attempts: u32, endpoints: u32) -> Next {
    // A coordinator that is down says nothing; one that has no quorum says so, and another may have one.
    let silent = status.code() == Code::Unavailable && Reason::of(status).is_none();
    let is = |reason: Reason| Reason::of(status).as_deref() == Some(reason.as_str());
    let passing = is(Reason::NoQuorum) || is(Reason::Draining);
    let unknown = broke(status) || is(Reason::OutcomeUnknown);
    let may_repeat = silent || passing || (unknown && repeat != Repeat::Unnumbered);
    if !may_repeat || attempts >= ROUNDS.saturating_mul(endpoints) {
        return Next::GiveUp;
    }
    if !attempts.is_multiple_of(endpoints) {
        return Next::Retry(Duration::ZERO);
    }
    let round = attempts / endpoints;
    Next::Retry(FIRST_WAIT * 2u32.saturating_pow(round - 1))
}

#[cfg(test)]
mod tests {
    use helixflow_proto::error::status;

    use super::*;

    #[test]
    fn a_silent_coordinator_sends_the_call_to_the_next_and_each_round_waits_longer() {
        let silent = Status::unavailable("connection refused");
        let waits: Vec<Next> =
            (1..=6).map(|attempts| after(&silent, Repeat::Unnumbered, attempts, 3)).collect();
        let (now, first, second) = (Duration::ZERO, FIRST_WAIT, FIRST_WAIT * 2);
        let expected = [now, now, first, now, now, second].map(Next::Retry);
        assert_eq!(waits, expected);
        assert_eq!(after(&silent, Repeat::Unnumbered, 12, 3), Next::GiveUp);
    }

    #[test]
    fn what_another_coordinator_would_answer_alike_is_not_asked_again() {
        for reason in
            [Reason::UnknownModel, Reason::InvalidParameter, Reason::QueueFull, Reason::OutcomeUnknown]
        {
            assert_eq!(after(&status(reason, "no"), Repeat::Unnumbered, 1, 3), Next::GiveUp, "{reason:?}");
        }
        assert_eq!(
            after(&status(Reason::NoQuorum, "no"), Repeat::Unnumbered, 1, 3),
            Next::Retry(Duration::ZERO)
        );
    }

    #[test]
    fn a_broken_connection_is_passed_over_only_where_a_repetition_does_no_harm() {
        let broken = Status::from_error(Box::new(std::io::Error::from(std::io::ErrorKind::BrokenPipe)));
        let expired = Status::from_error(Box::new(tonic::TimeoutExpired(())));
        for (repeat, next) in [
            (Repeat::Harmless, Next::Retry(Duration::ZERO)),
            (Repeat::Numbered, Next::Retry(Duration::ZERO)),
            (Repeat::Unnumbered, Next::GiveUp),
        ] {
            assert_eq!(after(&broken, repeat, 1, 3), next, "{repeat:?}");
            assert_eq!(after(&expired, repeat, 1, 3), Next::GiveUp, "{repeat:?}, with its time run out");
        }
    }

    #[test]
    fn a_numbered_write_is_tried_again_when_its_outcome_is_unknown() {
        let unknown = status(Reason::OutcomeUnknown, "no answer");
        assert_eq!(after(&unknown, Repeat::Numbered, 1, 3), Next::Retry(Duration::ZERO));
        assert_eq!(after(&unknown, Repeat::Numbered, 12, 3), Next::GiveUp);
        let expired = status(Reason::SessionExpired, "gone");
        assert_eq!(after(&expired, Repeat::Numbered, 1, 3), Next::GiveUp);
    }
}
