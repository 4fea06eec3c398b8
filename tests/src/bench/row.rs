//! One row of a benchmark: a figure of ours and of a peer, a pair a round.

use std::collections::BTreeMap;

use serde::Serialize;

/// Which way a figure should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    /// Throughput and the like.
    Higher,
    /// Latency and the like.
    Lower,
}

/// One row.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// What scripts know it by.
    pub name: String,
    /// Of `ours` and `theirs`.
    pub unit: &'static str,
    /// One number a round.
    pub ours: Vec<f64>,
    /// Who was measured beside us, if anybody was.
    pub peer: Option<String>,
    /// One number a round, measured next to ours.
    pub theirs: Vec<f64>,
    /// The median of ours by theirs, a pair a round.
    pub ratio: Option<f64>,
    /// What the machine permits.
    pub limit: Option<f64>,
    /// The median of ours, as a share of the limit.
    pub share: Option<f64>,
    /// Which way is good.
    pub better: Better,
    /// What was measured beside the row, by name.
    #[serde(flatten)]
    pub beside: BTreeMap<&'static str, Vec<f64>>,
}

impl Row {
    /// A row of these pairs, without a limit; `theirs` is empty where no peer was measured.
    #[must_use]
    pub fn new(name: String, unit: &'static str, better: Better, ours: Vec<f64>, theirs: Vec<f64>) -> Self {
        let ratios: Vec<f64> = ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs).collect();
        let ratio = median(&ratios);
        let beside = BTreeMap::new();
        Self { name, unit, ours, peer: None, theirs, ratio, limit: None, share: None, better, beside }
    }
}

/// The middle value, or the mean of the two in the middle; `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    let upper = *sorted.get(half)?;
    let lower = if sorted.len().is_multiple_of(2) { *sorted.get(half - 1)? } else { upper };
    Some(f64::midpoint(lower, upper))
}

/// How far apart the values lie, as a share of their median; `None` of nothing.
#[must_use]
pub fn spread(values: &[f64]) -> Option<f64> {
    let least = values.iter().copied().reduce(f64::min)?;
    let most = values.iter().copied().reduce(f64::max)?;
    Some((most - least) / median(values)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_ratio_pairs_the_rounds() {
        let row = Row::new("r".into(), "u", Better::Higher, vec![2.0, 30.0, 4.0], vec![1.0, 10.0, 4.0]);
        assert_eq!(row.ratio, Some(2.0));
        assert_eq!(Row::new("r".into(), "u", Better::Higher, vec![2.0], vec![]).ratio, None);
    }

    #[test]
    fn a_row_has_the_fields_that_scripts_read() {
        let mut row = Row::new("writes-1".into(), "writes/s", Better::Higher, vec![2.0], vec![1.0]);
        row.beside.insert("fdatasync", vec![9.0]);
        let json = serde_json::to_value(&row).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "name": "writes-1", "unit": "writes/s", "ours": [2.0], "peer": null, "theirs": [1.0],
                "ratio": 2.0, "limit": null, "share": null, "better": "higher", "fdatasync": [9.0],
            })
        );
    }
}
