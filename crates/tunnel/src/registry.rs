//! The live tunnels of this controller, by container uuid.
//!
//! A container has one tunnel. A second one is refused while the first lives, so a stolen secret
//! cannot take a running container's traffic over; once the first has ended it is out of the way
//! by itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, timeout_at};

use crate::{GoAway, Incoming, Tunnel};

/// Events a receiver may fall behind before it is told to look at everything again.
const EVENT_BACKLOG: usize = 1024;

/// Live tunnels by container uuid. Clones are the same registry.
#[derive(Debug, Clone)]
pub struct Registry {
    shared: Arc<RegistryShared>,
}

#[derive(Debug)]
struct RegistryShared {
    live: Mutex<HashMap<String, Live>>,
    /// Counts changes, for those who wait for one.
    changes: watch::Sender<u64>,
    events: broadcast::Sender<RegistryEvent>,
}

#[derive(Debug)]
struct Live {
    tunnel: Tunnel,
    /// Until somebody takes it.
    incoming: Option<Incoming>,
}

/// The container has a live tunnel already; the new one was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the container already has a live tunnel")]
pub struct DuplicateTunnel;

/// A change in who can be reached, named by container uuid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegistryEvent {
    /// The container has a tunnel now.
    Appeared(String),
    /// Its tunnel has ended.
    Vanished(String),
    /// Events were missed: look at `uuids()`.
    Resync,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// An empty registry.
    #[must_use]
    pub fn new() -> Self {
        let (events, _) = broadcast::channel(EVENT_BACKLOG);
        let changes = watch::Sender::new(0);
        Self { shared: Arc::new(RegistryShared { live: Mutex::default(), changes, events }) }
    }

    /// Enters a tunnel whose handshake named `container_uuid`. It leaves by itself when it ends.
    ///
    /// # Errors
    /// Where the container has a live tunnel; the new one is closed and its peer told why. This is
    /// worth an alarm: it may be a stolen secret.
    pub fn insert(
        &self,
        container_uuid: &str,
        tunnel: Tunnel,
        incoming: Incoming,
    ) -> Result<(), DuplicateTunnel> {
        let shared = Arc::clone(&tunnel.shared);
        {
            let mut live = self.shared.lock();
            if live.get(container_uuid).is_some_and(|older| !older.tunnel.is_closed()) {
                drop(live);
                tunnel.close_with(GoAway::Duplicate);
                return Err(DuplicateTunnel);
            }
            let entered = Live { tunnel, incoming: Some(incoming) };
            let older = live.insert(container_uuid.to_owned(), entered);
            drop(live);
            if older.is_some() {
                self.shared.announce(RegistryEvent::Vanished(container_uuid.to_owned()));
            }
        }
        self.shared.announce(RegistryEvent::Appeared(container_uuid.to_owned()));
        let registry = Arc::downgrade(&self.shared);
        let uuid = container_uuid.to_owned();
        let ended = Arc::downgrade(&shared);
        shared.on_end(Box::new(move || {
            if let (Some(registry), Some(ended)) = (registry.upgrade(), ended.upgrade()) {
                registry.leave(&uuid, &Tunnel { shared: ended });
            }
        }));
        Ok(())
    }

    /// The container's live tunnel.
    #[must_use]
    pub fn get(&self, container_uuid: &str) -> Option<Tunnel> {
        let live = self.shared.lock();
        live.get(container_uuid).map(|live| live.tunnel.clone()).filter(|t| !t.is_closed())
    }

    /// Closes the container's tunnel, if it has one.
    pub fn remove(&self, container_uuid: &str) {
        if let Some(tunnel) = self.get(container_uuid) {
            tunnel.close();
        }
    }

    /// The streams that the container's supervisor asks for; once per tunnel.
    #[must_use]
    pub fn take_incoming(&self, container_uuid: &str) -> Option<Incoming> {
        self.shared.lock().get_mut(container_uuid)?.incoming.take()
    }

    /// The container's tunnel as soon as it has one; `None` if it has none by `deadline`.
    pub async fn wait_for(&self, container_uuid: &str, deadline: Instant) -> Option<Tunnel> {
        let mut changes = self.shared.changes.subscribe();
        loop {
            if let Some(tunnel) = self.get(container_uuid) {
                return Some(tunnel);
            }
            // The sender lives in `self.shared`, so only the deadline ends the wait.
            timeout_at(deadline, changes.changed()).await.ok()?.ok()?;
        }
    }

    /// The containers with a live tunnel, in no order.
    #[must_use]
    pub fn uuids(&self) -> Vec<String> {
        let live = self.shared.lock();
        live.iter().filter(|(_, l)| !l.tunnel.is_closed()).map(|(uuid, _)| uuid.clone()).collect()
    }

    /// What changes from now on. Subscribe first, then look at [`Self::uuids`].
    #[must_use]
    pub fn events(&self) -> RegistryEvents {
        RegistryEvents { receiver: self.shared.events.subscribe() }
    }
}

impl RegistryShared {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self, uuid: &str, tunnel: &Tunnel) {
        let mut live = self.lock();
        // A successor may have taken the place already.
        let left = match live.get(uuid) {
            Some(entered) if entered.tunnel.is_same(tunnel) => live.remove(uuid),
            Some(_) | None => None,
        };
        drop(live);
        if left.is_some() {
            drop(left);
            self.announce(RegistryEvent::Vanished(uuid.to_owned()));
        }
    }

    fn announce(&self, event: RegistryEvent) {
        self.changes.send_modify(|changes| *changes += 1);
        // No receiver is no error.
        self.events.send(event).ok();
    }
}

/// Changes in a [`Registry`].
#[derive(Debug)]
pub struct RegistryEvents {
    receiver: broadcast::Receiver<RegistryEvent>,
}

impl RegistryEvents {
    /// The next change; `None` once the registry is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<RegistryEvent> {
        match self.receiver.recv().await {
            Ok(event) => Some(event),
            Err(broadcast::error::RecvError::Lagged(_)) => Some(RegistryEvent::Resync),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

#[cfg(test)]
mod tests;
