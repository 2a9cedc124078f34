//! Which containers are to be stopped: written by the driver, read by every control session.
//!
//! Level-triggered: the whole set each time, so that a session that connects late misses nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::ContainerUuid;
use tokio::sync::watch;

/// Clones share the same set.
#[derive(Clone, Debug)]
pub(crate) struct Orders(Arc<watch::Sender<BTreeSet<ContainerUuid>>>);

impl Orders {
    /// Nobody is to be stopped.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeSet::new())))
    }

    /// Replaces the set; sessions wake only if it changed.
    pub(crate) fn replace(&self, stop: BTreeSet<ContainerUuid>) {
        self.0.send_if_modified(|now| {
            let changed = *now != stop;
            *now = stop;
            changed
        });
    }

    /// The set now and later.
    pub(crate) fn subscribe(&self) -> watch::Receiver<BTreeSet<ContainerUuid>> {
        self.0.subscribe()
    }
}

impl Default for Orders {
    fn default() -> Self {
        Self::new()
    }
}
