//! Log lines that somebody else can cause: so many a second for each reason, and a count of those left out.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::bucket::{Bucket, Rate};
use crate::tick::Tick;

/// One bucket for each of `N` reasons.
#[derive(Debug)]
pub struct Lines<const N: usize> {
    rate: Rate,
    reasons: [Reason; N],
}

#[derive(Debug, Default)]
struct Reason {
    bucket: Bucket,
    n_left_out: AtomicU64,
}

impl<const N: usize> Lines<N> {
    /// At most this many of each reason.
    #[must_use]
    pub fn new(rate: Rate) -> Self {
        Self { rate, reasons: std::array::from_fn(|_| Reason::default()) }
    }

    /// Whether a line of the reason with this number may be written now; one that may not is counted. There are none
    /// beyond the last.
    pub fn may_write(&self, reason: usize, now: Tick) -> bool {
        let Some(reason) = self.reasons.get(reason) else { return false };
        let may = reason.bucket.take(self.rate, now).is_ok();
        if !may {
            reason.n_left_out.fetch_add(1, Ordering::Relaxed);
        }
        may
    }

    /// Numbers of the reasons of which lines were left out since the last time, with how many. To be told every now
    /// and then.
    pub fn take_left_out(&self) -> impl Iterator<Item = (usize, u64)> {
        let counts = self.reasons.iter().map(|reason| reason.n_left_out.swap(0, Ordering::Relaxed));
        counts.enumerate().filter(|(_, n)| *n > 0)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn t42_a_flood_writes_few_lines_and_the_others_are_counted() {
        let lines = Lines::<2>::new(Rate::per_second(2, Duration::from_secs(1)));
        let n_written = |reason, ms| {
            let now = Tick::after(Duration::from_millis(ms));
            (0..1000).filter(|_| lines.may_write(reason, now)).count()
        };
        assert_eq!(n_written(0, 0), 2);
        assert_eq!(n_written(1, 0), 2, "reasons are apart");
        assert_eq!(n_written(0, 500), 1);
        assert_eq!(lines.take_left_out().collect::<Vec<_>>(), [(0, 1997), (1, 998)]);
        assert_eq!(lines.take_left_out().count(), 0);
        assert_eq!(n_written(7, 500), 0);
    }
}
