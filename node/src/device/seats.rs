//! Which board a replica runs on: the one with the fewest replicas.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use helixflow_engine::Pace;
use helixflow_model::BoardId;

use super::simulated::{BoardPace, SimulatedBoard};

/// A board, and how many replicas run on it.
struct Taken {
    board: BoardId,
    /// There where the board is simulated, so that its clock sets the replica's pace.
    simulated: Option<Arc<SimulatedBoard>>,
    replicas: Arc<AtomicUsize>,
}

/// The boards of a node, as replicas are given to them.
#[derive(Default)]
pub(crate) struct Seats(Vec<Taken>);

/// A replica's place on a board, given back when it is dropped.
pub(crate) struct Seat {
    board: BoardId,
    simulated: Option<Arc<SimulatedBoard>>,
    replicas: Arc<AtomicUsize>,
}

impl Seats {
    /// Nobody runs on these boards yet; simulated ones bring their model.
    pub(crate) fn new(boards: impl IntoIterator<Item = (BoardId, Option<Arc<SimulatedBoard>>)>) -> Self {
        let taken = |(board, simulated)| Taken { board, simulated, replicas: Arc::default() };
        Self(boards.into_iter().map(taken).collect())
    }

    /// A place on the board with the fewest replicas, the first of them; none on a machine without boards.
    pub(crate) fn take(&self) -> Option<Seat> {
        let fewest = self.0.iter().min_by_key(|taken| taken.replicas.load(Ordering::Relaxed))?;
        // Two that ask at the same moment may get the same board: no harm beyond a place that is not the best.
        fewest.replicas.fetch_add(1, Ordering::Relaxed);
        Some(Seat {
            board: fewest.board.clone(),
            simulated: fewest.simulated.clone(),
            replicas: Arc::clone(&fewest.replicas),
        })
    }
}

impl Seat {
    /// The board.
    pub(crate) const fn board(&self) -> &BoardId {
        &self.board
    }

    /// What the board's clock asks of the replica; a real board asks nothing.
    pub(crate) fn pace(&self) -> Option<Box<dyn Pace>> {
        let simulated = self.simulated.as_ref()?;
        Some(Box::new(BoardPace::new(Arc::clone(simulated))))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.replicas.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_spread_over_boards_and_places_come_back() {
        let id = |number| (BoardId::new(format!("GPU-{number}")).expect("a valid name"), None);
        let seats = Seats::new([id(0), id(1)]);
        let take = || seats.take().expect("there are boards");
        let on = |seat: &Seat| seat.board().to_string();
        let (first, second, third) = (take(), take(), take());
        assert_eq!([on(&first), on(&second), on(&third)], ["GPU-0", "GPU-1", "GPU-0"]);
        assert!(first.pace().is_none(), "a real board's clock needs no help");
        drop((first, third));
        assert_eq!(on(&take()), "GPU-0");
        assert!(Seats::default().take().is_none());
    }
}
