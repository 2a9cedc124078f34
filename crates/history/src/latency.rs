//! Times by size: fixed buckets to count in, and what share of times was below what.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the buckets, in microseconds; one more bucket holds what took longer.
pub const BOUNDS_US: [u64; 14] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000, 10_000_000, 30_000_000,
];

/// Buckets, with that one.
pub const N_BUCKETS: usize = BOUNDS_US.len() + 1;

/// The bucket that a time is counted in: the first whose bound is not below it.
pub fn bucket_of(time_us: u64) -> usize {
    BOUNDS_US.partition_point(|bound| *bound < time_us)
}

/// Times, counted by size; may be shared. Counts are relaxed: they are read apart from each other.
#[derive(Debug, Default)]
pub struct Times {
    buckets: [AtomicU64; N_BUCKETS],
    sum_us: AtomicU64,
}

/// What was counted since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimesCounted {
    /// By [`BOUNDS_US`].
    pub buckets: [u64; N_BUCKETS],
    /// All of them together, in microseconds.
    pub sum_us: u64,
}

impl Times {
    /// Counts one.
    pub fn add(&self, time: Duration) {
        let time_us = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.buckets[bucket_of(time_us)].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(time_us, Ordering::Relaxed);
    }

    /// Counts what another one counted.
    pub fn take_up(&self, other: &TimesCounted) {
        for (to, from) in self.buckets.iter().zip(other.buckets) {
            to.fetch_add(from, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(other.sum_us, Ordering::Relaxed);
    }

    /// What was counted.
    pub fn get(&self) -> TimesCounted {
        let buckets = std::array::from_fn(|bucket| self.buckets[bucket].load(Ordering::Relaxed));
        TimesCounted { buckets, sum_us: self.sum_us.load(Ordering::Relaxed) }
    }
}

/// The time, in microseconds, that a share of all times (0.95: all but a twentieth) did not exceed; none where none
/// were counted.
///
/// Within a bucket times are taken as evenly spread, as Prometheus does (`histogram_quantile`). What lies beyond the
/// last bound is told as that bound.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "times below a minute, in microseconds; never negative"
)]
pub fn quantile_us(counts: &[u64; N_BUCKETS], share: f64) -> Option<u64> {
    let n_all: u64 = counts.iter().sum();
    if n_all == 0 {
        return None;
    }
    let rank = share.clamp(0.0, 1.0) * n_all as f64;
    let mut n_below = 0;
    for (bucket, n) in counts.iter().enumerate() {
        if *n > 0 && (n_below + n) as f64 >= rank {
            let lower = bucket.checked_sub(1).map_or(0, |before| BOUNDS_US[before]);
            let Some(upper) = BOUNDS_US.get(bucket) else { return Some(lower) };
            let part = ((rank - n_below as f64) / *n as f64).clamp(0.0, 1.0);
            return Some(lower + ((upper - lower) as f64 * part) as u64);
        }
        n_below += n;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_the_first_bucket_that_holds_it() {
        for (time, bucket) in [(0, 0), (1_000, 0), (1_001, 1), (30_000_000, 13), (30_000_001, 14)] {
            assert_eq!(bucket_of(time), bucket, "{time}");
        }
    }

    #[test]
    fn quantiles_are_those_of_the_counts() {
        let counts = |some: &[(usize, u64)]| {
            let mut counts = [0; N_BUCKETS];
            for (bucket, n) in some {
                counts[*bucket] = *n;
            }
            counts
        };
        for (some, share, expected) in [
            (&[][..], 0.5, None),
            (&[(0, 10)], 0.5, Some(500)),
            (&[(0, 10)], 1.0, Some(1_000)),
            // Half below 1 ms, half between 5 and 10 ms.
            (&[(0, 50), (3, 50)], 0.5, Some(1_000)),
            (&[(0, 50), (3, 50)], 0.75, Some(7_500)),
            (&[(0, 95), (9, 5)], 0.95, Some(1_000)),
            (&[(0, 90), (9, 10)], 0.95, Some(750_000)),
            (&[(14, 3)], 0.5, Some(30_000_000)),
        ] {
            assert_eq!(quantile_us(&counts(some), share), expected, "{some:?} {share}");
        }
    }
}
