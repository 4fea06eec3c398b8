//! A killed process comes back within the bound, as itself: under its id, its address and its part of the state.

use super::Broken;
use crate::experiments::Plan;
use crate::history::{History, Kill};
use crate::target::{Role, Snapshot};

pub(super) fn check(plan: &Plan, history: &History) -> Vec<Broken> {
    let bound = plan.hypotheses.recovery_bound;
    let mut broken = Vec::new();
    for kill in &history.kills {
        let id = &kill.victim.id;
        let Some(back) = &kill.back else {
            broken.push(Broken::new("processes return", format!("{id} was not back within {bound:?}")));
            continue;
        };
        if back.process.grpc != kill.victim.grpc {
            let moved = format!("{id} moved from {} to {}", kill.victim.grpc, back.process.grpc);
            broken.push(Broken::new("processes return", moved));
        }
        let changes = changes(kill, &back.after);
        broken.extend(
            changes
                .into_iter()
                .map(|what| Broken::new("processes return", format!("after {id} was killed, {what}"))),
        );
    }
    broken
}

/// What is not as it was; a coordinator speaks of itself, before and after.
fn changes(kill: &Kill, after: &Snapshot) -> Vec<String> {
    let before = &kill.before;
    let ids = |view: &Snapshot| {
        view.nodes.iter().map(|(address, node)| (address.clone(), node.id)).collect::<Vec<_>>()
    };
    let mut found = Vec::new();
    if kill.victim.role == Role::Coordinator && after.coordinator != before.coordinator {
        found.push(format!("coordinator {} became coordinator {}", before.coordinator, after.coordinator));
    }
    if after.coordinators != before.coordinators {
        found.push(format!("the members {:?} became {:?}", before.coordinators, after.coordinators));
    }
    if ids(after) != ids(before) {
        found.push(format!("the nodes {:?} became {:?}", ids(before), ids(after)));
    }
    if after.models != before.models {
        found.push(format!("the models {:?} became {:?}", before.models, after.models));
    }
    if after.applied < before.applied {
        found.push(format!("the state of entry {} became that of entry {}", before.applied, after.applied));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Return;
    use crate::invariants::sample;

    #[test]
    fn a_process_that_stays_away_or_returns_as_another_breaks_it() {
        let (plan, history) = sample::healthy();
        assert_eq!(check(&plan, &history), []);
        let broken = |change: fn(&mut Return)| {
            let mut other = history.clone();
            other.kills[0].back.as_mut().map(change).expect("it came back");
            check(&plan, &other).len()
        };
        assert_eq!(broken(|back| back.process.grpc.push('0')), 1);
        assert_eq!(broken(|back| back.after.applied -= 1), 1);
        assert_eq!(broken(|back| back.after.models.clear()), 1);
        assert_eq!(broken(|back| back.after.nodes.values_mut().for_each(|node| node.id += 1)), 1);
        assert_eq!(broken(|back| back.after.coordinators.clear()), 1);
        let mut gone = history.clone();
        gone.kills[0].back = None;
        assert_eq!(check(&plan, &gone).len(), 1);
    }
}
