//! What of a report somebody must know soon: who may be given work has changed. All else is figures that have moved.

use helixflow_model::{BoardReport, NodeReport, ReplicaReport};

/// How soon a report is to be published, the mildest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum News {
    /// With the others.
    Figures,
    /// At once.
    Change,
}

impl News {
    /// Of a node's report after the one before.
    pub(super) fn of(before: &NodeReport, now: &NodeReport) -> Self {
        let boards = |report: &NodeReport| report.boards.len();
        let same = boards(before) == boards(now)
            && before.boards.iter().zip(&now.boards).all(|(before, now)| stands(before) == stands(now))
            && before.replicas.len() == now.replicas.len()
            && before.replicas.iter().zip(&now.replicas).all(|(before, now)| answers(before) == answers(now))
            && before.advertise == now.advertise;
        if same { Self::Figures } else { Self::Change }
    }
}

/// What of a board decides on who is asked.
fn stands(board: &BoardReport) -> impl PartialEq + use<'_> {
    (&board.info.board, board.standing.band, board.standing.duty)
}

/// What of a replica does.
fn answers(replica: &ReplicaReport) -> impl PartialEq + use<'_> {
    (replica.fence, replica.phase, &replica.boards)
}
