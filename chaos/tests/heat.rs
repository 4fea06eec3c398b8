//! The heat study, made small: it runs, judges, and leaves its report.
#![expect(clippy::disallowed_methods, reason = "the test reads the files that the study writes")]
#![expect(clippy::unwrap_used, reason = "a test's own functions fail with it")]

use std::fs;

use helixflow_chaos::heat::{Options, Scale, Study, make_folders, scenarios, study, write};
use helixflow_env::disk::RealDisk;
use serde_json::Value;

fn small() -> Study {
    let options = Options {
        scenarios: scenarios::names().into_iter().map(str::to_owned).collect(),
        seeds: 2,
        scale: Scale::Sample,
        threads: 2,
    };
    let mut done = Vec::new();
    let study =
        study(&options, &RealDisk, &mut |progress| done.push((progress.done, progress.steps))).unwrap();
    assert!(done.iter().any(|(done, steps)| done == steps && *steps == 4 * 2 * 12), "{:?}", done.last());
    study
}

#[test]
fn a_small_study_finds_throttling_in_every_scenario_and_leaves_its_report() {
    let study = small();
    for scenario in &study.scenarios {
        let part = &scenario.parts[0];
        assert!(part.counts, "{}: (b) throttles for {}", scenario.name, part.least_loaded_throttles);
        assert_eq!(part.policies.iter().map(|policy| policy.letter).collect::<String>(), "abcdefghijkl");
        assert!(scenario.lowest_serving_rise.unwrap() < scenario.blind_rise);
    }
    let folder = tempfile::tempdir().unwrap();
    let (report, rows) = (folder.path().join("heat"), folder.path().join("bench"));
    make_folders(&RealDisk, &report, &rows).unwrap();
    write(&study, &RealDisk, &report, &rows).unwrap();

    let page = fs::read_to_string(report.join("report.md")).unwrap();
    for scenario in &study.scenarios {
        let plot = format!("{}-day.svg", scenario.name);
        assert!(page.contains(&plot) && fs::read_to_string(report.join(plot)).unwrap().contains("</svg>"));
    }
    assert!(page.contains("Machine: ") && page.contains("(f) helixflow"));
    let whole: Value = serde_json::from_slice(&fs::read(report.join("study.json")).unwrap()).unwrap();
    assert_eq!(whole["scenarios"].as_array().unwrap().len(), 4);
    rows_have_the_form_of_every_benchmark(&fs::read(rows.join("heat.json")).unwrap());
}

fn rows_have_the_form_of_every_benchmark(json: &[u8]) {
    let bench: Value = serde_json::from_slice(json).unwrap();
    assert_eq!(bench["bench"], "heat");
    assert!(bench["machine"]["cores"].as_u64().unwrap() > 0);
    let rows = bench["rows"].as_array().unwrap();
    for name in ["throttle-seconds", "peak-rise", "goodput", "p99-ttft", "energy-per-token"] {
        let row = rows.iter().find(|row| row["name"] == name).unwrap();
        let runs = |side: &str| row[side].as_array().unwrap().iter().filter(|run| run.is_f64()).count();
        assert_eq!((runs("ours"), runs("theirs")), (8, 8), "{name}");
        assert_eq!(row["peer"], "least-loaded");
        assert_eq!(row["better"], if name == "goodput" { "higher" } else { "lower" });
        for field in ["unit", "ratio", "limit", "share"] {
            assert!(row.get(field).is_some(), "{name} lacks {field}");
        }
    }
}
