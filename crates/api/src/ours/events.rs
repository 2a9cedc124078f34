//! `GET events`: changes as server-sent events, those the caller may know of.
//!
//! Each says what to look at again: `event: change`, `data: {"kind": "container", "uuid": …}`.
//! `event: everything` means that this listener fell behind. The stream ends when the token does.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use http::Uri;
use serde_json::json;
use store::{ChangeKind, Notice};

use crate::call::Call;
use crate::caller_watch::{CallerWatch, Heard};
use crate::router::Api;

/// How often a silent stream shows that it lives, so that no proxy on the way closes it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

pub(crate) async fn events(State(api): State<Api>, uri: Uri, call: Call) -> Response {
    // Listening starts before the answer does: nothing between is missed.
    let watch = CallerWatch::new(api, call.caller, uri.path());
    let events = stream::unfold(watch, |mut watch| async move {
        let event = next(&mut watch).await?;
        Some((Ok::<_, Infallible>(event), watch))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(events).keep_alive(keep_alive).into_response()
}

/// The next event for this caller; none once the token does not hold any more.
async fn next(watch: &mut CallerWatch) -> Option<Event> {
    loop {
        let notice = match watch.hear().await {
            Heard::Notice(notice) => notice,
            Heard::Silence => continue,
            Heard::Over => return None,
        };
        watch.check(&notice).await?;
        let change = match notice {
            Notice::Everything => return Some(Event::default().event("everything").data("{}")),
            Notice::Changed(change) => change,
        };
        // What users log is in the log, and nothing to look at again.
        if change.kind != ChangeKind::Log && watch.may_hear(&change).await {
            let data = json!({ "kind": change.kind.as_str(), "uuid": change.uuid });
            return Some(Event::default().event("change").data(data.to_string()));
        }
    }
}
