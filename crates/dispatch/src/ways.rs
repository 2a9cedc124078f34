//! Which ways between containers are shut: derived from the records alone, in every controller alike.
//!
//! `runtime_constraints.connect` leads a program to services of other containers, and whether who submitted it may open
//! those was asked then. That right may be taken back while the program runs: the service's request was given away, a
//! user was deactivated, a port is not published any more. Level-triggered as the orders to stop are: the whole set each
//! time, so that a session that connects late misses nothing.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::Pace;
use model::{ContainerUuid, ServicePort};
use store::{Store, StoreError};
use tokio::sync::watch;
use tunnel::Registry;

use crate::wakes::Wakes;

/// Addresses at which a program finds services that it may not use now.
pub(crate) type Shut = BTreeSet<SocketAddrV4>;

/// Where a program finds services of other containers, and which.
type Connections = BTreeMap<SocketAddrV4, ServicePort>;

/// Clones share the same sets; one for each connected container that has ways.
#[derive(Clone, Debug)]
pub(crate) struct Ways(Arc<watch::Sender<BTreeMap<ContainerUuid, Shut>>>);

impl Ways {
    /// None is known.
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(BTreeMap::new())))
    }

    /// The sets now and later.
    pub(crate) fn subscribe(&self) -> watch::Receiver<BTreeMap<ContainerUuid, Shut>> {
        self.0.subscribe()
    }

    /// Keeps the sets in line with the records, for as long as it is polled. Looks after each change of any record and each
    /// new tunnel, and every `period`; without containers that have ways, a look costs nothing.
    pub(crate) async fn follow(&self, store: &Store, registry: &Registry, period: Duration) {
        let mut wakes = Wakes::new(store, registry, period, |_any| true);
        // What a container connects to never changes.
        let mut known = BTreeMap::new();
        loop {
            let pace = Pace::begin();
            if let Err(error) = self.look(store, registry, &mut known).await {
                tracing::warn!(%error, "cannot see now which ways between containers are shut");
            }
            wakes.next(pace).await;
        }
    }

    async fn look(
        &self,
        store: &Store,
        registry: &Registry,
        known: &mut BTreeMap<ContainerUuid, Connections>,
    ) -> Result<(), StoreError> {
        let names = registry.uuids();
        let connected: BTreeSet<_> =
            names.iter().filter_map(|name| ContainerUuid::parse(name).ok()).collect();
        known.retain(|uuid, _| connected.contains(uuid));
        for uuid in connected {
            if let Entry::Vacant(place) = known.entry(uuid) {
                let container = store.container(uuid).await?;
                let connect = container.map(|it| it.runtime_constraints.connect);
                place.insert(connect.unwrap_or_default());
            }
        }
        let mut all = BTreeMap::new();
        for (uuid, connect) in known.iter().filter(|(_, connect)| !connect.is_empty()) {
            let mut shut = Shut::new();
            for (address, to) in connect {
                if !store.may_connect(*uuid, to).await? {
                    shut.insert(*address);
                }
            }
            all.insert(*uuid, shut);
        }
        // Sessions wake only if it changed.
        self.0.send_if_modified(|now| {
            let changed = *now != all;
            *now = all;
            changed
        });
        Ok(())
    }
}
