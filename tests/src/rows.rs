//! Rows of floats of one length: activations or logits, one row a position.

/// A table of floats, row after row.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    width: usize,
    values: Vec<f32>,
}

impl Rows {
    /// `count` rows of zeros.
    #[must_use]
    pub fn zeros(count: usize, width: usize) -> Self {
        Self { width, values: vec![0.0; count * width] }
    }

    /// Rows that stand behind each other in `values`.
    #[must_use]
    pub fn new(width: usize, values: Vec<f32>) -> Self {
        assert!(values.len().is_multiple_of(width), "{} floats are no rows of {width}", values.len());
        Self { width, values }
    }

    /// Length of a row.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Number of rows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() / self.width
    }

    /// One row.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        &self.values[index * self.width..(index + 1) * self.width]
    }

    /// One row, for writing.
    pub fn row_mut(&mut self, index: usize) -> &mut [f32] {
        &mut self.values[index * self.width..(index + 1) * self.width]
    }

    /// Every row in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.width)
    }

    /// Every row in order, for writing.
    pub fn iter_mut(&mut self) -> std::slice::ChunksExactMut<'_, f32> {
        self.values.chunks_exact_mut(self.width)
    }

    /// All floats, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All floats, for writing.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}
