//! Calls that are tried again while the instance is busy or away.

use std::time::Duration;

use client::ClientError;
use lifecycle::{Backoff, BackoffPolicy};
use tokio::time::{Instant, sleep};

/// A controller that restarts is back by then, and one that is busy has worked off what was there before.
const OUTAGE_MAX: Duration = Duration::from_secs(60);
/// Tries meanwhile.
const RETRY: BackoffPolicy =
    BackoffPolicy { first: Duration::from_millis(100), max: Duration::from_secs(2) };

/// Calls until it is done, or fails for good. A call whose answer was lost may be done twice: what comes of that ends with
/// its lease.
pub(super) async fn patiently<T>(
    mut call: impl AsyncFnMut() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let (since, mut backoff) = (Instant::now(), Backoff::new(RETRY));
    loop {
        match call().await {
            Err(error) if error.is_retryable() && since.elapsed() < OUTAGE_MAX => {
                sleep(backoff.next_wait()).await;
            }
            ended => return ended,
        }
    }
}
