//! Decides the rows of the next step. Pure.

use crate::compute::Limits;

/// How much one step may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Most sequences that run at once.
    pub sequences: usize,
    /// Most rows of a step.
    pub rows: usize,
    /// Most prompt rows of a step in which other sequences generate: it bounds how long those wait for a token.
    pub prefill_rows: usize,
}

impl Budget {
    /// The wishes, cut down to what the compute side can hold; every figure is at least 1.
    ///
    /// One row fewer than a step holds may generate, so that prompts always move on.
    pub fn new(limits: Limits, sequences: usize, prefill_rows: usize) -> Self {
        let rows = limits.rows.max(1);
        let most = (rows - 1).min(limits.logit_rows).max(1);
        Self { sequences: sequences.clamp(1, most), rows, prefill_rows: prefill_rows.clamp(1, rows) }
    }
}

/// The rows of one sequence in a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span<K> {
    /// Which sequence.
    pub(super) key: K,
    /// How many of its next rows.
    pub(super) rows: usize,
    /// Whether they end with its last token, so that the next one can be chosen.
    pub(super) complete: bool,
}

/// Chooses rows for sequences given in order, each with the number of rows that it has yet to compute.
///
/// Sequences with one row to go, those that generate, all get it. The others share what is left, first come first.
pub(super) fn plan<K: Copy>(pending: &[(K, usize)], budget: Budget) -> Vec<Span<K>> {
    let mut spans: Vec<Span<K>> = pending
        .iter()
        .filter(|(_, rows)| *rows == 1)
        .take(budget.rows)
        .map(|&(key, rows)| Span { key, rows, complete: true })
        .collect();
    let mut left = budget.rows - spans.len();
    if !spans.is_empty() {
        left = left.min(budget.prefill_rows);
    }
    for &(key, wanted) in pending.iter().filter(|(_, rows)| *rows > 1) {
        let rows = wanted.min(left);
        if rows == 0 {
            break;
        }
        left -= rows;
        spans.push(Span { key, rows, complete: rows == wanted });
    }
    spans
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BUDGET: Budget = Budget { sequences: 8, rows: 16, prefill_rows: 4 };

    #[test]
    fn a_long_prompt_leaves_room_for_those_who_generate() {
        let spans = plan(&[('a', 100), ('b', 1), ('c', 1)], BUDGET);
        let rows: Vec<_> = spans.iter().map(|s| (s.key, s.rows, s.complete)).collect();
        assert_eq!(rows, [('b', 1, true), ('c', 1, true), ('a', 4, false)]);
    }

    #[test]
    fn a_prompt_alone_takes_the_whole_step() {
        let spans = plan(&[('a', 10), ('b', 10)], BUDGET);
        let rows: Vec<_> = spans.iter().map(|s| (s.key, s.rows, s.complete)).collect();
        assert_eq!(rows, [('a', 10, true), ('b', 6, false)]);
    }

    #[test]
    fn wishes_are_cut_down_to_the_limits() {
        let limits = Limits { rows: 8, logit_rows: 64, pages: 1 };
        assert_eq!(Budget::new(limits, 100, 100), Budget { sequences: 7, rows: 8, prefill_rows: 8 });
        let least = Limits { rows: 1, logit_rows: 1, pages: 1 };
        assert_eq!(Budget::new(least, 0, 0), Budget { sequences: 1, rows: 1, prefill_rows: 1 });
    }

    proptest! {
        #[test]
        fn every_step_moves_on_within_its_budget(
            rows in 2_usize..40,
            prefill_rows in 1_usize..40,
            pending in prop::collection::vec(1_usize..60, 1..30),
        ) {
            let limits = Limits { rows, logit_rows: rows, pages: 1 };
            let budget = Budget::new(limits, usize::MAX, prefill_rows);
            let pending: Vec<_> = pending.into_iter().take(budget.sequences).enumerate().collect();
            let spans = plan(&pending, budget);
            let generating = pending.iter().filter(|(_, rows)| *rows == 1).count();
            let prefill: usize = spans.iter().skip(generating).map(|s| s.rows).sum();
            prop_assert!(spans.iter().take(generating).all(|s| s.rows == 1));
            prop_assert!(generating + prefill <= budget.rows);
            prop_assert!(generating == 0 || prefill <= budget.prefill_rows);
            prop_assert_eq!(prefill > 0, generating < pending.len(), "prompts always move on");
            for span in &spans {
                prop_assert_eq!(span.complete, span.rows == pending[span.key].1);
            }
        }
    }
}
