//! What `top` itself has seen of each board's temperature, and its picture in a few columns.

use std::collections::{BTreeMap, VecDeque};

use crate::status::Status;

/// How many temperatures are kept of a board: as many as the widest picture has columns.
const KEPT: usize = 40;
/// The least that a picture spans, in degrees: what moves less than this is to look calm.
const LEAST_SPAN: f64 = 10.0;
/// From the lowest to the highest.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// Temperatures of each board, the oldest first, by node and board.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<(u64, String), VecDeque<f64>>);

impl History {
    /// Takes in one answer, and forgets boards that are in it no more.
    pub(super) fn note(&mut self, status: &Status) {
        let mut before = std::mem::take(&mut self.0);
        for node in &status.nodes {
            for board in &node.boards {
                let key = (node.id, board.id.clone());
                let mut seen = before.remove(&key).unwrap_or_default();
                if let Some(celsius) = board.temperature_celsius {
                    seen.push_back(celsius);
                }
                seen.drain(..seen.len().saturating_sub(KEPT));
                self.0.insert(key, seen);
            }
        }
    }

    /// The picture of a board's latest temperatures, at most this many columns wide.
    pub(super) fn picture(&self, node: u64, board: &str, width: usize) -> String {
        let Some(seen) = self.0.get(&(node, board.to_owned())) else { return String::new() };
        let latest = seen.iter().copied().skip(seen.len().saturating_sub(width));
        let (low, high) = latest
            .clone()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), t| (low.min(t), high.max(t)));
        let span = (high - low).max(LEAST_SPAN);
        latest.map(|celsius| LEVELS[level((celsius - low) / span)]).collect()
    }
}

/// Which of the levels stands for a share of the span.
fn level(share: f64) -> usize {
    ((share * LEVELS.len() as f64) as usize).min(LEVELS.len() - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::samples;

    fn seen(temperatures: &[i32]) -> History {
        let mut history = History::default();
        for celsius in temperatures {
            let boards = vec![samples::cool_board("b", celsius * 1000)];
            let mut fleet = samples::fleet();
            fleet.nodes = vec![samples::node(1, "eu-1", boards, vec![])];
            history.note(&fleet.into());
        }
        history
    }

    #[test]
    fn a_picture_rises_with_the_temperature_and_is_calm_where_it_hardly_moves() {
        assert_eq!(seen(&[40, 60, 80]).picture(1, "b", 8), "▁▅█");
        assert_eq!(seen(&[40, 40, 41]).picture(1, "b", 8), "▁▁▁");
    }

    #[test]
    fn a_picture_shows_the_latest_that_have_room_and_no_more_are_kept() {
        assert_eq!(seen(&[90, 40, 60, 80]).picture(1, "b", 3), "▁▅█");
        let many: Vec<i32> = (0..100).collect();
        assert_eq!(seen(&many).picture(1, "b", 1000).chars().count(), KEPT);
    }

    #[test]
    fn boards_that_are_gone_are_forgotten() {
        let mut history = seen(&[40]);
        let mut fleet = samples::fleet();
        fleet.nodes.clear();
        history.note(&fleet.into());
        assert!(history.0.is_empty());
    }
}
