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
use model::Timestamp;
use serde_json::json;
use store::{Change, ChangeKind, Changes, Notice};

use crate::call::Call;
use crate::caller::Caller;
use crate::router::Api;

/// How often a silent stream shows that it lives, so that no proxy on the way closes it.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Longest wait until the token's expiry is looked at again.
const EXPIRY_CHECK_MAX: Duration = Duration::from_secs(60);

pub(crate) async fn events(State(api): State<Api>, call: Call) -> Response {
    // Listening starts before the answer does: nothing between is missed.
    let listener = Listener { changes: api.store().changes(), caller: call.caller, api };
    let events = stream::unfold(listener, |mut listener| async move {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(events).keep_alive(keep_alive).into_response()
}

struct Listener {
    changes: Changes,
    caller: Caller,
    api: Api,
}

impl Listener {
    /// The next event for this caller; none once the token does not hold any more.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let wait = tokio::time::timeout(self.until_expiry()?, self.changes.next());
            let Ok(notice) = wait.await else { continue };
            match notice? {
                Notice::Everything => {
                    self.refresh().await?;
                    return Some(Event::default().event("everything").data("{}"));
                }
                Notice::Changed(change) => {
                    if self.is_about_caller(&change) {
                        self.refresh().await?;
                    }
                    // Unknown is not heard: the next look finds what changed.
                    let reader = self.caller.reader();
                    if self.api.store().may_hear(&change, &reader).await.unwrap_or(false) {
                        let data = json!({ "kind": change.kind.as_str(), "uuid": change.uuid });
                        return Some(Event::default().event("change").data(data.to_string()));
                    }
                }
            }
        }
    }

    /// How long the token holds for certain; none once it does not.
    fn until_expiry(&self) -> Option<Duration> {
        let Some(at) = self.caller.token.expires_at else { return Some(EXPIRY_CHECK_MAX) };
        let now: Timestamp = self.api.store().now();
        let left = Duration::try_from(at.as_jiff().duration_since(now.as_jiff())).ok()?;
        (!left.is_zero()).then(|| left.min(EXPIRY_CHECK_MAX))
    }

    fn is_about_caller(&self, change: &Change) -> bool {
        match change.kind {
            ChangeKind::User => change.uuid == self.caller.user.uuid.as_str(),
            ChangeKind::Token => change.uuid == self.caller.token.uuid.as_str(),
            ChangeKind::Request
            | ChangeKind::Container
            | ChangeKind::Link
            | ChangeKind::Group
            | ChangeKind::Collection => false,
        }
    }

    /// Looks again at who the caller is.
    async fn refresh(&mut self) -> Option<()> {
        let identity = self.api.store().token_by_uuid(self.caller.token.uuid).await.ok()??;
        (self.caller.user, self.caller.token) = (identity.user, identity.token);
        Some(())
    }
}
