//! When strangers are told: how long a refusal takes says nothing of what was found on the way to it (T14, T40).
//!
//! The records of a running service take more questions than those of a draft, and those of nothing at all the fewest.
//! Refusals leave at whole steps of time after the request came, so that all those of one step look alike.

use std::time::{Duration, Instant};

/// Some times what the records take to answer, and not long for somebody who mistyped an address.
const STEP: Duration = Duration::from_millis(20);

/// Waits for the next whole step after `begun`.
pub(crate) async fn next(begun: Instant) {
    let at = begun + end_of_step(begun.elapsed());
    tokio::time::sleep_until(at.into()).await;
}

fn end_of_step(elapsed: Duration) -> Duration {
    let n_over = elapsed.as_micros() / STEP.as_micros();
    STEP.saturating_mul(u32::try_from(n_over).unwrap_or(u32::MAX).saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_within_a_step_ends_with_it() {
        for (elapsed_us, step) in
            [(0, 1), (1, 1), (19_999, 1), (20_000, 2), (39_999, 2), (50_000, 3)]
        {
            assert_eq!(
                end_of_step(Duration::from_micros(elapsed_us)),
                STEP * step,
                "{elapsed_us} us"
            );
        }
        assert!(end_of_step(Duration::MAX) >= STEP * u32::MAX);
    }
}
