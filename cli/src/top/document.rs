//! Everything that scrolls, as lines of a width: what is wrong, regions, boards, replicas, warnings. Pure.

use ratatui::text::{Line, Span};

use super::columns::{Column, fit, row, titles, wrapped};
use super::palette::{Palette, Tone};
use super::sections::{board_notes, boards, regions, replicas};
use super::view::View;
use crate::status::Status;

/// How far what belongs to a row stands in below it.
const INDENT: &str = "        ";

/// The lines, from the top.
pub(super) fn lines(status: &Status, view: &View<'_>, width: u16, palette: Palette) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let told = |word: &'static str, texts: &[String]| {
        let text = move |text: &String| wrapped(&format!("{word}: {text}"), usize::from(width));
        texts.iter().flat_map(text).collect::<Vec<_>>()
    };
    for problem in [told("violation", &status.violations), told("not placed", &status.shortfalls)].concat() {
        lines.push(toned(problem, Tone::Wrong, palette));
    }
    section(&mut lines, &regions(), &view.regions, width, palette, |_| String::new());
    section(&mut lines, &boards(), &view.boards, width, palette, board_notes);
    section(&mut lines, &replicas(), &view.replicas, width, palette, |row| row.replica.detail.clone());
    for warning in told("warning", &status.warnings) {
        lines.push(toned(warning, Tone::Warm, palette));
    }
    lines
}

/// A line of titles, a line a row, and a line more where there is something to note; then a gap.
fn section<R>(
    lines: &mut Vec<Line<'static>>,
    columns: &[Column<R>],
    rows: &[R],
    width: u16,
    palette: Palette,
    notes: impl Fn(&R) -> String,
) {
    if rows.is_empty() {
        return;
    }
    if !lines.is_empty() {
        lines.push(Line::default());
    }
    let shown = fit(columns, width);
    lines.push(titles(&shown, palette));
    for one in rows {
        lines.push(row(&shown, one, palette));
        let room = usize::from(width).saturating_sub(INDENT.len()).max(1);
        for line in wrapped(&notes(one), room) {
            lines.push(toned(format!("{INDENT}{line}"), Tone::Warm, palette));
        }
    }
}

fn toned(text: String, tone: Tone, palette: Palette) -> Line<'static> {
    Line::from(Span::styled(text, palette.style(tone)))
}
