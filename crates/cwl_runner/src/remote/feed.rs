//! One feed of changes for all requests of a run: each is woken by what concerns it, and by nothing else.
//!
//! A feed for each would make every change wake all of them, and each of them ask: with many under way, most of what the
//! controller did was answering that.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::rc::{Rc, Weak};
use std::time::Duration;

use client::{ApiEvent, Client};
use futures_util::StreamExt as _;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// An event may be lost; looking again this often costs nothing.
const LOOK_PERIOD: Duration = Duration::from_secs(10);
/// While there are no events.
const LOOK_PERIOD_UNTOLD: Duration = Duration::from_secs(1);
/// Between tries to open the feed.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// The feed of one run.
#[derive(Debug, Default)]
pub(super) struct Feed {
    listeners: RefCell<Vec<Weak<Listener>>>,
    is_open: Cell<bool>,
}

/// Somebody who waits for changes of some records.
#[derive(Debug, Default)]
pub(super) struct Listener {
    uuids: RefCell<HashSet<String>>,
    /// Keeps one call: what happens while nobody waits is not lost.
    called: Notify,
}

impl Listener {
    /// From here on this record's changes are heard, too.
    pub(super) fn hear(&self, uuid: &str) {
        self.uuids.borrow_mut().insert(uuid.to_owned());
    }
}

impl Feed {
    /// Who listens until it is dropped.
    pub(super) fn listener(&self) -> Rc<Listener> {
        let listener = Rc::new(Listener::default());
        let mut listeners = self.listeners.borrow_mut();
        listeners.retain(|known| known.strong_count() > 0);
        listeners.push(Rc::downgrade(&listener));
        listener
    }

    /// Returns when a record that is listened for has changed, or it is time to look again, after `period` at the latest.
    pub(super) async fn changed(&self, listener: &Listener, period: Option<Duration>) {
        let usual = if self.is_open.get() { LOOK_PERIOD } else { LOOK_PERIOD_UNTOLD };
        let period = period.map_or(usual, |period| period.min(usual));
        let _either = timeout(period, listener.called.notified()).await;
    }

    /// Tells listeners what happens, for ever; opens the feed again where it breaks.
    pub(super) async fn follow(&self, client: &Client) {
        loop {
            if let Ok(mut events) = client.events().await {
                self.is_open.set(true);
                // What happened before is in the records.
                self.call(|_| true);
                while let Some(Ok(event)) = events.next().await {
                    self.tell(&event);
                }
                self.is_open.set(false);
                self.call(|_| true);
            }
            sleep(RETRY_WAIT).await;
        }
    }

    fn tell(&self, event: &ApiEvent) {
        match event {
            ApiEvent::Changed { uuid, .. } => self.call(|uuids| uuids.contains(uuid)),
            ApiEvent::Everything => self.call(|_| true),
        }
    }

    fn call(&self, is_concerned: impl Fn(&HashSet<String>) -> bool) {
        let listeners = self.listeners.borrow();
        let living = listeners.iter().filter_map(Weak::upgrade);
        living
            .filter(|listener| is_concerned(&listener.uuids.borrow()))
            .for_each(|listener| listener.called.notify_one());
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_called(listener: &Listener) -> bool {
        listener.called.notified().now_or_never().is_some()
    }

    #[test]
    fn who_listens_hears_of_its_records_and_of_no_others() {
        let feed = Feed::default();
        let (one, other) = (feed.listener(), feed.listener());
        one.hear("a");
        other.hear("b");
        feed.tell(&ApiEvent::Changed { kind: "container".to_owned(), uuid: "a".to_owned() });
        assert_eq!((is_called(&one), is_called(&other)), (true, false));
        assert!(!is_called(&one), "told once");
        feed.tell(&ApiEvent::Everything);
        assert_eq!((is_called(&one), is_called(&other)), (true, true));
    }

    #[test]
    fn who_left_is_forgotten() {
        let feed = Feed::default();
        drop(feed.listener());
        let _kept = feed.listener();
        assert_eq!(feed.listeners.borrow().len(), 1);
    }
}
