//! Tables for people: plain columns under a line, folded to the terminal's width. Scripts read JSON instead.

use comfy_table::{ContentArrangement, Table, TableComponent, presets};

use crate::terminal;

/// The parts of the line under the header.
const HEADER_LINE: [TableComponent; 4] = [
    TableComponent::LeftHeaderIntersection,
    TableComponent::HeaderLines,
    TableComponent::MiddleHeaderIntersections,
    TableComponent::RightHeaderIntersection,
];

/// An empty table with these columns.
pub(crate) fn table(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(columns);
    for part in HEADER_LINE {
        table.set_style(part, '─');
    }
    // Elsewhere than on a terminal a row stays a line.
    if let Some(width) = terminal::width() {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    }
    table
}
