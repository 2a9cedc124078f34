//! Waiting for something to become true of the records: look, then sleep until told or until a
//! period is over, then look again.

use std::time::Duration;

use client::{Client, ClientError, EventStream};
use futures_util::StreamExt;
use lifecycle::{Backoff, BackoffPolicy};
use tokio::time::{Instant, sleep, timeout};

/// An event may be lost; looking again this often costs nothing.
const LOOK_PERIOD: Duration = Duration::from_secs(2);
/// A controller that restarts is back by then; services live on meanwhile, so do our waits.
const OUTAGE_MAX: Duration = Duration::from_secs(30);
/// Tries while the controller is away.
const RETRY: BackoffPolicy =
    BackoffPolicy { first: Duration::from_millis(100), max: Duration::from_secs(2) };

/// Looks until `look` gives a value; `None` when `bound` is over first.
pub(crate) async fn until<T>(
    client: &Client,
    bound: Duration,
    look: impl AsyncFnMut() -> Result<Option<T>, ClientError>,
) -> Result<Option<T>, ClientError> {
    timeout(bound, forever(client, look)).await.ok().transpose()
}

/// Looks until `look` gives a value, however long that takes: for what a person waits for and can
/// interrupt.
///
/// Errors that may pass (the controller restarts) are waited out for [`OUTAGE_MAX`].
pub(crate) async fn forever<T>(
    client: &Client,
    mut look: impl AsyncFnMut() -> Result<Option<T>, ClientError>,
) -> Result<T, ClientError> {
    let mut feed = Feed { client, events: None };
    let mut outage = Outage::default();
    loop {
        match look().await {
            Ok(Some(value)) => return Ok(value),
            Ok(None) => outage = Outage::default(),
            Err(error) if error.is_retryable() => outage.wait(error).await?,
            Err(error) => return Err(error),
        }
        feed.next_change().await;
    }
}

/// Calls once, and again while the controller is away for no longer than [`OUTAGE_MAX`].
pub(crate) async fn patiently<T>(
    mut call: impl AsyncFnMut() -> Result<T, ClientError>,
) -> Result<T, ClientError> {
    let mut outage = Outage::default();
    loop {
        match call().await {
            Err(error) if error.is_retryable() => outage.wait(error).await?,
            ended => return ended,
        }
    }
}

/// A time during which nothing works.
#[derive(Default)]
struct Outage {
    state: Option<(Instant, Backoff)>,
}

impl Outage {
    /// Waits before the next try, or gives the error back when the outage is too long.
    async fn wait(&mut self, error: ClientError) -> Result<(), ClientError> {
        let (since, backoff) =
            self.state.get_or_insert_with(|| (Instant::now(), Backoff::new(RETRY)));
        if since.elapsed() > OUTAGE_MAX {
            return Err(error);
        }
        sleep(backoff.next_wait()).await;
        Ok(())
    }
}

/// The event feed, opened on first use and again when it broke; without it, the period does.
struct Feed<'c> {
    client: &'c Client,
    events: Option<EventStream>,
}

impl Feed<'_> {
    /// Returns when something changed, or the period is over. A feed that was only just opened
    /// counts as a change: what happened before it was open would be missed.
    async fn next_change(&mut self) {
        let change = async {
            let Some(events) = &mut self.events else {
                match self.client.events().await {
                    Ok(events) => self.events = Some(events),
                    Err(_not_now) => std::future::pending().await,
                }
                return;
            };
            if !matches!(events.next().await, Some(Ok(_))) {
                self.events = None;
                std::future::pending().await
            }
        };
        // Cancel-safe: a change that is lost here is seen by the look that follows at once.
        let _either = timeout(LOOK_PERIOD, change).await;
    }
}
