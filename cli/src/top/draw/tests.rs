//! Frames as a person would read them, of made-up answers.

use std::time::Duration;

use helixflow_proto::v1::StatusResponse;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::status::samples;
use crate::top::keys::{Action, Scroll};

/// The lines of a terminal of this size.
fn drawn(app: &mut App, size: (u16, u16), now: Instant) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).expect("a terminal");
    terminal.draw(|frame| draw(frame, app, Palette { coloured: true }, now)).expect("drawn");
    let buffer = terminal.backend().buffer();
    let line = |y| (0..size.0).map(|x| buffer[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..size.1).map(line).collect()
}

fn shown(wire: StatusResponse, size: (u16, u16)) -> String {
    let now = Instant::now();
    drawn(&mut App::new(wire.into(), now), size, now).join("\n")
}

#[test]
fn eighty_columns_show_every_fact_of_a_hot_board() {
    let text = shown(samples::fleet(), (80, 24));
    println!("{text}");
    let row = text.lines().find(|line| line.starts_with("node-2  GPU-5a1c")).expect("the hot board");
    for fact in ["hot", "86/94", "-1.0", "1500/1450", "governed", "640/700", "0.4s"] {
        assert!(row.contains(fact), "{fact} in {row:?}");
    }
    for fact in [
        "leader coordinator-1 (eu-1) term 3",
        "told by coordinator-2, majority 0.0s ago",
        "41.5 tokens/s",
        "nodes 2/3 live",
        "no-new-shards · requested, software-thermal · missing fan · frozen margin · XID 63 ×1",
        "smollm2-135m-instruct",
        "q leave",
        "[h heat]",
    ] {
        assert!(text.split_whitespace().collect::<Vec<_>>().join(" ").contains(fact), "{fact} in\n{text}");
    }
}

#[test]
fn a_wide_terminal_has_columns_for_more() {
    let text = shown(samples::fleet(), (140, 40));
    println!("{text}");
    for fact in [
        "cluster demo",
        "DUTY",
        "no-new-shards",
        "SPEED",
        "82%",
        "REQS",
        "3+2",
        "NVIDIA H100 80GB HBM3",
        "BOARDS",
    ] {
        assert!(text.contains(fact), "{fact} in\n{text}");
    }
}

#[test]
fn a_band_is_a_word_and_a_colour() {
    let now = Instant::now();
    let mut terminal = Terminal::new(TestBackend::new(80, 24)).expect("a terminal");
    let mut app = App::new(samples::fleet().into(), now);
    for (coloured, expected) in [(true, Some(ratatui::style::Color::Red)), (false, None)] {
        terminal.draw(|frame| draw(frame, &mut app, Palette { coloured }, now)).expect("drawn");
        let buffer = terminal.backend().buffer();
        let row = (0..24).find(|y| buffer[(5, *y)].symbol() == "2").expect("node-2's row");
        let cell = &buffer[(20, row)];
        assert_eq!(cell.symbol(), "h");
        assert_eq!(cell.style().fg.filter(|c| *c != ratatui::style::Color::Reset), expected);
    }
}

#[test]
fn a_lost_connection_shows_what_was_known_its_age_and_the_error() {
    let begun = Instant::now();
    let mut app = App::new(samples::fleet().into(), begun);
    app.failed("no coordinator answers at 127.0.0.1:1".to_owned(), begun + Duration::from_secs(3));
    let text = drawn(&mut app, (100, 24), begun + Duration::from_secs(15)).join("\n");
    let told = "NO ANSWER for 12s; what was known 15s ago: no coordinator answers at 127.0.0.1:1";
    assert!(text.contains(told), "{text}");
    assert!(text.contains("86/94"), "what was known stays: {text}");
    app.failed("a word ".repeat(100), begun + Duration::from_secs(15));
    let long = drawn(&mut app, (80, 24), begun + Duration::from_secs(15)).join("\n");
    assert!(long.contains("86/94"), "what was known stays beside a long error: {long}");
    app.answered(samples::fleet().into(), begun + Duration::from_secs(16));
    let text = drawn(&mut app, (100, 24), begun + Duration::from_secs(16)).join("\n");
    assert!(!text.contains("NO ANSWER"), "{text}");
}

#[test]
fn a_lost_node_is_told_as_lost_and_not_by_its_last_band() {
    let mut wire = samples::fleet();
    wire.nodes[1].health = "lost".to_owned();
    let text = shown(wire, (80, 24));
    assert!(text.contains("0 active   0 queued   0.0 tokens/s"), "nor does it count as work: {text}");
    let row = text.lines().find(|line| line.starts_with("node-2  GPU-5a1c")).expect("its board");
    assert!(row.contains("lost") && !row.contains("hot"), "{row}");
}

#[test]
fn sensors_that_are_lost_are_marked_where_their_value_would_stand() {
    let mut wire = samples::fleet();
    let reading = wire.nodes[1].boards[0].reading.as_mut().expect("a reading");
    reading.core_millicelsius = None;
    reading.missing = vec![helixflow_proto::v1::Sensor::Core.into()];
    reading.frozen = vec![helixflow_proto::v1::Sensor::Memory.into()];
    let text = shown(wire, (80, 24));
    assert!(text.contains("?/!") && text.contains("missing core · frozen"), "{text}");
}

#[test]
fn problems_come_first_and_warnings_last() {
    let mut wire = samples::fleet();
    wire.violations = vec!["a layer is missing".to_owned()];
    wire.warnings = vec!["two regions do not survive the loss of one ".repeat(3)];
    let text = shown(wire, (80, 40));
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} in\n{text}"));
    assert!(at("violation: a layer") < at("REGION") && at("REPLICA") < at("warning: two regions"));
}

#[test]
fn a_fleet_that_does_not_fit_scrolls_and_says_where_one_is() {
    let now = Instant::now();
    let boards = (0..60).map(|id| samples::cool_board(&format!("b{id:02}"), 40_000)).collect();
    let nodes = vec![samples::node(1, "eu-1", boards, vec![])];
    let mut app = App::new(StatusResponse { nodes, ..samples::fleet() }.into(), now);
    let text = drawn(&mut app, (80, 24), now).join("\n");
    assert!(text.contains("1–20 of "), "{text}");
    assert!(app.obey(Action::Scroll(Scroll::Bottom)).is_continue());
    let text = drawn(&mut app, (80, 24), now);
    assert!(text.iter().any(|line| line.contains("node-1")), "{text:?}");
    assert!(!text.iter().any(|line| line.starts_with("REGION")), "{text:?}");
}

#[test]
fn no_size_of_terminal_is_too_small_to_be_drawn() {
    for size in [(1, 1), (3, 2), (10, 4), (20, 5), (40, 10), (79, 24), (400, 3)] {
        shown(samples::fleet(), size);
    }
}
