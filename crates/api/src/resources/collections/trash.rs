//! When a collection goes to the trash, and when it is deleted.

use std::time::Duration;

use jiff::SignedDuration;
use model::{Collection, Timestamp};

use super::attributes::Sent;
use crate::router::Api;

/// What the site says about the trash.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    now: Timestamp,
    /// From the trash to deletion, where nothing else is said.
    lifetime: Duration,
    /// Deletion is never sooner than this: who read the collection may use its blocks so long.
    lifetime_min: Duration,
}

/// A move that was asked for by name.
#[derive(Debug, Clone, Copy)]
pub(super) enum Move {
    In,
    Out,
    /// Into it, to be deleted as soon as may be.
    Delete,
}

impl Rules {
    pub(super) fn of(api: &Api) -> Self {
        let signer = api.blocks().signer.as_ref();
        Self {
            now: api.store().now(),
            lifetime: api.config().trash_lifetime,
            lifetime_min: signer.map_or(Duration::ZERO, keep::Signer::ttl),
        }
    }
}

fn after(at: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    Timestamp::from_jiff(at.as_jiff().checked_add(wait).unwrap_or(jiff::Timestamp::MAX))
}

/// Settles when the collection goes, by what was sent.
pub(super) fn settle(collection: &mut Collection, sent: &Sent, rules: &Rules) {
    let was_trashed = collection.is_trashed_at(rules.now);
    match sent.is_trashed {
        Some(true) if !was_trashed => put_in(collection, rules, rules.lifetime),
        Some(false) if was_trashed => take_out(collection),
        _ => match sent.trash_at {
            None => {}
            Some(None) => take_out(collection),
            Some(same) if same == collection.trash_at => {}
            Some(Some(at)) => {
                let at = at.max(rules.now);
                collection.trash_at = Some(at);
                collection.delete_at = Some(after(at, rules.lifetime));
            }
        },
    }
    if let (Some(trash_at), Some(Some(delete_at))) = (collection.trash_at, sent.delete_at) {
        collection.delete_at = Some(delete_at.max(after(trash_at, rules.lifetime_min)));
    }
    collection.is_trashed = collection.is_trashed_at(rules.now) && collection.trash_at.is_some();
}

impl Move {
    pub(super) fn apply(self, collection: &mut Collection, rules: &Rules) {
        let was_trashed = collection.is_trashed_at(rules.now);
        match self {
            Self::In if !was_trashed => put_in(collection, rules, rules.lifetime),
            Self::Delete if !was_trashed => {
                put_in(collection, rules, rules.lifetime.min(rules.lifetime_min));
            }
            Self::In | Self::Delete => collection.is_trashed = true,
            Self::Out => take_out(collection),
        }
    }
}

fn put_in(collection: &mut Collection, rules: &Rules, lifetime: Duration) {
    collection.trash_at = Some(rules.now);
    collection.delete_at = Some(after(rules.now, lifetime.max(rules.lifetime_min)));
    collection.is_trashed = true;
}

fn take_out(collection: &mut Collection) {
    collection.trash_at = None;
    collection.delete_at = None;
    collection.is_trashed = false;
}
