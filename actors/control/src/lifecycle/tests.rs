//! The life of a part: its usual way, its failures, and what holds for every order of events.

use proptest::prelude::*;

use super::*;
use crate::Backoff;

const POLICY: RestartPolicy = RestartPolicy {
    most: 2,
    window: Duration::from_secs(60),
    backoff: Backoff { first: Duration::from_secs(1), longest: Duration::from_secs(8) },
};
const NOW: Duration = Duration::ZERO;

fn after(events: &[Event]) -> (Stage, Vec<Action>) {
    let mut life = Lifecycle::new(POLICY);
    let actions = events.iter().filter_map(|event| life.step(*event, NOW)).collect();
    (life.stage(), actions)
}

#[test]
fn a_part_is_fetched_loaded_served_drained_and_forgotten() {
    let events = [Event::Begin, Event::Fetched, Event::Loaded, Event::Withdrawn, Event::Ended];
    assert_eq!(after(&events), (Stage::Gone, vec![Action::Start, Action::Drain, Action::Forget]));
    assert_eq!(after(&events[..3]).0, Stage::Ready);
}

#[test]
fn a_part_withdrawn_before_it_serves_is_ended_at_once() {
    for events in [&[Event::Begin][..], &[Event::Begin, Event::Fetched]] {
        let events = [events, &[Event::Withdrawn]].concat();
        assert_eq!(after(&events), (Stage::Draining, vec![Action::Start, Action::Kill]));
    }
    assert_eq!(after(&[Event::Withdrawn]), (Stage::Gone, vec![Action::Forget]));
}

#[test]
fn a_shard_that_keeps_crashing_is_reported_failed_and_tried_again_later() {
    let crash = Event::Crashed(Cure::Retry);
    let events = [
        Event::Begin,
        crash,
        Event::PauseOver,
        Event::Fetched,
        crash,
        Event::PauseOver,
        crash,
        Event::PauseOver,
    ];
    let second = Duration::from_secs;
    let (stage, actions) = after(&events[..7]);
    assert_eq!(stage, Stage::Failed);
    assert_eq!(
        actions,
        [
            Action::Start,
            Action::Pause(second(1)),
            Action::Start,
            Action::Pause(second(2)),
            Action::Start,
            Action::Pause(second(60)),
        ]
    );
    assert_eq!(after(&events).0, Stage::Fetching);
}

#[test]
fn what_cannot_be_cured_is_not_tried_again() {
    let events = [Event::Begin, Event::Crashed(Cure::None), Event::PauseOver];
    assert_eq!(after(&events), (Stage::Failed, vec![Action::Start]));
}

fn any_event() -> impl Strategy<Value = Event> {
    prop::sample::select(vec![
        Event::Begin,
        Event::Fetched,
        Event::Loaded,
        Event::Crashed(Cure::Retry),
        Event::Crashed(Cure::None),
        Event::PauseOver,
        Event::Withdrawn,
        Event::Ended,
    ])
}

proptest! {
    /// Whatever comes, a shard is started only when none runs, and drained or killed only when one does.
    #[test]
    fn at_most_one_shard_runs(events in prop::collection::vec((any_event(), 0u64..30), 0..100)) {
        let mut life = Lifecycle::new(POLICY);
        let (mut now, mut runs) = (NOW, false);
        for (event, gap) in events {
            now += Duration::from_secs(gap);
            // Only a shard that runs can crash or end.
            if matches!(event, Event::Crashed(_) | Event::Ended) {
                if !runs {
                    continue;
                }
                runs = false;
            }
            match life.step(event, now) {
                Some(Action::Start) => {
                    prop_assert!(!runs);
                    runs = true;
                }
                Some(Action::Drain | Action::Kill) => prop_assert!(runs),
                Some(Action::Forget) => prop_assert!(!runs),
                Some(Action::Pause(_)) | None => {}
            }
        }
    }

    /// A part that is withdrawn, and whose shard then ends, is gone and stays gone.
    #[test]
    fn what_is_withdrawn_ends(before in prop::collection::vec(any_event(), 0..30), later in prop::collection::vec(any_event(), 0..30)) {
        let mut life = Lifecycle::new(POLICY);
        for event in before.into_iter().chain([Event::Withdrawn, Event::Ended]).chain(later) {
            life.step(event, NOW);
        }
        prop_assert_eq!(life.stage(), Stage::Gone);
    }
}
