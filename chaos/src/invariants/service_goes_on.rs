//! Whoever was killed, the others answer: after every kill some request that began after it gets its answer.

use super::Broken;
use crate::experiments::Plan;
use crate::history::{History, Kill, Outcome};

pub(super) fn check(_: &Plan, history: &History) -> Vec<Broken> {
    let nexts = history.kills.iter().skip(1).map(|kill| Some(kill.at)).chain([None]);
    let silent = history.kills.iter().zip(nexts).filter(|(kill, next)| {
        let after = |at| at >= kill.at && next.is_none_or(|next| at < next);
        !history.requests.iter().any(|r| matches!(r.outcome, Outcome::Answered(_)) && after(r.began))
    });
    silent.map(|(kill, _)| Broken::new("service goes on", tell(kill))).collect()
}

fn tell(kill: &Kill) -> String {
    format!("no request was answered after {} was killed in round {}", kill.victim.id, kill.round)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample;

    #[test]
    fn a_kill_after_which_nobody_is_answered_breaks_it() {
        let (plan, mut history) = sample::healthy();
        assert_eq!(check(&plan, &history), []);
        history.requests.clear();
        assert_eq!(check(&plan, &history).len(), 1);
    }
}
