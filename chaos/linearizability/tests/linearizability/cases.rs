//! Histories of a few operations, spelt out: what counts as unknown, what as concurrent, and what an error says.

use helixflow_linearizability::{Action, Operation, Violation, check};

fn write(value: u64, invoked: u64, returned: impl Into<Option<u64>>) -> Operation<&'static str, u64> {
    Operation { key: "k", action: Action::Write(value), invoked, returned: returned.into() }
}

fn read(value: impl Into<Option<u64>>, invoked: u64, returned: u64) -> Operation<&'static str, u64> {
    Operation { key: "k", action: Action::Read(value.into()), invoked, returned: Some(returned) }
}

#[test]
fn nothing_at_all_is_linearizable() {
    assert_eq!(check::<&str, u64>(&[]), Ok(()));
}

#[test]
fn an_unknown_write_may_take_effect_late_or_never() {
    let late = [write(1, 0, None), write(2, 10, 11), read(2, 12, 13), read(1, 90, 91)];
    assert_eq!(check(&late), Ok(()));
    let never = [write(1, 0, None), write(2, 10, 11), read(2, 12, 13)];
    assert_eq!(check(&never), Ok(()));
}

#[test]
fn an_unknown_write_takes_effect_once() {
    let twice = [write(1, 0, None), read(1, 5, 6), write(2, 10, 11), read(2, 12, 13), read(1, 90, 91)];
    assert!(matches!(check(&twice), Err(Violation::Interleaved { .. })));
}

#[test]
fn an_unknown_write_is_not_read_before_it_was_sent() {
    let history = [read(1, 0, 4), write(1, 5, None)];
    assert!(matches!(check(&history), Err(Violation::ReadBeforeWrite { value: Some(1), returned: 4, .. })));
}

#[test]
fn operations_that_touch_are_concurrent() {
    assert_eq!(check(&[write(1, 0, 5), read(None, 5, 6)]), Ok(()));
    assert!(check(&[write(1, 0, 5), read(None, 6, 7)]).is_err());
}

#[test]
fn a_read_without_an_answer_says_nothing() {
    let unanswered = Operation { key: "k", action: Action::Read(Some(7)), invoked: 3, returned: None };
    assert_eq!(check(&[write(1, 0, 5), unanswered]), Ok(()));
}

#[test]
fn a_value_from_nowhere_is_refused() {
    let found = check(&[read(3, 0, 1)]);
    assert!(matches!(found, Err(Violation::NeverWritten { value: Some(3), .. })), "{found:?}");
}

#[test]
fn a_history_that_was_recorded_badly_is_refused_with_what_to_mend() {
    let backwards = check(&[write(1, 5, 4)]).unwrap_err().to_string();
    assert!(backwards.contains("mend the recording"), "{backwards}");
    let twice = check(&[write(1, 0, 1), write(1, 2, 3)]).unwrap_err().to_string();
    assert!(twice.contains("let every write differ"), "{twice}");
}

#[test]
fn a_violation_names_key_values_and_moments() {
    let found = check(&[write(1, 0, 5), write(2, 6, 8), read(1, 9, 12)]).unwrap_err().to_string();
    assert_eq!(
        found,
        "key \"k\": Some(1) was there when an operation on it returned at 5 and when one was invoked at 9, \
         yet Some(2) was there when an operation on it returned at 8 and when one was invoked at 6: \
         each would have to come first"
    );
}
