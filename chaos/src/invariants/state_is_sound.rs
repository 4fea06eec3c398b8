//! The replicated state never violates its own rules, and in the end every coordinator sees a whole cluster.

use super::Broken;
use crate::experiments::Plan;
use crate::history::History;

pub(super) fn check(_: &Plan, history: &History) -> Vec<Broken> {
    let broken = |seen: String| Broken::new("state is sound", seen);
    let after = history.kills.iter().filter_map(|kill| Some((kill, &kill.back.as_ref()?.after)));
    let violations = after.flat_map(|(kill, view)| {
        view.violations.iter().map(|violation| format!("after {} was killed: {violation}", kill.victim.id))
    });
    let finally = history.finally.iter().filter_map(|(endpoint, view)| match view {
        Some(view) => view.lack().map(|lack| format!("in the end {endpoint} says that {lack}")),
        None => Some(format!("in the end {endpoint} does not answer")),
    });
    violations.chain(finally).map(broken).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::invariants::sample;
    use crate::target::Snapshot;

    #[test]
    fn a_violation_on_the_way_or_a_lack_in_the_end_breaks_it() {
        let (plan, history) = sample::healthy();
        assert_eq!(check(&plan, &history), []);
        let mut violated = history.clone();
        let back = violated.kills[0].back.as_mut().expect("it came back");
        back.after.violations.push("two replicas share an id".to_owned());
        assert_eq!(check(&plan, &violated).len(), 1);
        for change in [|view: &mut Snapshot| view.leader = None, |view: &mut Snapshot| view.nodes.clear()] {
            let mut lacking = history.clone();
            lacking.finally.values_mut().flatten().for_each(change);
            assert_eq!(check(&plan, &lacking).len(), 1);
        }
        let mut silent = history;
        silent.finally.values_mut().for_each(|view| *view = None);
        assert_eq!(check(&plan, &silent).len(), 1);
    }
}
