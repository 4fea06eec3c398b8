//! A request fails only because of a kill: soon after it, and in the way that the victim's death explains.
//!
//! A node that dies ends its streams with `UNAVAILABLE`, reason `NO_REPLICA`. A coordinator that dies breaks the
//! connections of its clients, and a client that had read nothing yet asks another coordinator instead of failing.

use super::Broken;
use crate::experiments::{Hypotheses, Plan};
use crate::history::{History, Kill, Outcome, Request};
use crate::target::Role;

/// What streams end with when their node dies.
const OF_A_NODE: (&str, &str) = ("Unavailable", "NO_REPLICA");

pub(super) fn check(plan: &Plan, history: &History) -> Vec<Broken> {
    let explained =
        |request: &Request| history.kills.iter().any(|kill| explains(kill, request, &plan.hypotheses));
    let failed = history.requests.iter().filter(|request| is_failure(&request.outcome));
    failed.filter(|request| !explained(request)).map(|request| tell(request, &history.kills)).collect()
}

/// Hung requests have a promise of their own.
fn is_failure(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Refused { .. } | Outcome::ConnectionLost { .. })
}

fn explains(kill: &Kill, request: &Request, hypotheses: &Hypotheses) -> bool {
    let in_time = request.ended >= kill.at && request.ended <= kill.at + hypotheses.failure_window;
    let alike = match &request.outcome {
        Outcome::Refused { code, reason, .. } => {
            kill.victim.role == Role::Node && (code.as_str(), reason.as_str()) == OF_A_NODE
        }
        Outcome::ConnectionLost { endpoint, heard } => {
            kill.victim.role == Role::Coordinator && *endpoint == kill.victim.grpc && *heard
        }
        Outcome::Answered(_) | Outcome::Hung => false,
    };
    in_time && alike
}

fn tell(request: &Request, kills: &[Kill]) -> Broken {
    let last = kills.iter().rfind(|kill| kill.at <= request.ended);
    let when = last.map_or_else(
        || "before any kill".to_owned(),
        |kill| format!("{:?} after {} was killed", request.ended.saturating_sub(kill.at), kill.victim.id),
    );
    Broken::new(
        "failures have a cause",
        format!("client {} failed {when}: {:?}", request.client, request.outcome),
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::invariants::sample;

    fn refused(reason: &str) -> Outcome {
        let (code, reason) = ("Unavailable".to_owned(), reason.to_owned());
        Outcome::Refused { code, reason, message: String::new() }
    }

    fn lost(endpoint: &str, heard: bool) -> Outcome {
        Outcome::ConnectionLost { endpoint: endpoint.to_owned(), heard }
    }

    /// How many promises are broken when one request ends so, so long after the only kill.
    fn broken(role: Role, outcome: Outcome, after: Duration) -> usize {
        let (plan, mut history) = sample::healthy();
        history.kills[0].victim.role = role;
        history.requests[0].ended = history.kills[0].at + after;
        history.requests[0].outcome = outcome;
        check(&plan, &history).len()
    }

    #[test]
    fn only_what_a_death_explains_may_follow_it() {
        let soon = Duration::from_secs(1);
        assert_eq!(broken(Role::Node, refused("NO_REPLICA"), soon), 0);
        assert_eq!(broken(Role::Node, refused("INTERNAL"), soon), 1);
        assert_eq!(broken(Role::Coordinator, refused("NO_REPLICA"), soon), 1);
        assert_eq!(broken(Role::Coordinator, lost(sample::ADDRESS, true), soon), 0);
        assert_eq!(broken(Role::Coordinator, lost(sample::ADDRESS, false), soon), 1, "it had to ask another");
        assert_eq!(broken(Role::Coordinator, lost("127.0.0.1:9", true), soon), 1, "another coordinator");
        assert_eq!(broken(Role::Node, lost(sample::ADDRESS, true), soon), 1);
    }

    #[test]
    fn long_after_a_kill_nothing_may_fail_any_more() {
        assert_eq!(broken(Role::Node, refused("NO_REPLICA"), Duration::from_secs(6)), 1);
    }
}
