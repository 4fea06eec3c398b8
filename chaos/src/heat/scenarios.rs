//! The scenarios of the study, as they lie in `chaos/scenarios`; the program carries them along.

use helixflow_simulator::{Scenario, Unsound};

/// Name and text of each, in the order of the report.
const TEXTS: [(&str, &str); 4] = [
    ("diurnal-load", include_str!("../../scenarios/diurnal-load.toml")),
    ("heat-wave", include_str!("../../scenarios/heat-wave.toml")),
    ("failed-fan-row", include_str!("../../scenarios/failed-fan-row.toml")),
    ("hot-aisle", include_str!("../../scenarios/hot-aisle.toml")),
];

/// A scenario that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// No scenario has this name.
    #[error("there is no scenario {name:?}: use one of {}", names().join(", "))]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// It cannot be read.
    #[error("a scenario cannot be read: correct it and build again")]
    Unreadable(#[from] toml::de::Error),
    /// It makes no sense.
    #[error(transparent)]
    Unsound(#[from] Unsound),
}

/// The names of all.
#[must_use]
pub fn names() -> Vec<&'static str> {
    TEXTS.iter().map(|(name, _)| *name).collect()
}

/// The scenario of a name.
pub fn named(name: &str) -> Result<Scenario, ScenarioError> {
    match TEXTS.iter().find(|(known, _)| *known == name) {
        Some((_, text)) => read(text),
        None => Err(ScenarioError::Unknown { name: name.to_owned() }),
    }
}

fn read(text: &str) -> Result<Scenario, ScenarioError> {
    let scenario: Scenario = toml::from_str(text)?;
    scenario.check()?;
    Ok(scenario)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_loads_under_its_own_name_and_says_what_it_is() {
        for (name, text) in TEXTS {
            assert_eq!(named(name).unwrap().name, name);
            assert!(
                text.starts_with("# ") && text.lines().nth(2).is_some_and(|line| line.len() > 40),
                "{name}"
            );
        }
    }

    #[test]
    fn no_scenario_lies_there_that_is_not_run() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name());
        let mut found: Vec<String> = files.map(|file| file.to_str().unwrap().replace(".toml", "")).collect();
        found.sort();
        let mut known = names();
        known.sort_unstable();
        assert_eq!(found, known);
    }

    #[test]
    fn a_scenario_that_makes_no_sense_is_refused() {
        let text = TEXTS[0].1;
        for (right, wrong) in
            [("rows = 8", "rows = 0"), ("[[0.0, 0.42]", "[[0.0, 7.0]"), ("rows = 8", "row = 8")]
        {
            assert!(read(&text.replace(right, wrong)).is_err(), "{wrong}");
        }
        assert!(matches!(named("winter"), Err(ScenarioError::Unknown { .. })));
    }
}
