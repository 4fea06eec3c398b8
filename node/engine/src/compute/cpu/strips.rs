//! Rows of floats spread over the threads: each thread owns, and alone writes, a strip of the columns.
//!
//! A thread writes its strip in one phase; all read it in a later one. A barrier lies between, so the locks are always
//! free: they are there to prove it. One that is taken means a broken program, which ends the team instead of computing
//! with half-written rows.

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::barrier::Lost;
use super::team::share;

/// A lock that must be free for writing.
pub(super) fn write<T>(lock: &RwLock<T>) -> Result<RwLockWriteGuard<'_, T>, Lost> {
    lock.try_write().ok_or(Lost)
}

/// A lock that must be free for reading.
pub(super) fn read<T>(lock: &RwLock<T>) -> Result<RwLockReadGuard<'_, T>, Lost> {
    lock.try_read().ok_or(Lost)
}

/// One thread's columns of every row, row after row. Only ever grows, so steps of equal size allocate nothing.
#[derive(Default)]
struct Strip {
    columns: std::ops::Range<usize>,
    values: Vec<f32>,
}

/// A matrix of activations in strips.
pub(super) struct Strips {
    width: usize,
    strips: Vec<RwLock<Strip>>,
}

/// The strip of one thread, for writing.
pub(super) struct OwnStrip<'a>(RwLockWriteGuard<'a, Strip>);

impl Strips {
    /// `units` units of `unit` columns each, divided among `threads`.
    pub(super) fn new(units: usize, unit: usize, threads: usize) -> Self {
        let strip = |thread| {
            let share = share(units, thread, threads);
            RwLock::new(Strip { columns: share.start * unit..share.end * unit, values: Vec::new() })
        };
        Self { width: units * unit, strips: (0..threads).map(strip).collect() }
    }

    /// Columns in all.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The strip of a thread, with room for `rows` rows.
    pub(super) fn own(&self, thread: usize, rows: usize) -> Result<OwnStrip<'_>, Lost> {
        let mut strip = write(self.strips.get(thread).ok_or(Lost)?)?;
        let needed = rows * strip.columns.len();
        if strip.values.len() < needed {
            strip.values.resize(needed, 0.0);
        }
        Ok(OwnStrip(strip))
    }

    /// Copies the columns from `start` on of one row, as many as `out` holds.
    pub(super) fn gather(&self, row: usize, start: usize, out: &mut [f32]) -> Result<(), Lost> {
        let end = start + out.len();
        for strip in &self.strips {
            let strip = read(strip)?;
            let columns = strip.columns.start.max(start)..strip.columns.end.min(end);
            if columns.is_empty() {
                continue;
            }
            let at = row * strip.columns.len() + columns.start - strip.columns.start;
            let values = &strip.values[at..at + columns.len()];
            out[columns.start - start..columns.end - start].copy_from_slice(values);
        }
        Ok(())
    }
}

impl OwnStrip<'_> {
    /// The columns of this strip.
    pub(super) fn columns(&self) -> std::ops::Range<usize> {
        self.0.columns.clone()
    }

    /// The values, `columns().len()` to a row.
    pub(super) fn values(&mut self) -> &mut [f32] {
        &mut self.0.values
    }

    /// Moves the rows in `kept`, which ascend, to the front.
    pub(super) fn keep(&mut self, kept: &[usize]) {
        let length = self.0.columns.len();
        for (to, &from) in kept.iter().enumerate() {
            self.0.values.copy_within(from * length..(from + 1) * length, to * length);
        }
    }

    /// This strip's part of one row.
    pub(super) fn row(&mut self, row: usize) -> &mut [f32] {
        let length = self.0.columns.len();
        &mut self.0.values[row * length..(row + 1) * length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_threads_write_into_their_strips_is_gathered_as_whole_rows() {
        let strips = Strips::new(5, 2, 3);
        for thread in 0..3 {
            let mut own = strips.own(thread, 2).unwrap();
            let columns = own.columns();
            for row in 0..2 {
                for (value, column) in own.row(row).iter_mut().zip(columns.clone()) {
                    *value = (100 * row + column) as f32;
                }
            }
        }
        let mut out = [0.0; 7];
        strips.gather(1, 2, &mut out).unwrap();
        assert_eq!(out, [102.0, 103.0, 104.0, 105.0, 106.0, 107.0, 108.0]);
    }

    #[test]
    fn the_rows_that_are_kept_move_to_the_front() {
        let strips = Strips::new(1, 2, 1);
        let mut own = strips.own(0, 4).unwrap();
        own.values().copy_from_slice(&[0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]);
        own.keep(&[1, 3]);
        assert_eq!(own.values()[..4], [1.0, 1.5, 3.0, 3.5]);
    }

    #[test]
    fn reading_a_strip_that_is_being_written_loses_the_team() {
        let strips = Strips::new(2, 1, 2);
        let own = strips.own(0, 1).unwrap();
        assert_eq!(strips.gather(0, 0, &mut [0.0; 2]), Err(Lost));
        drop(own);
        strips.own(1, 1).unwrap();
        assert_eq!(strips.gather(0, 0, &mut [0.0; 2]), Ok(()));
    }
}
