//! What clients saw, and what must hold of it: the history is linearizable, and no write is applied twice.

use std::collections::BTreeMap;

use helixflow_linearizability::{Action, Operation, check};
use helixflow_proto::v1::Tenant;

/// One operation, with the revision that came with its answer.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) operation: Operation<String, String>,
    /// None for a write of unknown outcome, and for a read that found nothing.
    pub(crate) revision: Option<u64>,
}

impl Seen {
    pub(crate) fn read(key: &str, found: Option<Tenant>, invoked: u64, returned: u64) -> Self {
        let revision = found.as_ref().map(|tenant| tenant.revision);
        let action = Action::Read(found.map(|tenant| tenant.display_name));
        Self {
            operation: Operation { key: key.to_owned(), action, invoked, returned: Some(returned) },
            revision,
        }
    }

    pub(crate) fn is_unknown_write(&self) -> bool {
        self.operation.returned.is_none()
    }

    pub(crate) fn is_acknowledged_write(&self) -> bool {
        matches!(self.operation.action, Action::Write(_)) && self.operation.returned.is_some()
    }
}

/// What is wrong with a history; nothing when the cluster kept its word.
pub(crate) fn violation(seen: &[Seen]) -> Option<String> {
    let operations: Vec<_> = seen.iter().map(|seen| seen.operation.clone()).collect();
    check(&operations).err().map(|violation| violation.to_string()).or_else(|| applied_twice(seen))
}

/// Each put has a revision of its own: a value that was seen with two of them was put twice.
fn applied_twice(seen: &[Seen]) -> Option<String> {
    let mut revisions = BTreeMap::new();
    for Seen { operation, revision } in seen {
        let (Action::Write(value) | Action::Read(Some(value))) = &operation.action else { continue };
        let Some(revision) = *revision else { continue };
        let first = *revisions.entry((&operation.key, value)).or_insert(revision);
        if first != revision {
            let key = &operation.key;
            return Some(format!("{value:?} was put to {key:?} twice, at revisions {first} and {revision}"));
        }
    }
    None
}

#[test]
fn a_value_with_two_revisions_was_applied_twice() {
    let found = |revision| Some(Tenant { display_name: "v".to_owned(), revision });
    let write =
        Operation { key: "k".to_owned(), action: Action::Write("v".to_owned()), invoked: 0, returned: None };
    let write = Seen { operation: write, revision: None };
    let history =
        |second| [write.clone(), Seen::read("k", found(7), 1, 2), Seen::read("k", found(second), 3, 4)];
    assert_eq!(violation(&history(7)), None);
    let twice = violation(&history(8)).expect("a violation");
    assert!(twice.contains("revisions 7 and 8"), "{twice}");
}

#[test]
fn a_lost_write_is_a_violation() {
    let write = Operation {
        key: "k".to_owned(),
        action: Action::Write("v".to_owned()),
        invoked: 0,
        returned: Some(1),
    };
    let history = [Seen { operation: write, revision: Some(3) }, Seen::read("k", None, 2, 3)];
    assert!(violation(&history).is_some());
}
