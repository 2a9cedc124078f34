//! How soon a loop that looks at everything after each event may look again.

use std::time::Duration;

use tokio::time::Instant;

/// Rest for each moment of looking: a fifth of one processor at the most, however fast events come.
const REST_FACTOR: u32 = 4;

/// No rest is longer: an event is acted upon within this and one look.
const REST_MAX: Duration = Duration::from_secs(1);

/// One look of a level-triggered loop. The first event after a quiet time is looked at at once; a burst of them is
/// looked at together.
///
/// ```
/// # async fn next_event() {}
/// # async fn look() {}
/// # async fn example() -> ! {
/// loop {
///     let pace = lifecycle::Pace::begin();
///     look().await;
///     let rest = pace.rest();
///     next_event().await;
///     rest.over().await;
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Pace {
    began: Instant,
}

/// What is left of the time in which not to look again.
#[derive(Debug)]
pub struct Rest {
    until: Instant,
}

impl Pace {
    /// A look begins now.
    pub fn begin() -> Self {
        Self { began: Instant::now() }
    }

    /// The look is over.
    pub fn rest(self) -> Rest {
        let now = Instant::now();
        let took = now.saturating_duration_since(self.began);
        Rest { until: now + took.saturating_mul(REST_FACTOR).min(REST_MAX) }
    }
}

impl Rest {
    /// Waits until the next look may begin; at once where events are rarer than looks are long.
    pub async fn over(self) {
        tokio::time::sleep_until(self.until).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn waited(look: Duration, event: Duration) -> Duration {
        let pace = Pace::begin();
        tokio::time::advance(look).await;
        let rest = pace.rest();
        tokio::time::advance(event).await;
        let before = Instant::now();
        rest.over().await;
        before.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn rare_events_wait_for_nothing_and_a_burst_waits_a_bounded_time() {
        let ms = Duration::from_millis;
        assert_eq!(waited(ms(10), ms(100)).await, ms(0));
        assert_eq!(waited(ms(10), ms(0)).await, ms(40));
        assert_eq!(waited(ms(10), ms(15)).await, ms(25));
        assert_eq!(waited(ms(9000), ms(0)).await, REST_MAX);
    }
}
