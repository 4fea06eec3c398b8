//! The columns of regions, boards and replicas: what each shows, and which give way on a narrow terminal.
//!
//! The boards' first columns fill 80 cells together. What has no column of its own there stands in the line below.

use std::time::Duration;

use ratatui::layout::HorizontalAlignment::{self as Alignment, Left, Right};

use super::columns::{Cell, Column, cut};
use super::palette::Tone;
use super::view::{BoardRow, Load, RegionRow, ReplicaRow, STALE, is_live};
use crate::status::{Board, Node};

/// What stands where there is nothing to show.
const NOTHING: &str = "–";

const fn column<R>(
    title: &'static str,
    (least, most, rank): (u16, u16, u8),
    alignment: Alignment,
    cell: fn(&R, usize) -> Cell,
) -> Column<R> {
    Column { title, least, most, rank, alignment, cell }
}

/// One row a region.
pub(super) fn regions<'a>() -> [Column<RegionRow<'a>>; 7] {
    [
        column("REGION", (8, 20, 0), Left, |row, _| Cell::plain(row.name)),
        column("COORDINATORS", (24, 48, 0), Left, |row, _| coordinators(row)),
        column("LIVE", (5, 7, 0), Right, |row, _| alive(row)),
        column("HOTTEST", (15, 18, 0), Left, |row, _| row.hottest.map_or_else(nothing, hottest)),
        column("ACTIVE", (6, 6, 0), Right, |row, _| Cell::plain(row.load.active.to_string())),
        column("QUEUED", (6, 6, 0), Right, |row, _| queued(row.load)),
        column("TOKENS/S", (8, 9, 0), Right, |row, _| tokens(row.load)),
    ]
}

/// One row a board.
pub(super) fn boards<'a>() -> [Column<BoardRow<'a>>; 14] {
    [
        column("NODE", (7, 10, 0), Left, |row, _| node(row.node)),
        column("REGION", (8, 14, 5), Left, |row, _| Cell::plain(row.node.region.as_str())),
        column("BOARD", (11, 26, 0), Left, |row, width| of_board(row, |board| name(board, width))),
        column("BAND", (8, 8, 0), Left, |row, _| band(row)),
        column("°C/MEM", (7, 7, 0), Right, |row, _| of_board(row, temperature)),
        column("TREND", (5, 20, 0), Left, trend),
        column("ROOM", (5, 5, 0), Right, |row, _| of_board(row, headroom)),
        column("MHZ/ASK", (9, 9, 0), Right, |row, _| of_board(row, clock)),
        column("CONTROL", (8, 8, 0), Left, |row, _| of_board(row, control)),
        column("W/LIMIT", (7, 7, 0), Right, |row, _| of_board(row, power)),
        column("DUTY", (13, 13, 2), Left, |row, _| of_board(row, duty)),
        column("SPEED", (5, 5, 3), Right, |row, _| of_board(row, |board| share(Some(board.speed)))),
        column("REQS", (5, 5, 1), Right, |row, _| requests(row.load)),
        column("AGE", (4, 4, 0), Right, |row, _| age(row.age)),
    ]
}

/// One row a replica.
pub(super) fn replicas<'a>() -> [Column<ReplicaRow<'a>>; 11] {
    [
        column("REPLICA", (7, 9, 0), Left, |row, _| {
            Cell::plain(format!("{} g{}", row.replica.id, row.replica.generation))
        }),
        column("MODEL", (22, 40, 0), Left, |row, _| Cell::plain(row.replica.model.as_str())),
        column("PHASE", (8, 8, 0), Left, |row, _| phase(row)),
        column("NODE", (7, 10, 0), Left, |row, _| node(row.node)),
        column("BOARDS", (11, 30, 2), Left, |row, _| Cell::plain(row.replica.boards.join(" "))),
        column("ACTIVE", (6, 6, 0), Right, |row, _| Cell::plain(row.replica.active.to_string())),
        column("QUEUED", (6, 6, 0), Right, |row, _| queued(Load::of([row.replica]))),
        column("BUSY", (5, 5, 1), Right, |row, _| Cell::plain(format!("{:.1}", row.replica.busy))),
        column("TOKENS/S", (8, 8, 0), Right, |row, _| tokens(Load::of([row.replica]))),
        column("KV", (4, 4, 0), Right, |row, _| pages_in_use(row)),
        column("AGE", (4, 4, 0), Right, |row, _| age(row.age)),
    ]
}

/// What a board's row has no column for; empty where everything is plain.
pub(super) fn board_notes(row: &BoardRow<'_>) -> String {
    row.board.map_or_else(String::new, |board| board.notes().join(" · "))
}

/// A duration in four cells.
pub(super) fn short(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..10 => format!("{:.1}s", age.as_millis() as f64 / 1000.0),
        10..100 => format!("{seconds}s"),
        100..6_000 => format!("{}m", seconds / 60),
        6_000..360_000 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn nothing() -> Cell {
    Cell::toned(NOTHING, Tone::Dim)
}

fn of_board(row: &BoardRow<'_>, cell: impl FnOnce(&Board) -> Cell) -> Cell {
    row.board.map_or_else(nothing, cell)
}

fn node(node: &Node) -> Cell {
    let tone = if is_live(node) { Tone::Plain } else { Tone::Wrong };
    Cell::toned(format!("node-{}", node.id), tone)
}

/// Its name; where that has no room, its id, which tells it from its neighbours, if that is shorter.
fn name(board: &Board, width: usize) -> Cell {
    let shorter = board.name.chars().count() > width && board.id.chars().count() <= width;
    Cell::plain(if shorter { &board.id } else { &board.name }.as_str())
}

/// The band in a word; of a node that is lost, that it is: its band is not known any more.
fn band(row: &BoardRow<'_>) -> Cell {
    if is_live(row.node) {
        return of_board(row, |board| Cell::toned(board.band, Tone::of_band(board.band)));
    }
    Cell::toned(row.node.health.as_str(), Tone::Wrong)
}

/// Whole degrees of the die and of the memory; a sensor that is lost is marked.
fn temperature(board: &Board) -> Cell {
    let told = |celsius: Option<f64>, sensor: &str| match celsius {
        Some(_) if board.frozen.contains(&sensor) => "!".to_owned(),
        Some(celsius) => format!("{celsius:.0}"),
        None if board.missing.contains(&sensor) => "?".to_owned(),
        None => NOTHING.to_owned(),
    };
    let core = told(board.temperature_celsius, "core");
    Cell::toned(
        format!("{core}/{}", told(board.memory_temperature_celsius, "memory")),
        Tone::of_band(board.band),
    )
}

fn trend(row: &BoardRow<'_>, width: usize) -> Cell {
    of_board(row, |board| {
        let picture = row.history.picture(row.node.id, &board.id, width);
        Cell::toned(picture, Tone::of_band(board.band))
    })
}

fn headroom(board: &Board) -> Cell {
    board.headroom_celsius.map_or_else(nothing, |celsius| {
        let tone = if celsius < 0.0 { Tone::Hot } else { Tone::Plain };
        Cell::toned(format!("{celsius:.1}"), tone)
    })
}

/// The clock, and the one asked for where that is not the highest.
fn clock(board: &Board) -> Cell {
    let Some(now) = board.core_clock_mhz else { return nothing() };
    Cell::plain(board.target_clock_mhz.map_or_else(|| now.to_string(), |asked| format!("{now}/{asked}")))
}

fn control(board: &Board) -> Cell {
    let word = if board.is_only_monitored() { "monitor" } else { board.clock_control };
    Cell::toned(word, if board.is_clocked_by_others() { Tone::Warm } else { Tone::Plain })
}

fn power(board: &Board) -> Cell {
    let Some(watts) = board.power_watts else { return nothing() };
    let limit = board.power_limit_watts.map_or_else(String::new, |limit| format!("/{limit:.0}"));
    Cell::plain(format!("{watts:.0}{limit}"))
}

fn duty(board: &Board) -> Cell {
    let tone = if board.noteworthy_duty().is_some() { Tone::Warm } else { Tone::Plain };
    Cell::toned(board.duty, tone)
}

fn share(value: Option<f64>) -> Cell {
    value.map_or_else(nothing, |value| Cell::plain(format!("{:.0}%", value * 100.0)))
}

fn coordinators(row: &RegionRow<'_>) -> Cell {
    if row.coordinators.is_empty() { nothing() } else { Cell::plain(row.coordinators.as_str()) }
}

fn alive(row: &RegionRow<'_>) -> Cell {
    let tone = if row.live < row.nodes { Tone::Wrong } else { Tone::Plain };
    Cell::toned(format!("{}/{}", row.live, row.nodes), tone)
}

fn hottest(board: &Board) -> Cell {
    let celsius = board.temperature_celsius;
    let celsius = celsius.map_or_else(|| NOTHING.to_owned(), |celsius| format!("{celsius:.0} °C"));
    Cell::toned(format!("{celsius} {}", board.band), Tone::of_band(board.band))
}

fn requests(load: Load) -> Cell {
    if load.queued > 0 {
        return Cell::toned(format!("{}+{}", load.active, load.queued), Tone::Warm);
    }
    Cell::plain(load.active.to_string())
}

fn queued(load: Load) -> Cell {
    Cell::toned(load.queued.to_string(), if load.queued > 0 { Tone::Warm } else { Tone::Plain })
}

fn tokens(load: Load) -> Cell {
    Cell::plain(format!("{:.1}", load.tokens_per_second))
}

fn phase(row: &ReplicaRow<'_>) -> Cell {
    let tone = if row.replica.phase == "failed" { Tone::Wrong } else { Tone::Plain };
    Cell::toned(row.replica.phase, tone)
}

/// How much of its KV cache is taken.
fn pages_in_use(row: &ReplicaRow<'_>) -> Cell {
    let (free, total) = (row.replica.kv_pages_free, row.replica.kv_pages_total);
    share((total > 0).then(|| f64::from(total.saturating_sub(free)) / f64::from(total)))
}

fn age(age: Option<Duration>) -> Cell {
    let Some(age) = age else { return Cell::toned("none", Tone::Wrong) };
    Cell::toned(cut(&short(age), 4), if age > STALE { Tone::Wrong } else { Tone::Dim })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_four_cells_up_to_years() {
        for (seconds, text) in
            [(0.4, "0.4s"), (12.0, "12s"), (100.0, "1m"), (5_999.0, "99m"), (7_200.0, "2h")]
        {
            assert_eq!(short(Duration::from_secs_f64(seconds)), text);
        }
        assert_eq!(short(Duration::from_secs(400 * 86_400)), "400d");
    }

    #[test]
    fn the_boards_columns_that_never_give_way_fill_eighty_cells() {
        let first = boards().into_iter().filter(|column| column.rank == 0);
        assert_eq!(first.map(|column| column.least + 1).sum::<u16>() - 1, 80);
    }
}
