//! What the cluster has told this node and the ledger has not taken yet: the newest of it, in the order it counts.
//!
//! A part is whole, so the newest says all that those before it said; and it belongs to the id that was told before it, so
//! it waits behind an id that waits. Nothing here is obeyed: the node goes on as its record says until a write succeeds.

use std::error::Error;

use helixflow_control::Change;
use helixflow_model::NodeId;

use crate::ledger::{LedgerError, Record};
use crate::orders::Part;

/// At most one id and one part.
#[derive(Debug, Default)]
pub(super) struct Unwritten {
    node: Option<NodeId>,
    part: Option<Part>,
    /// Why the last write failed; none where none has, or nothing waits any more.
    refusal: Option<String>,
    /// Whether somebody comes back to try again.
    retry_is_due: bool,
}

impl Unwritten {
    /// The cluster gives this node an id, which may be the one that it `holds`. Another id means another member: nothing
    /// that was told to the old one counts.
    pub(super) fn joined(&mut self, node: NodeId, holds: Option<NodeId>) {
        if self.node.or(holds) != Some(node) {
            self.part = None;
            self.node = Some(node).filter(|_| holds != Some(node));
        }
    }

    /// The cluster gives this node a part. One that is older than what waits comes from a coordinator that lags behind, and
    /// must not take its place: had the write succeeded, it would have been refused.
    pub(super) fn told(&mut self, part: Part) {
        match &self.part {
            Some(waits) if part.orders.are_older_than(&waits.orders) => {
                tracing::info!(epoch = %part.orders.epoch, newer = %waits.orders.epoch, "older than what waits; ignored");
            }
            _ => self.part = Some(part),
        }
    }

    /// The record to be written next, where there is one, and what changes with it. A part that is stale or says nothing
    /// new goes.
    pub(super) fn next(&mut self, held: &Record) -> Option<(Record, Vec<Change>)> {
        if self.node.is_some() {
            let stopped = held.accepted.assignments.values().map(|held| Change::Stop(held.fence())).collect();
            return Some((Record { node: self.node, ..Record::default() }, stopped));
        }
        let Part { orders, coordinators } = self.part.clone()?;
        let news = match held.accepted.consider(orders) {
            Ok((accepted, changes)) => Some((Record { node: held.node, accepted, coordinators }, changes)),
            Err(stale) => {
                tracing::info!(%stale, "ignored");
                None
            }
        };
        let news = news.filter(|(record, _)| record != held);
        if news.is_none() {
            self.part = None;
        }
        news
    }

    /// What [`Self::next`] gave is on the disk.
    pub(super) fn written(&mut self) {
        if self.node.take().is_none() {
            self.part = None;
        }
    }

    /// The disk refused. Said once, however often it does: whoever looks later reads it in the tree.
    pub(super) fn refused(&mut self, error: &LedgerError) {
        let cause = error.source().map(|source| format!(" ({source})")).unwrap_or_default();
        let refusal = format!("{error}{cause}");
        if self.refusal.is_none() {
            tracing::warn!(
                refusal,
                "what the cluster tells cannot be kept, so the node goes on as before and tries again; free space on the disk, or make the folder writable"
            );
        }
        self.refusal = Some(refusal);
    }

    /// Nothing waits any more.
    pub(super) fn settled(&mut self) {
        if self.refusal.take().is_some() {
            tracing::info!("nothing that the cluster told waits for the disk any more");
        }
    }

    /// Why something waits, where something does.
    pub(super) fn refusal(&self) -> Option<&str> {
        self.refusal.as_deref()
    }

    /// Whether a retry is to be arranged now: not where one is under way.
    pub(super) fn needs_a_retry(&mut self) -> bool {
        !std::mem::replace(&mut self.retry_is_due, true)
    }

    /// The retry has come.
    pub(super) fn retried(&mut self) {
        self.retry_is_due = false;
    }
}

#[cfg(test)]
mod tests {
    use helixflow_control::{Accepted, Orders};
    use helixflow_model::{Epoch, Incarnation};

    use super::*;

    fn part(incarnation: u64, epoch: u64) -> Part {
        let orders =
            Orders { incarnation: Incarnation(incarnation), epoch: Epoch(epoch), assignments: Vec::new() };
        Part { orders, coordinators: Vec::new() }
    }

    fn held(node: u64, epoch: u64) -> Record {
        let accepted =
            Accepted { incarnation: Incarnation(1), epoch: Epoch(epoch), assignments: Default::default() };
        Record { node: Some(NodeId(node)), accepted, coordinators: Vec::new() }
    }

    /// The node and the epoch of the record that is to be written next.
    fn next(unwritten: &mut Unwritten, held: &Record) -> Option<(u64, u64)> {
        let (record, _) = unwritten.next(held)?;
        Some((record.node.map_or(0, |node| node.0), record.accepted.epoch.0))
    }

    #[test]
    fn the_newest_part_is_the_one_that_waits_whichever_came_last() {
        let mut unwritten = Unwritten::default();
        let held = held(3, 5);
        for (told, waits) in [((1, 7), 7), ((1, 6), 7), ((1, 8), 8), ((2, 1), 1), ((1, 9), 1)] {
            unwritten.told(part(told.0, told.1));
            assert_eq!(next(&mut unwritten, &held), Some((3, waits)), "after {told:?}");
        }
        unwritten.written();
        assert_eq!(next(&mut unwritten, &held), None);
    }

    #[test]
    fn a_part_that_is_stale_or_says_nothing_new_does_not_wait() {
        for epoch in [4, 5] {
            let mut unwritten = Unwritten::default();
            unwritten.told(part(1, epoch));
            assert_eq!(next(&mut unwritten, &held(3, 5)), None);
            assert!(unwritten.part.is_none());
        }
    }

    #[test]
    fn a_part_waits_behind_the_id_that_it_was_told_to() {
        let mut unwritten = Unwritten::default();
        unwritten.told(part(1, 9));
        unwritten.joined(NodeId(4), Some(NodeId(3)));
        assert_eq!(next(&mut unwritten, &held(3, 5)), Some((4, 0)), "the old member's part counts no more");
        unwritten.told(part(1, 2));
        unwritten.joined(NodeId(4), Some(NodeId(3)));
        assert_eq!(next(&mut unwritten, &held(3, 5)), Some((4, 0)));
        unwritten.written();
        let joined = Record { node: Some(NodeId(4)), ..Record::default() };
        assert_eq!(next(&mut unwritten, &joined), Some((4, 2)));
    }

    #[test]
    fn an_id_that_is_the_old_one_again_leaves_the_record_as_it_is() {
        let mut unwritten = Unwritten::default();
        unwritten.joined(NodeId(4), Some(NodeId(3)));
        unwritten.told(part(1, 9));
        unwritten.joined(NodeId(3), Some(NodeId(3)));
        assert_eq!(next(&mut unwritten, &held(3, 5)), None);
        unwritten.told(part(1, 6));
        unwritten.joined(NodeId(3), Some(NodeId(3)));
        assert_eq!(
            next(&mut unwritten, &held(3, 5)),
            Some((3, 6)),
            "a node that comes back keeps what waits"
        );
    }

    #[test]
    fn one_retry_is_under_way_at_a_time() {
        let mut unwritten = Unwritten::default();
        assert!(unwritten.needs_a_retry() && !unwritten.needs_a_retry());
        unwritten.retried();
        assert!(unwritten.needs_a_retry());
    }
}
