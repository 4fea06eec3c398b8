//! One step of a batch: what it computes, how long that takes at the highest clock, and how much of it waits for memory.

/// How long steps take at the highest clock, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct StepTime {
    /// By the number of sequences that generate; the first is the cost of a step that only computes prompts. Straight on
    /// beyond the last.
    pub generating: Vec<f64>,
    /// How much of that waits for memory: the time to read the weights once.
    pub weights: f64,
    /// Each row of a prompt.
    pub prompt_row: f64,
    /// Each position that a row of a prompt attends to.
    pub prompt_position: f64,
    /// Each position that a sequence which generates attends to: all of it waits for memory.
    pub context_position: f64,
}

impl StepTime {
    /// A step of `base` seconds and `row` more for each sequence, up to `sequences` of them.
    pub fn linear(base: f64, row: f64, sequences: usize) -> Vec<f64> {
        (0..=sequences).map(|rows| base + row * rows as f64).collect()
    }

    fn of_generating(&self, rows: usize) -> f64 {
        let last = self.generating.len().saturating_sub(1);
        let known = self.generating.get(rows.min(last)).copied().unwrap_or_default();
        let slope = match self.generating.as_slice() {
            [.., one, other] if rows > last => other - one,
            _ => 0.0,
        };
        known + slope * rows.saturating_sub(last) as f64
    }

    /// Prompt rows from a position on.
    fn of_prompt(&self, from: u32, rows: u32) -> f64 {
        let (from, rows) = (f64::from(from), f64::from(rows));
        rows * (self.prompt_row + self.prompt_position * (from + (rows + 1.0) / 2.0))
    }
}

/// A step under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// Seconds that it still takes at the highest clock.
    pub(super) left: f64,
    /// Whether nothing of it is done.
    pub(super) fresh: bool,
    /// Rows of prompts in it.
    pub(super) prompt_rows: u32,
    /// Share of it in which the compute units wait for memory.
    pub(super) waits: f64,
}

impl Step {
    /// A step of `generating` sequences that attend to `context` positions, and at most `room` rows of the prompts, each
    /// given by what is computed of it and what is not.
    pub(super) fn plan(
        time: &StepTime,
        generating: usize,
        context: u64,
        room: usize,
        prompts: impl Iterator<Item = (u32, u32)>,
    ) -> Option<Self> {
        let (mut left, mut prompt_rows, mut prompting) = (u32::try_from(room).unwrap_or(u32::MAX), 0, 0.0);
        for (computed, wanted) in prompts {
            let rows = wanted.min(left);
            if rows == 0 {
                break;
            }
            left -= rows;
            prompt_rows += rows;
            prompting += time.of_prompt(computed, rows);
        }
        if generating == 0 && prompt_rows == 0 {
            return None;
        }
        let attending = time.context_position * context as f64;
        let whole = time.of_generating(generating) + attending + prompting;
        let waits = if whole > 0.0 { (time.weights + attending).min(whole) / whole } else { 0.0 };
        Some(Self { left: whole, fresh: true, prompt_rows, waits })
    }

    /// The time of `steps` steps like this one, each longer than the last by `grows`.
    pub(super) fn time_of(&self, steps: u64, grows: f64) -> f64 {
        let steps = steps as f64;
        steps * self.left + grows * steps * (steps - 1.0) / 2.0
    }

    /// How many steps like this one end within `work` seconds.
    pub(super) fn alike_within(&self, work: f64, grows: f64) -> u64 {
        let half = grows / 2.0;
        let first = self.left - half;
        // The larger root of half·n² + first·n = work, in the form that does not cancel for small `half`.
        let root = (first * first + 4.0 * half * work).sqrt();
        let steps = 2.0 * work / (first + root);
        if steps.is_finite() { steps as u64 } else { 0 }
    }
}
