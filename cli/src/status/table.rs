//! The cluster's state as tables for people.

use std::fmt::Write;

use comfy_table::{Table, presets};

use super::json::{Node, Status};

/// Renders everything, a table a subject; what is wrong stands last, where the eye rests.
pub(crate) fn render(status: &Status) -> String {
    let leader = status.leader.map_or_else(|| "none".to_owned(), |id| format!("coordinator-{id}"));
    let mut text = format!(
        "cluster {}   leader {leader}   term {}   log index {}\n\n{}\n\n{}\n\n{}\n",
        status.cluster,
        status.term,
        status.applied_index,
        coordinators(status),
        nodes(status),
        models(status)
    );
    for problem in &status.violations {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "\nviolation: {problem}");
    }
    for shortfall in &status.shortfalls {
        let _ = writeln!(text, "\nnot placed: {shortfall}");
    }
    text
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_HORIZONTAL_ONLY).set_header(header);
    table
}

fn coordinators(status: &Status) -> Table {
    let mut table = table(&["coordinator", "region", "role", "grpc", "raft"]);
    for c in &status.coordinators {
        let mark = if c.id == status.coordinator { " (answers)" } else { "" };
        table.add_row([format!("coordinator-{}{mark}", c.id), c.region.clone(), c.role.clone(), c.grpc.clone(), c.raft.clone()]);
    }
    table
}

fn nodes(status: &Status) -> Table {
    let mut table = table(&["node", "region", "health", "board", "temperature", "replica", "active", "queued", "tokens/s", "report age"]);
    for node in &status.nodes {
        table.add_row([
            format!("node-{}", node.id),
            node.region.clone(),
            node.health.clone(),
            each(node, |n| n.boards.iter().map(|b| format!("{} ({})", b.name, b.kind)).collect()),
            each(node, |n| n.boards.iter().map(|b| format!("{:.1} °C", b.temperature_celsius)).collect()),
            each(node, |n| n.replicas.iter().map(|r| replica(&r.model, r.phase, &r.detail)).collect()),
            each(node, |n| n.replicas.iter().map(|r| r.active.to_string()).collect()),
            each(node, |n| n.replicas.iter().map(|r| r.queued.to_string()).collect()),
            each(node, |n| n.replicas.iter().map(|r| format!("{:.1}", r.tokens_per_second)).collect()),
            node.report_age_ms.map_or_else(|| "never".to_owned(), |age| format!("{:.1} s", age as f64 / 1000.0)),
        ]);
    }
    table
}

fn each(node: &Node, cells: impl Fn(&Node) -> Vec<String>) -> String {
    let cells = cells(node);
    if cells.is_empty() { "–".to_owned() } else { cells.join("\n") }
}

fn replica(model: &str, phase: &str, detail: &str) -> String {
    if detail.is_empty() { format!("{model}: {phase}") } else { format!("{model}: {phase}, {detail}") }
}

fn models(status: &Status) -> Table {
    let mut table = table(&["model", "version", "layers", "context", "replicas", "placed on"]);
    for model in &status.models {
        let placed = model.replicas.iter().map(|replica| {
            let nodes: Vec<String> = replica.nodes.iter().map(|id| format!("node-{id}")).collect();
            format!("replica-{} g{}: {} ({})", replica.id, replica.generation, nodes.join(", "), replica.reason)
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
        assert!(text.contains("coordinator-1 (answers)"), "{text}");
        assert!(text.contains("violation: a layer is missing"), "{text}");
    }
}
