//! `/events`: server-sent events at a steady beat, so that a buffering hop shows at once.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::Query;
use axum::response::Sse;
use axum::response::sse::Event;
use futures_util::Stream;
use futures_util::stream;
use serde::Deserialize;
use tokio::time::{self, MissedTickBehavior};

/// Time between two events.
const BEAT: Duration = Duration::from_millis(200);

/// `?count=N` ends the stream after N events; without it the stream goes on while someone listens.
#[derive(Debug, Deserialize)]
pub(super) struct Ticks {
    count: Option<u64>,
}

pub(super) async fn events(
    Query(ticks): Query<Ticks>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let mut beat = time::interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let last = ticks.count.unwrap_or(u64::MAX);
    Sse::new(stream::unfold((beat, 1_u64), move |(mut beat, number)| async move {
        if number > last {
            return None;
        }
        beat.tick().await;
        let event = Event::default().event("tick").id(number.to_string()).data(number.to_string());
        Some((Ok(event), (beat, number + 1)))
    }))
}
