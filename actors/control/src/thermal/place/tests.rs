//! The model of one place: it converges, it forecasts, it stays within bounds.

use proptest::prelude::*;

use super::*;

const LIMIT: f64 = 87.0;

fn place() -> Place {
    let limits = helixflow_model::BoardLimits {
        operating: Some(helixflow_model::MilliCelsius(87_000)),
        ..helixflow_model::BoardLimits::default()
    };
    Place::core(Limit::core(limits, LIMIT), 700.0)
}

/// A board of two bodies, for the die's rise and the sink's in kelvin a watt.
struct Bodies {
    inlet: f64,
    die: f64,
    sink: f64,
    rises: (f64, f64),
    constants: (f64, f64),
}

impl Bodies {
    fn new(rises: (f64, f64), constants: (f64, f64)) -> Self {
        Self { inlet: 28.0, die: 28.0, sink: 28.0, rises, constants }
    }

    fn pass(&mut self, watts: f64) {
        self.sink += (self.inlet + watts * self.rises.1 - self.sink) * 0.1 / self.constants.1;
        self.die += (self.sink + watts * self.rises.0 - self.die) * 0.1 / self.constants.0;
    }

    /// What a sensor of whole degrees says.
    fn sensed(&self) -> f64 {
        self.die.round()
    }
}

/// Lets `place` see and learn from `bodies` for some seconds of power that steps every half minute.
fn teach(place: &mut Place, bodies: &mut Bodies, seconds: u32) {
    for tenth in 0..seconds * 10 {
        let watts = [650.0, 150.0, 420.0, 560.0, 90.0][tenth as usize / 300 % 5];
        bodies.pass(watts);
        place.see(Some(bodies.sensed()), None, watts, 0.1);
        place.learn(false);
    }
}

/// What counts as measured after so many tenths of a second, each with a sensor's value and a margin.
fn measured(place: &mut Place, tenths: u32, told: impl Fn(u32) -> (f64, f64)) -> f64 {
    for tenth in 0..tenths {
        let (sensor, margin) = told(tenth);
        place.see(Some(sensor), Some(margin), 400.0, 0.1);
        place.learn(false);
    }
    place.measured.unwrap()
}

#[test]
fn a_margin_that_is_rounded_apart_from_its_sensor_makes_no_board_hotter_by_a_degree() {
    let mut place = place();
    let told = |tenth: u32| (60.0, 27.0 + f64::from(tenth % 2));
    assert!(measured(&mut place, 36_000, told) < 61.0);
}

#[test]
fn a_margin_overrules_a_sensor_that_begins_to_read_low_and_one_wrong_margin_is_forgotten() {
    let mut place = place();
    measured(&mut place, 600, |_| (60.0, 27.0));
    assert!(measured(&mut place, 600, |_| (52.0, 27.0)) > 59.5);
    let mut place = self::place();
    measured(&mut place, 600, |_| (60.0, 27.0));
    measured(&mut place, 1, |_| (60.0, 150.0));
    assert!(measured(&mut place, 36_000, |_| (60.0, 27.0)) < 60.1);
}

#[test]
fn a_learnt_model_forecasts_the_next_twelve_seconds_within_two_degrees() {
    for (rises, constants) in
        [((0.03, 0.045), (3.0, 40.0)), ((0.05, 0.02), (2.0, 25.0)), ((0.012, 0.06), (6.0, 90.0))]
    {
        let (mut place, mut bodies) = (place(), Bodies::new(rises, constants));
        teach(&mut place, &mut bodies, 1800);
        for watts in [700.0, 100.0, 400.0] {
            let forecast = place.forecast(watts).unwrap();
            let mut hottest = f64::MIN;
            for tenth in 0..120 {
                bodies.pass(watts);
                if tenth >= 29 {
                    hottest = hottest.max(bodies.die);
                }
                place.see(Some(bodies.sensed()), None, watts, 0.1);
                place.learn(false);
            }
            assert!((forecast - hottest).abs() < 2.0, "{rises:?} at {watts} W: {forecast}, then {hottest}");
        }
    }
}

#[test]
fn an_hour_of_idling_neither_spoils_what_was_learnt_nor_makes_the_fit_jump() {
    let (mut place, mut bodies) = (place(), Bodies::new((0.03, 0.045), (3.0, 40.0)));
    teach(&mut place, &mut bodies, 1800);
    for _ in 0..36_000 {
        bodies.pass(80.0);
        place.see(Some(bodies.sensed()), None, 80.0, 0.1);
        place.learn(false);
    }
    let forecast = place.forecast(700.0).unwrap();
    for _ in 0..120 {
        bodies.pass(700.0);
    }
    assert!((forecast - bodies.die).abs() < 3.0, "{forecast}, then {}", bodies.die);
}

#[test]
fn hotter_air_than_was_learnt_shows_in_the_forecast_at_once() {
    let (mut place, mut bodies) = (place(), Bodies::new((0.03, 0.045), (3.0, 40.0)));
    teach(&mut place, &mut bodies, 900);
    let before = place.forecast(400.0).unwrap();
    place.see(Some(bodies.sensed() + 10.0), None, 400.0, 0.1);
    assert!(place.forecast(400.0).unwrap() > before + 1.0);
}

#[test]
fn the_budget_is_what_the_forecast_says_it_is() {
    let (mut place, mut bodies) = (place(), Bodies::new((0.03, 0.045), (3.0, 40.0)));
    teach(&mut place, &mut bodies, 900);
    let forecast = place.forecast(place.budget(2.0)).unwrap();
    assert!((forecast - (LIMIT - 2.0 - place.stray)).abs() < 0.01, "{forecast}");
}

#[test]
fn the_drivers_margin_counts_where_it_knows_of_more_heat_than_the_sensor() {
    let mut place = place();
    for _ in 0..100 {
        place.see(Some(60.0), Some(27.0), 300.0, 0.1);
        place.learn(false);
    }
    let before = place.excess();
    place.see(Some(60.0), Some(2.0), 300.0, 1.0);
    assert!(place.excess() > before + 10.0, "{} after {before}", place.excess());
}

proptest! {
    #[test]
    fn forecasts_are_finite_and_bounded_whatever_is_read(
        readings in prop::collection::vec((prop::option::of(-1e6f64..1e6), 0f64..5000.0, 0f64..60.0), 1..200),
        watts in 0f64..5000.0,
    ) {
        let mut place = place();
        for (sensor, drawn, step) in readings {
            place.see(sensor, sensor.map(|at| -at), drawn, step);
            place.learn(step > 50.0);
            prop_assert!(place.forecast(watts).is_none_or(|at| (LEAST..=MOST).contains(&at)));
            prop_assert!(!place.budget(1.0).is_nan() && !place.lasting_budget(1.0).is_nan());
        }
    }

    #[test]
    fn more_power_never_forecasts_less_heat(less in 0f64..5000.0, more in 0f64..5000.0, seconds in 1u32..300) {
        let (mut place, mut bodies) = (place(), Bodies::new((0.03, 0.045), (3.0, 40.0)));
        teach(&mut place, &mut bodies, seconds);
        prop_assert!(place.forecast(less.min(more)) <= place.forecast(less.max(more)));
    }
}
