//! Columns that fit a width: which of them are shown, how wide each is, and a row as a line of them. Pure.

use ratatui::layout::Alignment;
use ratatui::text::{Line, Span};

use super::palette::{Palette, Tone};

/// What stands between two columns.
const GAP: u16 = 1;

/// One column of rows of type `R`.
pub(super) struct Column<R> {
    pub(super) title: &'static str,
    /// Without this many cells it is not shown.
    pub(super) least: u16,
    /// More than this it never gets.
    pub(super) most: u16,
    /// Columns of a higher rank give way to those of a lower one.
    pub(super) rank: u8,
    pub(super) alignment: Alignment,
    /// What stands in it, given how wide it is.
    pub(super) cell: fn(&R, usize) -> Cell,
}

/// What stands in one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tone: Tone,
}

impl Cell {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::toned(text, Tone::Plain)
    }

    pub(super) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

/// The columns that are shown, from the left, each with its width. A wider terminal never shows fewer.
pub(super) fn fit<R>(columns: &[Column<R>], width: u16) -> Vec<(&Column<R>, u16)> {
    let mut by_rank: Vec<usize> = (0..columns.len()).collect();
    by_rank.sort_by_key(|index| columns[*index].rank);
    let mut left = width + GAP;
    let mut shown = Vec::new();
    for index in by_rank {
        let needed = columns[index].least + GAP;
        // What comes after one that has no room has none either: otherwise a wider terminal could lose a small column.
        let Some(rest) = left.checked_sub(needed) else { break };
        left = rest;
        shown.push(index);
    }
    shown.sort_unstable();
    let wider = |index| {
        let Column { least, most, .. } = &columns[index];
        let more = (most - least).min(left);
        left -= more;
        (&columns[index], least + more)
    };
    shown.into_iter().map(wider).collect()
}

/// The line of titles.
pub(super) fn titles<R>(shown: &[(&Column<R>, u16)], palette: Palette) -> Line<'static> {
    joined(shown, palette, |column, _| Cell::toned(column.title, Tone::Title))
}

/// The line of one row.
pub(super) fn row<R>(shown: &[(&Column<R>, u16)], row: &R, palette: Palette) -> Line<'static> {
    joined(shown, palette, |column, width| (column.cell)(row, width))
}

fn joined<R>(
    shown: &[(&Column<R>, u16)],
    palette: Palette,
    cell: impl Fn(&Column<R>, usize) -> Cell,
) -> Line<'static> {
    let mut spans = Vec::with_capacity(2 * shown.len());
    for (place, (column, width)) in shown.iter().enumerate() {
        let width = usize::from(*width);
        let Cell { text, tone } = cell(column, width);
        let text = cut(&text, width);
        let padding = width - text.chars().count();
        let text = match column.alignment {
            Alignment::Right => format!("{}{text}", " ".repeat(padding)),
            Alignment::Left | Alignment::Center => format!("{text}{}", " ".repeat(padding)),
        };
        if place > 0 {
            spans.push(Span::raw(" ".repeat(usize::from(GAP))));
        }
        spans.push(Span::styled(text, palette.style(tone)));
    }
    Line::from(spans)
}

/// Text in at most this many cells; what does not fit ends with an ellipsis. Names here are of single-width characters.
pub(super) fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain((width > 0).then_some('…')).collect()
}

/// Text in lines of at most this many cells, broken between words where it can be.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(cut(word, width)),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(title: &'static str, least: u16, most: u16, rank: u8) -> Column<()> {
        let cell = |(): &(), width| Cell::plain("x".repeat(width + 5));
        Column { title, least, most, rank, alignment: Alignment::Left, cell }
    }

    fn columns() -> [Column<()>; 4] {
        [column("a", 5, 9, 0), column("b", 10, 10, 2), column("c", 3, 3, 1), column("d", 2, 30, 3)]
    }

    #[test]
    fn a_wider_terminal_never_shows_fewer_columns_and_none_is_overrun() {
        let columns = columns();
        let mut before = 0;
        for width in 0..80 {
            let shown = fit(&columns, width);
            assert!(shown.len() >= before, "at {width}");
            before = shown.len();
            let line = row(&shown, &(), Palette { coloured: false });
            assert!(line.width() <= usize::from(width), "{} cells at {width}", line.width());
        }
        assert_eq!(before, columns.len());
    }

    #[test]
    fn columns_of_a_high_rank_give_way_first_and_the_order_stays() {
        let columns = columns();
        let names = |width| fit(&columns, width).iter().map(|(c, _)| c.title).collect::<String>();
        assert_eq!(
            (names(4), names(5), names(9), names(20)),
            ("".into(), "a".into(), "ac".into(), "abc".into())
        );
        assert_eq!(names(23), "abcd");
    }

    #[test]
    fn room_that_is_left_goes_to_columns_that_can_use_it() {
        let columns = columns();
        let widths: Vec<u16> = fit(&columns, 30).iter().map(|(_, width)| *width).collect();
        assert_eq!(widths, [9, 10, 3, 5]);
    }

    #[test]
    fn long_text_is_cut_or_wrapped() {
        assert_eq!(
            (cut("simulated", 5), cut("abc", 3), cut("abc", 0)),
            ("simu…".into(), "abc".into(), "".into())
        );
        assert_eq!(wrapped("a bc def ghij", 5), ["a bc", "def", "ghij"]);
    }
}
