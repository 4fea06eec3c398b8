//! The ladder's ways up and down.

use proptest::prelude::*;

use super::*;

/// A board about which all is well.
const WELL: Signs = Signs {
    band: Band::Cool,
    blind: false,
    fresh: true,
    faults: Duty::Full,
    fenced: false,
    now: Duration::ZERO,
};

const HOT: Signs = Signs { band: Band::Hot, ..WELL };
const CRITICAL: Signs = Signs { band: Band::Critical, ..WELL };

/// A ladder and its clock.
#[derive(Default)]
struct Climb {
    ladder: Ladder,
    now: Duration,
}

impl Climb {
    /// The duty after these signs have lasted for a time, looked at once a second.
    fn after(&mut self, signs: Signs, time: Duration) -> Duty {
        let end = self.now + time;
        let mut duty = self.ladder.take(&Signs { now: self.now, ..signs });
        while self.now < end {
            self.now += Duration::from_secs(1);
            duty = self.ladder.take(&Signs { now: self.now, ..signs });
        }
        duty
    }
}

#[test]
fn critical_heat_stops_new_shards_at_once_then_drains_then_quarantines() {
    let mut climb = Climb::default();
    assert_eq!(climb.after(CRITICAL, Duration::ZERO), Duty::NoNewShards);
    assert_eq!(climb.after(CRITICAL, CRITICAL_DRAINS), Duty::Drain);
    assert_eq!(climb.after(CRITICAL, CRITICAL_QUARANTINES), Duty::Quarantine);
}

#[test]
fn hot_boards_get_no_new_shards_after_a_while_and_keep_what_they_have() {
    let mut climb = Climb::default();
    assert_eq!(climb.after(HOT, HOT_NO_SHARDS - Duration::from_secs(1)), Duty::Full);
    assert_eq!(climb.after(HOT, Duration::from_secs(3600)), Duty::NoNewShards);
}

#[test]
fn heat_that_cannot_be_told_for_long_drains() {
    let blind = Signs { blind: true, ..HOT };
    assert_eq!(Climb::default().after(blind, BLIND_DRAINS), Duty::Drain);
}

#[test]
fn a_rung_is_left_one_at_a_time_after_a_quiet_time() {
    let mut climb = Climb::default();
    climb.after(CRITICAL, CRITICAL_DRAINS);
    assert_eq!(climb.after(WELL, QUIET), Duty::NoNewShards);
    assert_eq!(climb.after(WELL, QUIET), Duty::Full);
}

#[test]
fn quarantine_is_left_through_probation_and_each_stay_is_longer() {
    let mut climb = Climb::default();
    let (fenced, second) = (Signs { fenced: true, ..WELL }, Duration::from_secs(1));
    assert_eq!(climb.after(fenced, Duration::ZERO), Duty::Quarantine);
    assert_eq!(climb.after(WELL, STAY - second), Duty::Quarantine);
    assert_eq!(climb.after(WELL, second), Duty::Probation);
    assert_eq!(climb.after(fenced, Duration::ZERO), Duty::Quarantine);
    assert_eq!(climb.after(WELL, STAY * 2 - second), Duty::Quarantine);
    assert_eq!(climb.after(WELL, second), Duty::Probation);
    assert_eq!(climb.after(WELL, PROBATION - second), Duty::Probation);
    assert_eq!(climb.after(WELL, second), Duty::Full);
}

#[test]
fn a_board_on_probation_serves_hot_and_goes_back_for_what_would_drain_it() {
    let on_probation = || {
        let mut climb = Climb::default();
        climb.after(Signs { fenced: true, ..WELL }, Duration::ZERO);
        assert_eq!(climb.after(WELL, STAY), Duty::Probation);
        climb
    };
    assert_eq!(on_probation().after(HOT, PROBATION - Duration::from_secs(1)), Duty::Probation);
    assert_eq!(on_probation().after(HOT, PROBATION), Duty::NoNewShards);
    let no_shards = Signs { faults: Duty::NoNewShards, ..WELL };
    assert_eq!(on_probation().after(no_shards, PROBATION), Duty::NoNewShards);
    for trouble in [Signs { faults: Duty::Drain, ..WELL }, Signs { fenced: true, ..WELL }, CRITICAL] {
        assert_eq!(on_probation().after(trouble, Duration::ZERO), Duty::Quarantine, "{trouble:?}");
    }
}

#[test]
fn a_board_that_gets_no_new_shards_anyway_comes_back_from_quarantine() {
    let mut climb = Climb::default();
    let no_shards = Signs { faults: Duty::NoNewShards, ..WELL };
    climb.after(Signs { fenced: true, ..no_shards }, Duration::ZERO);
    assert_eq!(climb.after(no_shards, STAY), Duty::Probation);
}

#[test]
fn a_time_in_which_nobody_looked_is_no_quiet_one() {
    let mut climb = Climb::default();
    climb.after(Signs { fenced: true, ..WELL }, Duration::ZERO);
    climb.after(WELL, Duration::ZERO);
    climb.now += LONGEST_STAY;
    assert_eq!(climb.after(WELL, Duration::ZERO), Duty::Quarantine);
}

#[test]
fn stays_are_short_again_after_a_day_without_one() {
    let fenced = Signs { fenced: true, ..WELL };
    for (served, stay) in [(FORGIVEN / 2, STAY * 2), (FORGIVEN, STAY)] {
        let mut climb = Climb::default();
        climb.after(fenced, Duration::ZERO);
        climb.after(WELL, STAY);
        assert_eq!(climb.after(WELL, PROBATION), Duty::Full);
        climb.after(WELL, served);
        climb.after(fenced, Duration::ZERO);
        assert_eq!(climb.after(WELL, stay - Duration::from_secs(1)), Duty::Quarantine);
        assert_eq!(climb.after(WELL, Duration::from_secs(1)), Duty::Probation);
    }
}

#[test]
fn a_late_reading_now_and_then_only_puts_off_what_is_eased() {
    let mut climb = Climb::default();
    climb.after(CRITICAL, CRITICAL_DRAINS);
    let half = QUIET / 2;
    climb.after(WELL, half);
    climb.after(Signs { fresh: false, ..WELL }, Duration::from_secs(10));
    assert_eq!(climb.after(WELL, half - Duration::from_secs(1)), Duty::Drain);
    assert_eq!(climb.after(WELL, Duration::from_secs(1)), Duty::NoNewShards);
}

#[test]
fn nothing_is_eased_while_readings_are_late() {
    let mut climb = Climb::default();
    climb.after(CRITICAL, CRITICAL_DRAINS);
    let unseen = Signs { fresh: false, ..WELL };
    assert_eq!(climb.after(unseen, Duration::from_secs(3600)), Duty::Drain);
}

fn bands() -> impl Strategy<Value = Band> {
    prop_oneof![Just(Band::Cool), Just(Band::Warm), Just(Band::Hot), Just(Band::Critical)]
}

fn signs() -> impl Strategy<Value = (Signs, u64)> {
    let faults = prop_oneof![
        8 => Just(Duty::Full), 1 => Just(Duty::NoNewShards), 1 => Just(Duty::Drain), 1 => Just(Duty::Quarantine)
    ];
    (
        bands(),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.9),
        faults,
        prop::bool::weighted(0.1),
        0u64..400,
    )
        .prop_map(|(band, blind, fresh, faults, fenced, step)| {
            (Signs { band, blind, fresh, faults, fenced, now: Duration::ZERO }, step)
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_way_up_or_down_skips_what_is_safe(walk in prop::collection::vec(signs(), 1..200)) {
        let mut ladder = Ladder::default();
        let mut now = Duration::ZERO;
        let mut before = Duty::Full;
        for (signs, step) in walk {
            now += Duration::from_secs(step);
            let duty = ladder.take(&Signs { now, ..signs });
            prop_assert!(signs.band < Band::Critical || !duty.takes_shards() && duty >= Duty::NoNewShards);
            let on_probation = duty == Duty::Probation && signs.faults < TROUBLE;
            prop_assert!(duty >= signs.faults || on_probation && !duty.takes_shards());
            prop_assert!(!signs.fenced || duty == Duty::Quarantine);
            if before == Duty::Quarantine {
                prop_assert!(duty == Duty::Quarantine || duty == Duty::Probation);
            }
            if before == Duty::Probation {
                prop_assert!(duty != Duty::Drain);
            }
            if before == Duty::Drain {
                prop_assert!(duty >= Duty::NoNewShards);
            }
            before = duty;
        }
    }

    #[test]
    fn a_hotter_board_never_gets_the_milder_duty(
        walk in prop::collection::vec(signs(), 1..60), last in signs(), cooler in bands(), hotter in bands(),
    ) {
        let mut ladder = Ladder::default();
        let mut now = Duration::ZERO;
        for (signs, step) in walk {
            now += Duration::from_secs(step);
            ladder.take(&Signs { now, ..signs });
        }
        now += Duration::from_secs(last.1);
        let duty = |band| ladder.clone().take(&Signs { band, now, ..last.0 });
        prop_assert!(duty(cooler.min(hotter)) <= duty(cooler.max(hotter)));
    }
}
