//! Faults planted between the operations of a real register: each is refused, wherever it stands.

use helixflow_linearizability::{Action, Violation, check};
use proptest::prelude::*;

use crate::register::{Recorded, Step, steps};

fn busy() -> impl Strategy<Value = Vec<Step>> {
    steps(60, 12)
}

fn is_interleaved(recorded: &Recorded) -> bool {
    matches!(check(&recorded.history), Err(Violation::Interleaved { .. }))
}

proptest! {
    #[test]
    fn a_stale_read_is_refused(before in busy(), after in busy()) {
        let recorded = Recorded::default().run(0, &before);
        let (recorded, old) = recorded.write_alone(0);
        let (recorded, new) = recorded.write_alone(0);
        let recorded = recorded.alone(0, Action::Read(Some(old))).alone(0, Action::Read(Some(new)));
        prop_assert!(is_interleaved(&recorded.run(0, &after)));
    }

    #[test]
    fn a_lost_write_is_refused(before in busy(), after in busy()) {
        let (recorded, kept) = Recorded::default().run(0, &before).write_alone(0);
        let (mut recorded, _lost) = recorded.write_alone(0);
        recorded.value = Some(kept);
        let recorded = recorded.alone(0, Action::Read(Some(kept)));
        prop_assert!(is_interleaved(&recorded.run(0, &after)));
    }

    #[test]
    fn the_loss_of_everything_is_refused(before in busy()) {
        let (recorded, _lost) = Recorded::default().run(0, &before).write_alone(0);
        let recorded = recorded.alone(0, Action::Read(None));
        prop_assert!(is_interleaved(&recorded));
    }

    #[test]
    fn a_write_that_is_applied_twice_is_refused(before in busy(), after in busy()) {
        let (recorded, twice) = Recorded::default().run(0, &before).write_alone(0);
        let (recorded, between) = recorded.write_alone(0);
        let mut recorded = recorded.alone(0, Action::Read(Some(between)));
        recorded.value = Some(twice);
        let recorded = recorded.alone(0, Action::Read(Some(twice)));
        prop_assert!(is_interleaved(&recorded.run(0, &after)));
    }

    #[test]
    fn a_fault_of_one_key_is_refused_beside_sound_ones(sound in busy(), other in busy()) {
        let (recorded, _lost) = Recorded::default().run(1, &other).write_alone(1);
        let faulty = recorded.alone(1, Action::Read(None)).history;
        let history: Vec<_> = Recorded::default().run(0, &sound).history.into_iter().chain(faulty).collect();
        let found = check(&history);
        prop_assert!(matches!(found, Err(Violation::Interleaved { key: 1, .. })), "{:?}", found);
    }
}
