//! The checker decides as the definition does, and accepts what a register did.

use helixflow_linearizability::{Action, Operation, check};
use proptest::prelude::*;

use crate::register::{Recorded, steps};
use crate::search::some_order_explains;

/// Operations of a history that every order is tried of.
const FEW: usize = 8;

/// Any operation over so few moments and values that most histories are nearly right.
fn any_operation() -> impl Strategy<Value = (bool, Option<u64>, u64, Option<u64>)> {
    (any::<bool>(), prop::option::weighted(0.9, 0..4_u64), 0..12_u64, prop::option::weighted(0.85, 0..8_u64))
}

/// Makes every write differ; reads keep their small values.
fn any_history() -> impl Strategy<Value = Vec<Operation<u8, u64>>> {
    prop::collection::vec(any_operation(), 0..FEW).prop_map(|drawn| {
        let mut writes = 0;
        drawn
            .into_iter()
            .map(|(is_write, seen, invoked, lasted)| {
                let action = if is_write { Action::Write(writes) } else { Action::Read(seen) };
                writes += u64::from(is_write);
                Operation { key: 0, action, invoked, returned: lasted.map(|long| invoked + long) }
            })
            .collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_checker_decides_as_a_search_through_every_order(history in any_history()) {
        prop_assert_eq!(check(&history).is_ok(), some_order_explains(&history), "{:?}", check(&history));
    }

    #[test]
    fn one_changed_read_of_a_real_register_is_judged_as_by_the_search(
        steps in steps(FEW, 3), at in any::<prop::sample::Index>(), seen in prop::option::of(1..5_u64),
    ) {
        let mut history = Recorded::default().run(0, &steps).history;
        let reads: Vec<&mut Operation<u8, u64>> =
            history.iter_mut().filter(|o| matches!(o.action, Action::Read(_))).collect();
        if !reads.is_empty() {
            let at = at.index(reads.len());
            reads.into_iter().nth(at).unwrap().action = Action::Read(seen);
        }
        prop_assert_eq!(check(&history).is_ok(), some_order_explains(&history), "{:?}", check(&history));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_real_register_is_accepted(steps in steps(300, 40), more in steps(300, 3)) {
        let one = Recorded::default().run(0, &steps).run(0, &more);
        let two = Recorded::default().run(1, &more);
        let history: Vec<_> = one.history.into_iter().chain(two.history).rev().collect();
        prop_assert_eq!(check(&history), Ok(()));
    }
}
