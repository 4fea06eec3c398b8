//! Metrics of a process, read from its HTTP port as Prometheus reads them.

use anyhow::{Result, ensure};

use crate::http::get;

/// The text of `/metrics` at `host:port`.
///
/// # Errors
/// When the process does not answer.
pub fn metrics(address: &str) -> Result<String> {
    let (code, text) = get(address, "/metrics")?;
    ensure!(code == 200, "{address} answered {code}: {text}");
    Ok(text)
}

/// The sum of a metric over its labels; 0 when it was never recorded.
#[must_use]
pub fn total(metrics: &str, name: &str) -> f64 {
    let value = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let of_that_name =
            series.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'));
        of_that_name.then(|| value.parse::<f64>().ok())?
    };
    // An empty sum of floats is -0.
    metrics.lines().filter_map(value).fold(0.0, |sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_summed_over_its_labels_and_told_from_its_namesakes() {
        let text = "# TYPE votes counter\nvotes{a=\"1\"} 2\nvotes{a=\"2\"} 3\nvotes_total 9\n";
        assert_eq!((total(text, "votes"), total(text, "votes_total"), total(text, "none")), (5.0, 9.0, 0.0));
    }
}
