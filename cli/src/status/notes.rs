//! What is not plain about a board, in few words: for the table of `status` and for `top`.

use super::board::Board;

/// The clock control of a board that nobody may clock, as JSON has it.
const MONITOR_ONLY: &str = "monitor-only";
/// The same of a board that somebody else clocks.
const FOREIGN: &str = "foreign";

impl Board {
    /// Whether its clock is only read: nobody but the firmware holds it back.
    pub(crate) fn is_only_monitored(&self) -> bool {
        self.clock_control == MONITOR_ONLY
    }

    /// Whether somebody beside its node has set its clock.
    pub(crate) fn is_clocked_by_others(&self) -> bool {
        self.clock_control == FOREIGN
    }

    /// Its band, where it is not the coolest.
    pub(crate) fn noteworthy_band(&self) -> Option<&'static str> {
        (self.band != "cool").then_some(self.band)
    }

    /// Its duty, where it is not the whole one.
    pub(crate) fn noteworthy_duty(&self) -> Option<&'static str> {
        (self.duty != "full").then_some(self.duty)
    }

    /// What holds its clock down, idleness aside.
    pub(crate) fn noteworthy_reasons(&self) -> impl Iterator<Item = &'static str> {
        self.reasons.iter().flatten().copied().filter(|reason| *reason != "idle")
    }

    /// Everything that a person should know beside figures, the weightiest first.
    pub(crate) fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.noteworthy_duty().into_iter().map(str::to_owned).collect();
        let reasons: Vec<&str> = self.noteworthy_reasons().collect();
        for (what, names) in [("", &reasons), ("missing ", &self.missing), ("frozen ", &self.frozen)] {
            if !names.is_empty() {
                notes.push(format!("{what}{}", names.join(", ")));
            }
        }
        let fault = if self.kind == "nvidia" { "XID" } else { "fault" };
        notes.extend(self.faults.iter().map(|told| format!("{fault} {} ×{}", told.code, told.count)));
        notes.extend(self.memory_notes());
        if self.weight < 1.0 {
            notes.push(format!("readings late, weight {:.0} %", self.weight * 100.0));
        }
        notes
    }

    /// What its memory has suffered.
    fn memory_notes(&self) -> impl Iterator<Item = String> {
        let lost = self.ecc.as_ref().filter(|ecc| ecc.uncorrected > 0);
        let lost = lost.map(|ecc| format!("{} uncorrected memory errors", ecc.uncorrected));
        let rows = self.remapping.as_ref().and_then(|rows| match (rows.failed, rows.pending) {
            (true, _) => Some("memory row not replaced: exchange the board"),
            (false, true) => Some("memory row waits for a reset of the board"),
            (false, false) => None,
        });
        lost.into_iter().chain(rows.map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use crate::status::{Board, samples};

    #[test]
    fn a_hot_board_is_noted_by_duty_reasons_sensors_and_faults() {
        let notes = Board::told(samples::hot_board(), None).notes();
        let expected =
            ["no-new-shards", "requested, software-thermal", "missing fan", "frozen margin", "XID 63 ×1"];
        assert_eq!(notes, expected);
    }

    #[test]
    fn of_a_plain_board_nothing_is_noted() {
        assert_eq!(Board::told(samples::cool_board("simulated-0", 40_000), None).notes(), [""; 0]);
    }
}
