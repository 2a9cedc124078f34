//! One feed of events for all requests of a run, each told of its own: what happens to others wakes nobody.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use client::{ApiEvent, Client};
use futures_util::StreamExt as _;
use lifecycle::{Backoff, BackoffPolicy};
use tokio::sync::Notify;
use tokio::time::sleep;

/// Between tries to open the feed while the instance is away.
const RETRY: BackoffPolicy =
    BackoffPolicy { first: Duration::from_millis(100), max: Duration::from_secs(2) };

/// Who waits for which records.
#[derive(Default)]
pub(super) struct Feed {
    listeners: RefCell<HashMap<String, Rc<Notify>>>,
    /// Somebody listens for the first time.
    wanted: Notify,
}

/// Hears of changes of some records, until it is dropped. A change is not lost while nobody waits.
pub(super) struct Changes<'f> {
    feed: &'f Feed,
    changed: Rc<Notify>,
    uuids: Vec<String>,
}

impl Feed {
    /// Listens to nothing yet.
    pub(super) fn listen(&self) -> Changes<'_> {
        Changes { feed: self, changed: Rc::default(), uuids: Vec::new() }
    }

    /// Passes events on until it is dropped. A feed that was only just opened is a change of everything.
    pub(super) async fn follow(&self, client: &Client) {
        self.wanted.notified().await;
        let mut backoff = Backoff::new(RETRY);
        loop {
            if let Ok(mut events) = client.events().await {
                backoff.reset();
                self.tell_all();
                while let Some(Ok(event)) = events.next().await {
                    match event {
                        ApiEvent::Changed { uuid, .. } => self.tell(&uuid),
                        ApiEvent::Everything => self.tell_all(),
                    }
                }
            }
            sleep(backoff.next_wait()).await;
        }
    }

    fn tell(&self, uuid: &str) {
        if let Some(changed) = self.listeners.borrow().get(uuid) {
            changed.notify_one();
        }
    }

    fn tell_all(&self) {
        self.listeners.borrow().values().for_each(|changed| changed.notify_one());
    }
}

impl Changes<'_> {
    /// Listens to changes of this record too. One that is added later counts as changed: it may have been, since it was read.
    pub(super) fn add(&mut self, uuid: &str) {
        if self.uuids.iter().any(|known| known == uuid) {
            return;
        }
        if !self.uuids.is_empty() {
            self.changed.notify_one();
        }
        self.uuids.push(uuid.to_owned());
        let mut listeners = self.feed.listeners.borrow_mut();
        listeners.insert(uuid.to_owned(), Rc::clone(&self.changed));
        self.feed.wanted.notify_one();
    }

    /// Returns when one of them has changed since the last time. Cancel-safe.
    pub(super) async fn next(&self) {
        self.changed.notified().await;
    }
}

impl Drop for Changes<'_> {
    fn drop(&mut self) {
        let mut listeners = self.feed.listeners.borrow_mut();
        for uuid in &self.uuids {
            // A container may be that of two requests; the later one keeps its entry.
            if listeners.get(uuid).is_some_and(|known| Rc::ptr_eq(known, &self.changed)) {
                listeners.remove(uuid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    #[test]
    fn each_hears_of_its_own_records_alone() {
        let feed = Feed::default();
        let (mut one, mut other) = (feed.listen(), feed.listen());
        one.add("a");
        one.add("b");
        assert!(one.next().now_or_never().is_some(), "it may have changed before");
        other.add("c");
        feed.tell("b");
        assert!(one.next().now_or_never().is_some(), "told before it waited");
        assert!(one.next().now_or_never().is_none() && other.next().now_or_never().is_none());
        feed.tell_all();
        assert!(one.next().now_or_never().is_some() && other.next().now_or_never().is_some());
        drop(one);
        assert_eq!(feed.listeners.borrow().len(), 1);
    }
}
