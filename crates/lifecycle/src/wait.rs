//! Waiting for a condition that has no event of its own, always with a bound.

use std::time::Duration;

use tokio::time::Instant;

/// Polls start this close together and spread out to [`POLL_MAX`].
const POLL_MIN: Duration = Duration::from_millis(1);
/// Late enough to cost nothing, early enough that nobody notices.
const POLL_MAX: Duration = Duration::from_millis(50);

/// The condition did not come true in time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("waited {bound:?} in vain for {what}")]
pub struct TimedOut {
    /// The condition in words, as given by the caller.
    pub what: String,
    /// How long was waited.
    pub bound: Duration,
}

/// Asks `condition` until it gives a value, for at most `bound`; it is asked at least once.
///
/// The bound also cuts off an answer that hangs. Cancel-safe if the condition is.
pub async fn wait_for<T, F, A>(what: &str, bound: Duration, mut condition: F) -> Result<T, TimedOut>
where
    F: FnMut() -> A,
    A: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + bound;
    let mut pause = POLL_MIN;
    let poll = async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(POLL_MAX);
        }
    };
    tokio::time::timeout_at(deadline, poll)
        .await
        .map_err(|_elapsed| TimedOut { what: what.to_owned(), bound })
}

/// As [`wait_for`], for a condition that is answered at once.
pub async fn wait_until(
    what: &str,
    bound: Duration,
    mut condition: impl FnMut() -> bool,
) -> Result<(), TimedOut> {
    wait_for(what, bound, || std::future::ready(condition().then_some(()))).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_that_comes_true_is_noticed() {
        let mut n = 0;
        let counted = wait_until("the tenth look", Duration::from_secs(1), || {
            n += 1;
            n == 10
        });
        assert_eq!(counted.await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_error_says_what_was_waited_for() {
        let error = wait_until("the moon", Duration::from_secs(1), || false).await.unwrap_err();
        assert_eq!(error.to_string(), "waited 1s in vain for the moon");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_hangs_is_cut_off() {
        let hang = || std::future::pending::<Option<()>>();
        assert!(wait_for("x", Duration::from_secs(1), hang).await.is_err());
    }
}
