//! Changes as they happen, for a caller whose stream ends when their token does.

use std::time::Duration;

use http::Method;
use model::Timestamp;
use store::{Change, ChangeKind, Changes, Notice};

use crate::caller::{Caller, is_in_scope};
use crate::router::Api;

/// Longest wait until the token's expiry is looked at again.
const EXPIRY_CHECK_MAX: Duration = Duration::from_secs(60);

/// A listener and the caller it listens for.
pub(crate) struct CallerWatch {
    changes: Changes,
    pub(crate) caller: Caller,
    /// What was asked for by GET: the token's scopes must go on to cover it.
    path: String,
    api: Api,
}

/// What was heard.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A notice, to be passed to [`CallerWatch::check`] before anything else.
    Notice(Notice),
    /// Nothing for a while.
    Silence,
    /// The token holds no more, or the records are closed.
    Over,
}

impl CallerWatch {
    /// Listens from now on, for a caller who asked for this path.
    pub(crate) fn new(api: Api, caller: Caller, path: &str) -> Self {
        Self { changes: api.store().changes(), caller, path: path.to_owned(), api }
    }

    /// Waits for the next notice. Cancel-safe: dropping it loses nothing.
    pub(crate) async fn hear(&mut self) -> Heard {
        let Some(bound) = self.until_expiry() else { return Heard::Over };
        match tokio::time::timeout(bound, self.changes.next()).await {
            Ok(Some(notice)) => Heard::Notice(notice),
            Ok(None) => Heard::Over,
            Err(_elapsed) => Heard::Silence,
        }
    }

    /// Looks again at who the caller is, where a notice is about them; none once the token does not hold any more.
    pub(crate) async fn check(&mut self, notice: &Notice) -> Option<()> {
        match notice {
            Notice::Changed(change) if !self.is_about_caller(change) => Some(()),
            Notice::Changed(_) | Notice::Everything => self.refresh().await,
        }
    }

    /// Whether the caller may know of a change. Unknown is not heard: the next look finds what changed.
    pub(crate) async fn may_hear(&self, change: &Change) -> bool {
        let reader = self.caller.reader();
        self.api.store().may_hear(change, &reader).await.unwrap_or(false)
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
            _ => false,
        }
    }

    async fn refresh(&mut self) -> Option<()> {
        let identity = self.api.store().token_by_uuid(self.caller.token.uuid).await.ok()??;
        if !is_in_scope(&identity.token.scopes, &Method::GET, &self.path) {
            return None;
        }
        (self.caller.user, self.caller.token) = (identity.user, identity.token);
        Some(())
    }
}
