//! How long to wait before the next try: first at once, then growing, capped and jittered.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// The shape of the waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffPolicy {
    /// Upper end of the first non-zero wait; each later one doubles it.
    pub first: Duration,
    /// No wait is longer.
    pub max: Duration,
}

impl BackoffPolicy {
    /// For a peer on this machine or network that is expected back within seconds.
    pub const RECONNECT: Self =
        Self { first: Duration::from_millis(50), max: Duration::from_secs(2) };
}

/// Yields the wait before each try. The first is zero: most failures are gone on the next try.
#[derive(Clone, Debug)]
pub struct Backoff {
    policy: BackoffPolicy,
    n_tries: u32,
    random: u64,
}

impl Backoff {
    /// Seeded from the process's own randomness, so that many peers do not come back in step.
    pub fn new(policy: BackoffPolicy) -> Self {
        Self::seeded(policy, RandomState::new().build_hasher().finish())
    }

    /// The same seed gives the same waits; for tests and simulations.
    pub fn seeded(policy: BackoffPolicy, seed: u64) -> Self {
        Self { policy, n_tries: 0, random: seed }
    }

    /// The wait before the next try: zero, then between half and all of `first * 2^n`, capped.
    pub fn next_wait(&mut self) -> Duration {
        let n = self.n_tries;
        self.n_tries = n.saturating_add(1);
        let Some(doublings) = n.checked_sub(1) else { return Duration::ZERO };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let full = self.policy.first.saturating_mul(factor).min(self.policy.max);
        let half = full / 2;
        half + half.mul_f64(self.next_fraction())
    }

    /// Call after a success: the next wait is zero again.
    pub fn reset(&mut self) {
        self.n_tries = 0;
    }

    /// Tries since the last success.
    pub fn n_tries(&self) -> u32 {
        self.n_tries
    }

    /// In 0..1. SplitMix64 (Steele, Lea, Flood 2014): jitter needs no better randomness.
    fn next_fraction(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        f64::from(((z ^ (z >> 31)) >> 32) as u32) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_try_is_at_once_then_waits_grow_to_the_cap() {
        let policy =
            BackoffPolicy { first: Duration::from_millis(100), max: Duration::from_secs(1) };
        let mut backoff = Backoff::seeded(policy, 7);
        assert_eq!(backoff.next_wait(), Duration::ZERO);
        for full_ms in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.next_wait();
            let full = Duration::from_millis(full_ms);
            assert!(wait >= full / 2 && wait <= full, "{wait:?} is not in half..{full:?}");
        }
        backoff.reset();
        assert_eq!(backoff.next_wait(), Duration::ZERO);
    }

    #[test]
    fn a_thousand_tries_do_not_overflow() {
        let mut backoff = Backoff::new(BackoffPolicy::RECONNECT);
        for _ in 0..1000 {
            assert!(backoff.next_wait() <= BackoffPolicy::RECONNECT.max);
        }
    }
}
