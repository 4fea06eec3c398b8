//! The cluster's state as tables for people.

use std::fmt::Write;

use comfy_table::Table;

use super::board::Board;
use super::json::{Node, Replica, Status};
use super::recorded::Recorded;
use crate::tables::table;

/// Renders everything, a table a subject; what is wrong stands last, where the eye rests.
pub(crate) fn render(status: &Status) -> String {
    let leader = status.leader.map_or_else(|| "none".to_owned(), |id| format!("coordinator-{id}"));
    let mut text = format!(
        "cluster {}   leader {leader}   term {}   log index {}   {}\n\n{}\n\n{}\n{}\n{}\n",
        status.cluster,
        status.term,
        status.applied_index,
        worth(status),
        coordinators(status),
        nodes(status),
        monitored(status),
        models(status)
    );
    for problem in &status.violations {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\nviolation: {problem}");
    }
    for shortfall in &status.shortfalls {
        let _ = writeln!(text, "\nnot placed: {shortfall}");
    }
    for warning in &status.warnings {
        let _ = writeln!(text, "\nwarning: {warning}");
    }
    text
}

/// What the answer promises.
fn worth(status: &Status) -> String {
    match (status.consistency, status.age_ms) {
        ("confirmed", _) => "confirmed by a majority".to_owned(),
        (_, Some(age)) => format!("stale, a majority was heard of {}", ago(age)),
        (_, None) => "stale, no majority was heard of yet".to_owned(),
    }
}

fn coordinators(status: &Status) -> Table {
    let mut table = table(&["coordinator", "region", "role", "grpc", "raft"]);
    for c in &status.coordinators {
        let mark = if c.id == status.coordinator { " (answers)" } else { "" };
        table.add_row([
            format!("coordinator-{}{mark}", c.id),
            c.region.clone(),
            c.role.clone(),
            c.grpc.clone(),
            c.raft.clone(),
        ]);
    }
    table
}

fn nodes(status: &Status) -> Table {
    let mut table = table(&[
        "node", "region", "health", "board", "heat", "clock", "replica", "active", "queued", "tokens/s",
        "heard",
    ]);
    for node in &status.nodes {
        table.add_row([
            format!("node-{}", node.id),
            node.region.clone(),
            health(node),
            each(&node.boards, board),
            each(&node.boards, heat),
            each(&node.boards, clock),
            each(&node.replicas, replica),
            each(&node.replicas, |r| r.active.to_string()),
            each(&node.replicas, |r| r.queued.to_string()),
            each(&node.replicas, |r| format!("{:.1}", r.tokens_per_second_now())),
            node.report_age_ms.map_or_else(|| "never".to_owned(), ago),
        ]);
    }
    table
}

/// Its health, and what its boards may not be asked.
fn health(node: &Node) -> String {
    match node.recorded.as_ref().and_then(Recorded::note) {
        Some(note) => format!("{}, {note}", node.health),
        None => node.health.clone(),
    }
}

/// A line in the cell for each of a node's parts.
fn each<T>(parts: &[T], line: impl Fn(&T) -> String) -> String {
    if parts.is_empty() {
        return "–".to_owned();
    }
    parts.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Its name, which says of a simulated board that it is one.
fn board(board: &Board) -> String {
    if board.name.contains(board.kind) {
        board.name.clone()
    } else {
        format!("{} ({})", board.name, board.kind)
    }
}

/// Its temperature, and band and duty where they are not the plain ones.
fn heat(board: &Board) -> String {
    let celsius = board.temperature_celsius;
    let celsius = celsius.map_or_else(|| "unknown".to_owned(), |celsius| format!("{celsius:.1} °C"));
    let words = board.noteworthy_band().into_iter().chain(board.noteworthy_duty());
    words.fold(celsius, |text, word| format!("{text}, {word}"))
}

/// Its clock, the one asked for where it is not the highest, and who else decides on it where its node does not.
fn clock(board: &Board) -> String {
    let now = board.core_clock_mhz.map(|clock| format!("{clock} MHz"));
    let asked = board.target_clock_mhz.map(|clock| format!("asked {clock}"));
    let by = if board.is_only_monitored() {
        Some(MONITORED.to_owned())
    } else {
        board.is_clocked_by_others().then(|| "set by others".to_owned())
    };
    let told: Vec<String> = [now, asked, by].into_iter().flatten().collect();
    if told.is_empty() { "–".to_owned() } else { told.join(", ") }
}

/// What a clock is called that the node only watches.
const MONITORED: &str = "monitored";

/// What that means, where it is the case.
fn monitored(status: &Status) -> &'static str {
    let monitored = status.nodes.iter().flat_map(|node| &node.boards).any(Board::is_only_monitored);
    if monitored {
        "\nmonitored: the node cannot set this board's clock; its heat still steers placement and routing\n"
    } else {
        ""
    }
}

fn replica(replica: &Replica) -> String {
    let Replica { model, phase, detail, .. } = replica;
    if detail.is_empty() { format!("{model} {phase}") } else { format!("{model} {phase}: {detail}") }
}

fn ago(milliseconds: u64) -> String {
    format!("{:.1} s ago", milliseconds as f64 / 1000.0)
}

fn models(status: &Status) -> Table {
    let mut table = table(&["model", "version", "layers", "context", "replicas", "placed on"]);
    for model in &status.models {
        let placed = model.replicas.iter().map(|replica| {
            let nodes: Vec<String> = replica.nodes.iter().map(|id| format!("node-{id}")).collect();
            format!(
                "replica-{} g{}: {} ({})",
                replica.id,
                replica.generation,
                nodes.join(", "),
                replica.reason
            )
        });
        table.add_row([
            model.id.clone(),
            model.version.clone(),
            model.layers.to_string(),
            model.context.to_string(),
            format!("{} of {}", model.replicas.len(), model.replicas_wanted),
            placed.collect::<Vec<_>>().join("\n"),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use helixflow_proto::v1::{CoordinatorMember, CoordinatorStatus, StatusResponse};

    use super::*;
    use crate::status::samples;

    #[test]
    fn heat_is_told_by_band_duty_and_clock_where_they_are_not_plain() {
        let text = render(&samples::fleet().into());
        assert!(text.contains("86.5 °C, hot, no-new-shards"), "{text}");
        assert!(text.contains("1500 MHz, asked 1450"), "{text}");
        assert!(text.contains("40.0 °C  "), "a cool board is told by its temperature alone: {text}");
    }

    #[test]
    fn only_a_replica_that_works_is_told_to_make_tokens() {
        let text = render(&samples::fleet().into());
        let row = |node| text.lines().find(|line| line.contains(node)).expect("a node's row");
        assert!(row("node-2").contains("41.5"), "{text}");
        assert!(row("node-1").contains("0.0") && !row("node-1").contains("41.5"), "{text}");
    }

    #[test]
    fn a_clock_that_is_only_monitored_is_told_and_explained() {
        let mut fleet = samples::fleet();
        assert!(render(&fleet.clone().into()).contains("\nmonitored: the node cannot set"));
        fleet.nodes.remove(0);
        let text = render(&fleet.into());
        assert!(!text.contains("monitored"), "{text}");
    }

    #[test]
    fn problems_are_shown() {
        let member = CoordinatorMember { id: 1, region: "a".to_owned(), ..Default::default() };
        let wire = StatusResponse {
            cluster: "c".to_owned(),
            coordinator: 1,
            coordinators: vec![CoordinatorStatus { member: Some(member), role: "leader".to_owned() }],
            violations: vec!["a layer is missing".to_owned()],
            ..Default::default()
        };
        let text = render(&wire.into());
        assert!(text.contains("leader none"), "{text}");
        assert!(text.contains("stale, no majority was heard of yet"), "{text}");
        assert!(text.contains("coordinator-1 (answers)"), "{text}");
        assert!(text.contains("violation: a layer is missing"), "{text}");
    }
}
