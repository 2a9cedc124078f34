//! When those who follow the records look again.

use std::time::Duration;

use futures_util::FutureExt;
use lifecycle::Pace;
use store::{ChangeKind, Changes, Notice, Store};
use tunnel::{Registry, RegistryEvents};

/// What makes a follower look again: changes that concern it, tunnels that come and go, and time.
pub(crate) struct Wakes {
    changes: Changes,
    tunnels: RegistryEvents,
    period: Duration,
    concerns: fn(&Notice) -> bool,
}

impl Wakes {
    /// From now on; to be made before the first look.
    pub(crate) fn new(
        store: &Store,
        registry: &Registry,
        period: Duration,
        concerns: fn(&Notice) -> bool,
    ) -> Self {
        Self { changes: store.changes(), tunnels: registry.events(), period, concerns }
    }

    /// Returns when it is time for the look after that of `pace`; one look for all that came meanwhile.
    pub(crate) async fn next(&mut self, pace: Pace) {
        let rest = pace.rest();
        tokio::select! {
            () = changed(&mut self.changes, self.concerns) => {}
            _ = self.tunnels.next() => {}
            () = tokio::time::sleep(self.period) => {}
        }
        rest.over().await;
        while changed(&mut self.changes, self.concerns).now_or_never().is_some() {}
        while self.tunnels.next().now_or_never().is_some() {}
    }
}

/// Waits for a change that concerns somebody.
pub(crate) async fn changed(changes: &mut Changes, concerns: fn(&Notice) -> bool) {
    loop {
        match changes.next().await {
            Some(notice) if !concerns(&notice) => {}
            Some(_) => return,
            // The store is going down, and we with it.
            None => std::future::pending().await,
        }
    }
}

/// Whether a container may have changed, or where it may run.
pub(crate) fn of_containers(notice: &Notice) -> bool {
    match notice {
        Notice::Changed(change) => matches!(change.kind, ChangeKind::Container | ChangeKind::Node),
        Notice::Everything => true,
    }
}
