//! A token bucket in one number.
//!
//! Kept as the moment at which the bucket will be full again (the "theoretical arrival time" of GCRA, ITU-T I.371): each
//! token taken moves it one interval on, and there is none left where it lies a whole burst ahead. So a bucket needs no
//! refilling, one that nobody asks costs nothing, and idle ones can be told from their number alone.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::tick::{Tick, nanoseconds};

/// How many tokens a second, and how many at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Nanoseconds for one token; 0 means that there is no limit.
    interval: u64,
    /// Nanoseconds for a burst of them.
    burst: u64,
}

impl Rate {
    /// Without a limit.
    pub const ENDLESS: Self = Self { interval: 0, burst: u64::MAX };

    /// `per_second` tokens, of which those of `burst` may come at once, but at least one; 0 is no limit.
    #[must_use]
    pub fn per_second(per_second: u32, burst: Duration) -> Self {
        if per_second == 0 {
            return Self::ENDLESS;
        }
        let interval = 1_000_000_000 / u64::from(per_second);
        Self { interval, burst: nanoseconds(burst).max(interval) }
    }

    /// One token in each `interval`, of which those of `burst` may come at once, but at least one.
    #[must_use]
    pub fn one_every(interval: Duration, burst: Duration) -> Self {
        let interval = nanoseconds(interval);
        Self { interval, burst: nanoseconds(burst).max(interval) }
    }
}

/// What is left of a rate. One that was never asked is full.
///
/// Two threads that take at the very same time may both get the last token: a limit of this kind is worth no lock.
#[derive(Debug, Default)]
pub struct Bucket {
    /// When it is full again.
    full_at: AtomicU64,
}

impl Bucket {
    /// Takes a token.
    ///
    /// # Errors
    /// Where there is none, with the time until there is one.
    pub fn take(&self, rate: Rate, now: Tick) -> Result<(), Duration> {
        self.take_within(rate, now, Duration::ZERO).map(|_no_wait| ())
    }

    /// Takes a token, or the next one that nobody has, if it comes within `longest`; answers the time until then. Those
    /// who wait are served one interval after another.
    ///
    /// # Errors
    /// Where more than that are waited for, with the time until that one comes.
    pub fn take_within(
        &self,
        rate: Rate,
        now: Tick,
        longest: Duration,
    ) -> Result<Duration, Duration> {
        let full_at = self.full_at.load(Ordering::Relaxed).max(now.0).saturating_add(rate.interval);
        let wait = Duration::from_nanos((full_at - now.0).saturating_sub(rate.burst));
        if wait > longest {
            return Err(wait);
        }
        self.full_at.store(full_at, Ordering::Relaxed);
        Ok(wait)
    }

    /// Whether nothing of it is missing, so that a new one would say the same.
    #[must_use]
    pub fn is_full(&self, now: Tick) -> bool {
        self.full_at.load(Ordering::Relaxed) <= now.0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at_ms(ms: u64) -> Tick {
        Tick::after(Duration::from_millis(ms))
    }

    #[test]
    fn a_burst_comes_at_once_and_then_the_rate() {
        let rate = Rate::per_second(10, Duration::from_millis(500));
        let bucket = Bucket::default();
        for n in 0..5 {
            assert_eq!(bucket.take(rate, at_ms(1000)), Ok(()), "{n}");
        }
        assert_eq!(bucket.take(rate, at_ms(1000)), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(rate, at_ms(1060)), Err(Duration::from_millis(40)));
        assert_eq!(bucket.take(rate, at_ms(1100)), Ok(()));
        assert!(!bucket.is_full(at_ms(1599)) && bucket.is_full(at_ms(1600)));
    }

    #[test]
    fn those_who_wait_are_served_one_after_another_and_only_so_many_wait() {
        let (rate, ms) = (Rate::per_second(10, Duration::from_millis(100)), Duration::from_millis);
        let bucket = Bucket::default();
        let take = |at| bucket.take_within(rate, at_ms(at), ms(250));
        assert_eq!([take(1000), take(1000), take(1000)], [Ok(ms(0)), Ok(ms(100)), Ok(ms(200))]);
        assert_eq!(take(1000), Err(ms(300)));
        assert_eq!([take(1050), take(1050)], [Ok(ms(250)), Err(ms(350))]);
    }

    #[test]
    fn none_means_no_limit_and_the_slowest_rate_still_gives_one() {
        let endless = Bucket::default();
        assert!(
            (0..1000).all(|_| endless.take(Rate::per_second(0, Duration::ZERO), at_ms(1)).is_ok())
        );
        let slow = Rate::per_second(1, Duration::ZERO);
        let bucket = Bucket::default();
        assert_eq!(bucket.take(slow, at_ms(0)), Ok(()));
        assert_eq!(bucket.take(slow, at_ms(0)), Err(Duration::from_secs(1)));
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_gives_nothing() {
        let rate = Rate::per_second(1, Duration::from_secs(1));
        let bucket = Bucket::default();
        assert_eq!(bucket.take(rate, at_ms(5000)), Ok(()));
        assert!(bucket.take(rate, at_ms(5000)).is_err() && bucket.take(rate, at_ms(3000)).is_err());
    }

    proptest! {
        /// Over any period no more is given than the rate times the period, and a burst; and who waits as told gets one.
        #[test]
        fn no_more_is_given_than_the_rate_and_a_burst(
            per_second in 1_u32..5000,
            burst_ms in 0_u64..5000,
            pauses_ms in proptest::collection::vec(0_u64..50, 1..500),
        ) {
            let rate = Rate::per_second(per_second, Duration::from_millis(burst_ms));
            let bucket = Bucket::default();
            let (mut now, mut n_given) = (10_000, 0_u64);
            for pause in &pauses_ms {
                now += pause;
                match bucket.take(rate, at_ms(now)) {
                    Ok(()) => n_given += 1,
                    Err(wait) => {
                        let then = Tick(at_ms(now).0 + nanoseconds(wait));
                        let full_at = bucket.full_at.load(Ordering::Relaxed).into();
                        let same = Bucket { full_at };
                        prop_assert!(same.take(rate, then).is_ok());
                    }
                }
            }
            let period_ms = now - 10_000 + burst_ms.max(1000 / u64::from(per_second) + 1);
            // The interval is rounded down to whole nanoseconds, which is less than a token in ten minutes.
            prop_assert!(n_given <= period_ms * u64::from(per_second) / 1000 + 1, "{n_given}");
        }
    }
}
