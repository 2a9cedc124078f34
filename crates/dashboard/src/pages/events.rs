//! The event stream: tells an open page that something changed, and nothing of what.
//!
//! The page then asks for itself again with its own rights, so an event can leak nothing and a lost
//! event costs nothing: the script asks once after each connect.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::{Stream, StreamExt as _, stream};

use super::problem::NoPage;
use super::signed_in::SignedIn;

/// Time between two comments on a quiet stream, below the idle limits of proxies in between.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stream ends after this time and the browser opens the next: sessions that are over end here.
const STREAM_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// Browsers drop events whose data is empty (HTML standard, "dispatch the event").
const SOMETHING: &str = "{}";

pub(crate) async fn events(
    me: SignedIn,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, NoPage> {
    let changes = me.api.changes().await.map_err(|error| me.no_page(error, "event stream"))?;
    let hello = Event::default().event("hello").data(SOMETHING).retry(Duration::from_secs(2));
    let events = changes.map(|()| Ok(Event::default().event("change").data(SOMETHING)));
    let end = Box::pin(tokio::time::sleep(STREAM_LIFETIME));
    let stream = stream::once(async { Ok(hello) }).chain(events).take_until(end);
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)))
}
