//! Which supervisors are to end: derived from the records alone, in every controller alike.
//!
//! A connected supervisor ends when the records do not want its container any more: cancelled (priority 0), over, or
//! gone. Whoever dispatches, and whether anybody does, makes no difference. Level-triggered: the whole set each time,
//! so that a session that connects late misses nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::Pace;
use model::ContainerUuid;
use store::{Store, StoreError};
use tokio::sync::watch;
use tunnel::Registry;

use crate::wakes::{self, Wakes};

/// Clones share the same set.
#[derive(Clone, Debug)]
pub(crate) struct Orders(Arc<watch::Sender<BTreeSet<ContainerUuid>>>);

impl Orders {
    /// Nobody is to be stopped.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeSet::new())))
    }

    /// The set now and later.
    pub(crate) fn subscribe(&self) -> watch::Receiver<BTreeSet<ContainerUuid>> {
        self.0.subscribe()
    }

    /// Keeps the set in line with the records, for as long as it is polled. Looks after each change and each new
    /// tunnel, and every `period`.
    pub(crate) async fn follow(&self, store: &Store, registry: &Registry, period: Duration) {
        let mut wakes = Wakes::new(store, registry, period, wakes::of_containers);
        loop {
            let pace = Pace::begin();
            if let Err(error) = self.look(store, registry).await {
                tracing::warn!(%error, "cannot see now which containers are to be stopped");
            }
            wakes.next(pace).await;
        }
    }

    async fn look(&self, store: &Store, registry: &Registry) -> Result<(), StoreError> {
        // Connected first: a container is recorded before its supervisor connects, so one that is not among the
        // wanted afterwards is not wanted, and never merely new.
        let names = registry.uuids();
        let connected: Vec<_> =
            names.iter().filter_map(|name| ContainerUuid::parse(name).ok()).collect();
        let wanted =
            if connected.is_empty() { BTreeSet::new() } else { store.wanted_containers().await? };
        self.replace(connected.into_iter().filter(|uuid| !wanted.contains(uuid)).collect());
        Ok(())
    }

    /// Sessions wake only if it changed.
    fn replace(&self, stop: BTreeSet<ContainerUuid>) {
        self.0.send_if_modified(|now| {
            let changed = *now != stop;
            *now = stop;
            changed
        });
    }
}
