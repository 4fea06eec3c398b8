//! Every request ends: with its answer, or with an error, by its deadline.

use super::Broken;
use crate::experiments::Plan;
use crate::history::{History, Outcome};

pub(super) fn check(plan: &Plan, history: &History) -> Vec<Broken> {
    let hung = history.requests.iter().filter(|request| request.outcome == Outcome::Hung);
    hung.map(|request| {
        let seen = format!(
            "client {} waited {:?} for prompt {}, past its deadline of {:?}",
            request.client,
            request.ended.saturating_sub(request.began),
            request.prompt,
            plan.hypotheses.deadline
        );
        Broken::new("requests end", seen)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample;

    #[test]
    fn a_request_that_hangs_breaks_it() {
        let (plan, mut history) = sample::healthy();
        assert_eq!(check(&plan, &history), []);
        history.requests[0].outcome = Outcome::Hung;
        assert_eq!(check(&plan, &history).len(), 1);
    }
}
