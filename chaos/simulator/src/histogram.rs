//! Times, counted in steps of one per cent: quantiles of many millions in little memory.

/// Seconds that the lowest step begins at.
const LEAST: f64 = 0.001;
/// From one step to the next.
const RATIO: f64 = 1.01;
/// Steps: up to about a quarter of an hour.
const STEPS: usize = 1400;

/// Counts of times.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: vec![0; STEPS], total: 0 }
    }
}

impl Histogram {
    pub(crate) fn add(&mut self, seconds: f64) {
        let step = libm::log(seconds.max(LEAST) / LEAST) / libm::log(RATIO);
        if let Some(count) = self.counts.get_mut((step as usize).min(STEPS - 1)) {
            *count += 1;
            self.total += 1;
        }
    }

    /// The time, in seconds, below which this share of them lies, to one per cent; none where nothing was counted. Within
    /// a step the counts are taken to lie evenly.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = share * self.total as f64;
        let mut below = 0.0;
        for (step, count) in self.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let count = *count as f64;
            if below + count >= wanted {
                let within = ((wanted - below) / count).clamp(0.0, 1.0);
                return Some(LEAST * libm::exp((step as f64 + within) * libm::log(RATIO)));
            }
            below += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_per_cent() {
        let mut times = Histogram::default();
        assert_eq!(times.quantile(0.5), None);
        (1..=10_000).for_each(|n| times.add(f64::from(n) / 1000.0));
        for share in [0.5, 0.9, 0.99] {
            let quantile = times.quantile(share).unwrap();
            assert!((quantile / (10.0 * share) - 1.0).abs() < 0.01, "{share}: {quantile}");
        }
    }
}
