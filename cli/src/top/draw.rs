//! One frame: who answers and how the cluster is, what went wrong, what scrolls, and the keys.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use tokio::time::Instant;

use super::app::App;
use super::columns::{cut, wrapped};
use super::document;
use super::palette::{Palette, Tone};
use super::sections::short;
use super::view::{Load, Sort, is_live};
use crate::status::Status;

/// The most lines that tell why no answer comes: the rest of a longer message would push away what was known.
const TROUBLE_LINES: usize = 3;

/// Draws everything as it is at `now`.
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App, palette: Palette, now: Instant) {
    let head_lines = head_lines(app, frame.area().width, palette, now);
    let head_height = u16::try_from(head_lines.len()).unwrap_or(u16::MAX);
    let parts = [Constraint::Length(head_height), Constraint::Min(0), Constraint::Length(1)];
    let [head, body, foot] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(Paragraph::new(head_lines), head);
    let mut lines = document::lines(app.status(), &app.view(now), body.width, palette);
    let (all, shown) = (lines.len(), app.shown(lines.len(), usize::from(body.height)));
    let place = if shown.len() < all {
        format!("  {}–{} of {all}", shown.start + 1, shown.end)
    } else {
        String::new()
    };
    lines.truncate(shown.end);
    frame.render_widget(Paragraph::new(lines.split_off(shown.start)), body);
    frame.render_widget(keys(app.sort(), &place, palette), foot);
}

/// The cluster, its leader and its work; then what went wrong, or a gap.
fn head_lines(app: &App, width: u16, palette: Palette, now: Instant) -> Vec<Line<'static>> {
    let (status, width) = (app.status(), usize::from(width));
    let mut lines = vec![
        Line::from(Span::styled(cut(&leader(status), width), palette.style(Tone::Title))),
        Line::from(cut(&work(status), width)),
    ];
    let trouble = app.trouble(now).map_or_else(Vec::new, |(error, since)| {
        let (since, held) = (short(since), short(app.held(now)));
        wrapped(&format!("NO ANSWER for {since}; what was known {held} ago: {error}"), width)
    });
    let wrong = |line| Line::from(Span::styled(line, palette.style(Tone::Wrong)));
    lines.extend(trouble.into_iter().take(TROUBLE_LINES).map(wrong));
    lines.push(Line::default());
    lines
}

/// Who leads, who answers, and how much the answer is worth.
fn leader(status: &Status) -> String {
    let region = |id: u64| status.coordinators.iter().find(|c| c.id == id).map_or("?", |c| c.region.as_str());
    let leads = status.leader.map_or_else(
        || "no leader is known".to_owned(),
        |id| format!("leader coordinator-{id} ({}) term {}", region(id), status.term),
    );
    let quorum = status.quorum_age_ms.map_or_else(
        || "no majority heard".to_owned(),
        |age| format!("majority {} ago", short(std::time::Duration::from_millis(age))),
    );
    format!("{leads}   told by coordinator-{}, {quorum}", status.coordinator)
}

/// What the nodes do.
fn work(status: &Status) -> String {
    let live = status.nodes.iter().filter(|node| is_live(node)).count();
    let boards = || status.nodes.iter().flat_map(|node| &node.boards);
    let hot = boards().filter(|board| matches!(board.band, "hot" | "critical")).count();
    let Load { active, queued, tokens_per_second } = Load::of_nodes(&status.nodes);
    format!(
        "nodes {live}/{} live   boards {}, {hot} hot   {active} active   {queued} queued   {tokens_per_second:.1} tokens/s   cluster {}",
        status.nodes.len(),
        boards().count(),
        status.cluster,
    )
}

/// The keys; the one in use for sorting stands out.
fn keys(sort: Sort, place: &str, palette: Palette) -> Line<'static> {
    let mut spans = vec![Span::raw("q leave  ↑↓ PgUp PgDn Home End scroll  sort")];
    for (key, by) in [("h heat", Sort::Heat), ("l load", Sort::Load), ("n name", Sort::Name)] {
        let text = if by == sort { format!(" [{key}]") } else { format!(" {key}") };
        spans.push(Span::styled(text, palette.style(if by == sort { Tone::Title } else { Tone::Plain })));
    }
    spans.push(Span::raw(place.to_owned()));
    Line::from(spans)
}

#[cfg(test)]
mod tests;
