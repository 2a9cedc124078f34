//! Percentiles of many short times.

use serde_json::{Value, json};

/// Times in nanoseconds, each kept: a second of load has some ten thousand.
#[derive(Debug, Default)]
pub(crate) struct Durations(Vec<u64>);

impl Durations {
    pub(crate) fn add(&mut self, nanoseconds: u64) {
        self.0.push(nanoseconds);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn n(&self) -> usize {
        self.0.len()
    }

    /// `{"p50_us": …, "p99_us": …, "max_us": …}`; nulls where nothing was measured.
    pub(crate) fn summary(mut self) -> Value {
        self.0.sort_unstable();
        json!({
            "p50_us": self.at(50),
            "p99_us": self.at(99),
            "max_us": self.at(100),
        })
    }

    /// The nearest-rank percentile, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "hours in nanoseconds fit")]
    fn at(&self, percent: usize) -> Option<f64> {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).map(|nanoseconds| *nanoseconds as f64 / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let mut durations = Durations::default();
        (1..=200).rev().for_each(|us| durations.add(us * 1000));
        assert_eq!(durations.summary(), json!({"p50_us": 100.0, "p99_us": 198.0, "max_us": 200.0}));
        assert!(Durations::default().summary()["p50_us"].is_null());
    }
}
