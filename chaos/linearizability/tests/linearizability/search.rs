//! The definition itself, as a search through every order: the oracle for histories of few operations.

use helixflow_linearizability::{Action, Operation};

/// Whether some order of the operations of one key explains what each of them saw.
pub(crate) fn some_order_explains(history: &[Operation<u8, u64>]) -> bool {
    let said = |o: &&Operation<u8, u64>| o.returned.is_some() || matches!(o.action, Action::Write(_));
    search(None, &history.iter().filter(said).collect::<Vec<_>>())
}

fn search(state: Option<u64>, left: &[&Operation<u8, u64>]) -> bool {
    if left.iter().all(|operation| operation.returned.is_none()) {
        return true;
    }
    (0..left.len()).any(|next| {
        let operation = left[next];
        let waits = left.iter().any(|other| other.returned.is_some_and(|at| at < operation.invoked));
        let after = match &operation.action {
            Action::Write(value) => Some(*value),
            Action::Read(seen) if *seen == state => state,
            Action::Read(_) => return false,
        };
        let mut rest = left.to_vec();
        rest.remove(next);
        !waits && search(after, &rest)
    })
}
