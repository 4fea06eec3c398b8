//! A supervision tree as a table for people: children stand under their supervisor.

use std::time::Duration;

use comfy_table::Table;
use helixflow_node::ActorReport;

use crate::tables::table;

/// Renders the tree, a line an actor.
pub(super) fn render(root: &ActorReport) -> Table {
    let mut table = table(&["actor", "state", "waiting", "restarts", "for", "doing"]);
    row(&mut table, "", root);
    branch(&mut table, "", root);
    table
}

fn branch(table: &mut Table, stem: &str, parent: &ActorReport) {
    for (number, child) in parent.children.iter().enumerate() {
        let is_last = number + 1 == parent.children.len();
        let (fork, line) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        row(table, &format!("{stem}{fork}"), child);
        branch(table, &format!("{stem}{line}"), child);
    }
}

fn row(table: &mut Table, stem: &str, actor: &ActorReport) {
    let ActorReport { kind, name, state, doing, doing_for_ms, mailbox, restarts, .. } = actor;
    let restarts = restarts.map(|r| format!("{} of {} in {} s", r.spent, r.most, r.window_seconds));
    table.add_row([
        format!("{stem}{} {name}", kind.as_str()),
        state.as_str().to_owned(),
        mailbox.to_string(),
        restarts.unwrap_or_else(|| "–".to_owned()),
        lasting(Duration::from_millis(*doing_for_ms)),
        doing.clone(),
    ]);
}

/// A time in the unit that fits it.
fn lasting(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min", seconds / 60),
        _ => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use helixflow_node::{ActorKind, ActorState, Restarts};

    use super::*;

    fn actor(kind: ActorKind, name: &str, children: Vec<ActorReport>) -> ActorReport {
        ActorReport {
            kind,
            name: name.to_owned(),
            state: ActorState::Running,
            doing: "works".to_owned(),
            doing_for_ms: 90_500,
            mailbox: 3,
            restarts: Some(Restarts { spent: 2, most: 10, window_seconds: 60 }),
            children,
        }
    }

    #[test]
    fn every_actor_has_a_line_under_its_supervisor() {
        let boards = ["gpu-0", "gpu-1"].map(|name| actor(ActorKind::Board, name, Vec::new())).to_vec();
        let text = render(&actor(ActorKind::Supervisor, "", boards)).to_string();
        let lines: Vec<&str> = text.lines().skip(2).map(str::trim).collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("supervisor"), "{text}");
        assert!(lines[1].starts_with("├─ board gpu-0") && lines[2].starts_with("└─ board gpu-1"), "{text}");
        assert!(lines[1].contains("2 of 10 in 60 s") && lines[1].ends_with("1 min   works"), "{text}");
    }
}
