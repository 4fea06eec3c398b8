//! Sessions: a write is applied once, and an expired session never comes back.

use crate::support::{cluster, tenant};
use helixflow_model::{Sequence, SessionId, UnixMillis};
use helixflow_policy::check::check;
use helixflow_policy::state::{
    ClusterState, Command, MAX_SESSIONS, Outcome, Proposal, Refusal, SESSION_LIFE, WriteId,
};

const LIFE: u64 = SESSION_LIFE.as_millis() as u64;

fn apply(state: &mut ClusterState, stamp: u64, write: Option<(SessionId, u64)>, command: Command) -> Outcome {
    let write = write.map(|(session, sequence)| WriteId { session, sequence: Sequence(sequence) });
    state.apply(state.epoch().0 + 1, Proposal { stamp: UnixMillis(stamp), write, command })
}

fn open(state: &mut ClusterState, stamp: u64) -> SessionId {
    match apply(state, stamp, None, Command::OpenSession) {
        Outcome::Opened { session } => session,
        other => panic!("{other:?}"),
    }
}

fn put(name: &str) -> Command {
    Command::PutTenant { tenant: tenant("acme"), display_name: name.to_owned(), expected: None }
}

fn expired(session: SessionId) -> Outcome {
    Outcome::Refused { reason: Refusal::SessionExpired { session } }
}

#[test]
fn the_same_write_again_is_answered_as_before_and_applied_once() {
    let mut state = cluster(&[]);
    let session = open(&mut state, 0);
    let first = apply(&mut state, 0, Some((session, 1)), put("one"));
    let tenants = state.tenants().clone();
    assert_eq!(apply(&mut state, 0, Some((session, 1)), put("one")), first);
    assert_eq!(*state.tenants(), tenants);
    assert!(matches!(apply(&mut state, 0, Some((session, 5)), put("two")), Outcome::Put { .. }));
    let passed = Refusal::SequencePassed { write: Sequence(1), newest: Sequence(5) };
    assert_eq!(apply(&mut state, 0, Some((session, 1)), put("one")), Outcome::Refused { reason: passed });
    assert_eq!(state.tenants()[&tenant("acme")].display_name, "two");
}

#[test]
fn a_refusal_is_an_outcome_and_is_given_again_when_the_write_would_be_accepted_by_then() {
    let mut state = cluster(&[]);
    let session = open(&mut state, 0);
    let insert = || Command::PutTenant {
        tenant: tenant("acme"),
        display_name: String::new(),
        expected: Some(helixflow_model::Epoch(0)),
    };
    apply(&mut state, 0, None, put("one"));
    let refused = apply(&mut state, 0, Some((session, 1)), insert());
    assert!(matches!(refused, Outcome::Refused { reason: Refusal::RevisionDiffers { .. } }), "{refused:?}");
    apply(&mut state, 0, None, Command::RemoveTenant { tenant: tenant("acme") });
    assert_eq!(apply(&mut state, 0, Some((session, 1)), insert()), refused);
}

#[test]
fn a_session_expires_by_the_leaders_stamps_and_its_writes_are_refused() {
    let mut state = cluster(&[]);
    let session = open(&mut state, 1000);
    assert!(matches!(apply(&mut state, 999 + LIFE, Some((session, 1)), put("one")), Outcome::Put { .. }));
    // Used at 999 + LIFE; a clock that goes back changes nothing.
    apply(&mut state, 5, None, put("by another"));
    assert_eq!(state.clock(), UnixMillis(999 + LIFE));
    assert!(state.has_session(session));
    let late = 999 + 2 * LIFE;
    assert_eq!(apply(&mut state, late, Some((session, 1)), put("one")), expired(session));
    assert_eq!(apply(&mut state, late, Some((session, 2)), put("two")), expired(session));
    assert_eq!(state.tenants()[&tenant("acme")].display_name, "by another");
    assert!(!state.has_session(session));
    let next = open(&mut state, late);
    assert_eq!((state.sessions(), next > session), (1, true));
    assert_eq!(apply(&mut state, late, Some((session, 3)), put("three")), expired(session));
}

#[test]
fn a_session_that_nobody_opened_is_refused() {
    let mut state = cluster(&[]);
    for number in [0, 1, u64::MAX] {
        let session = SessionId(number);
        assert_eq!(apply(&mut state, 0, Some((session, 1)), put("one")), expired(session));
    }
    assert!(state.tenants().is_empty());
}

#[test]
fn sessions_are_bounded_and_dead_ones_make_room() {
    let mut state = cluster(&[]);
    for _ in 0..MAX_SESSIONS {
        open(&mut state, 0);
    }
    let full = apply(&mut state, LIFE - 1, None, Command::OpenSession);
    assert!(matches!(full, Outcome::Refused { reason: Refusal::TooMany { .. } }), "{full:?}");
    open(&mut state, LIFE);
    assert_eq!(state.sessions(), 1);
    assert_eq!(check(&state), []);
}

#[test]
fn sessions_and_tenants_make_no_plan_stale() {
    let mut state = cluster(&[("a", 10)]);
    let changed = state.changed();
    let session = open(&mut state, 7);
    apply(&mut state, 7, Some((session, 1)), put("one"));
    assert_eq!(state.changed(), changed);
}
