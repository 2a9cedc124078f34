//! A moment, cheap to keep and to compare.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What all ticks count from. Buckets begin full, so it does not matter that it is only set by the first look.
static EPOCH: OnceLock<Instant> = OnceLock::new();

/// Nanoseconds since this process first asked; good for 584 years.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tick(pub(crate) u64);

impl Tick {
    /// The moment of a reading of the clock that was taken anyway.
    #[must_use]
    pub fn of(instant: Instant) -> Self {
        let epoch = *EPOCH.get_or_init(Instant::now);
        Self::after(instant.saturating_duration_since(epoch))
    }

    /// Now.
    #[must_use]
    pub fn now() -> Self {
        Self::of(Instant::now())
    }

    /// That long after the beginning.
    #[must_use]
    pub fn after(since: Duration) -> Self {
        Self(nanoseconds(since))
    }

    /// How long from now until the first whole `step`, counted from the beginning, that is not before the end of `wait`.
    #[must_use]
    pub fn until_step(self, wait: Duration, step: Duration) -> Duration {
        let due = self.0.saturating_add(nanoseconds(wait));
        let at = due.checked_next_multiple_of(nanoseconds(step)).unwrap_or(due);
        Duration::from_nanos(at - self.0)
    }

    /// From an earlier moment to this one; zero where it is not earlier.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// As a whole number, as large as it gets.
pub(crate) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_with_the_step_that_it_falls_into() {
        let us = Duration::from_micros;
        let until = |at, wait| Tick::after(us(at)).until_step(us(wait), us(10_000));
        for (at, wait, expected) in [
            (0, 0, 0),
            (0, 1, 10_000),
            (3_000, 7_000, 7_000),
            (3_000, 7_001, 17_000),
            (20_001, 0, 9_999),
        ] {
            assert_eq!(until(at, wait), us(expected), "{wait} µs from {at} µs on");
        }
        assert_eq!(Tick::after(us(5)).until_step(us(7), Duration::ZERO), us(7));
    }
}
