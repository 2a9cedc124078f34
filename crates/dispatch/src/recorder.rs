//! Brings a container's record in line with what its supervisor says. Every step is idempotent.

use std::collections::BTreeMap;
use std::path::PathBuf;

use model::{
    Container, ContainerEnd, ContainerPort, ContainerState, ContainerUuid, PublishedPort,
    ServiceDomain, SupervisorState, Timestamp,
};
use store::{Leavings, Store, StoreError};

use crate::addresses;
use crate::config::DispatchConfig;
use crate::layout::ContainerDir;
use crate::starts::Starts;

/// Writes what supervisors report into the records.
#[derive(Clone, Debug)]
pub(crate) struct Recorder {
    store: Store,
    config: DispatchConfig,
    domain: ServiceDomain,
    starts: Starts,
}

impl Recorder {
    pub(crate) fn new(
        store: Store,
        config: DispatchConfig,
        domain: ServiceDomain,
        starts: Starts,
    ) -> Self {
        Self { store, config, domain, starts }
    }

    pub(crate) fn counting(self, starts: Starts) -> Self {
        Self { starts, ..self }
    }

    /// All of a supervisor's state. `Ok` means that the record has it for good, or is over.
    pub(crate) async fn apply(
        &self,
        uuid: ContainerUuid,
        state: &SupervisorState,
    ) -> Result<(), StoreError> {
        if let Some(end) = &state.end {
            return self.end(uuid, state.started_at, end).await;
        }
        let Some(started_at) = state.started_at else { return Ok(()) };
        let Some(container) = self.begun(uuid, started_at).await? else { return Ok(()) };
        for (port, at) in &state.ready {
            let is_known = container.published_ports.get(*port).is_some_and(|it| it.is_ready());
            if !is_known && self.store.set_ready(uuid, *port, *at).await? {
                self.starts.ready(started_at, *at);
            }
        }
        let is_known = |(port, entry): (ContainerPort, &PublishedPort)| {
            entry.silent_since == state.silent.get(&port).copied()
        };
        if !container.published_ports.iter().all(is_known) {
            self.store.set_silent(uuid, state.silent.clone()).await?;
        }
        match state.busy_at {
            Some(at) => self.note_work(uuid, at).await,
            None => Ok(()),
        }
    }

    /// Every controller is told: who comes late writes nothing.
    async fn note_work(&self, uuid: ContainerUuid, at: Timestamp) -> Result<(), StoreError> {
        let lives = self.store.lives(&[uuid]).await?;
        if lives.get(&uuid).and_then(|notes| notes.used_at).is_some_and(|known| known >= at) {
            return Ok(());
        }
        self.store.note_use(vec![(uuid, at)]).await
    }

    /// How it ended, for the container and its requests. One that ran is Running first: a record
    /// that never ran cannot be Complete.
    pub(crate) async fn end(
        &self,
        uuid: ContainerUuid,
        started_at: Option<Timestamp>,
        end: &ContainerEnd,
    ) -> Result<(), StoreError> {
        if let Some(started_at) = started_at {
            self.begun(uuid, started_at).await?;
        }
        let leavings = self.leavings(uuid).await;
        match self.store.end_container(uuid, end, leavings).await {
            // Deleted meanwhile: there is nobody left to tell.
            Err(StoreError::NotFound(_)) => Ok(()),
            Ok(is_news) => {
                if is_news {
                    self.starts.ended(end.outcome);
                }
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// What the supervisor has saved, on disk before it told the end. A file that is not there, or that cannot be read,
    /// is nothing left.
    async fn leavings(&self, uuid: ContainerUuid) -> Leavings {
        let dir = ContainerDir::of(&self.config.data_dir, uuid);
        let read = async |path: PathBuf| match tokio::fs::read_to_string(&path).await {
            Ok(manifest) => Some(manifest),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "cannot read what a container left");
                None
            }
        };
        Leavings { log: read(dir.log_manifest()).await, output: read(dir.output_manifest()).await }
    }

    /// Makes the record Running with its ports' addresses, unless it is or was; `None` if there is
    /// no record that runs.
    async fn begun(
        &self,
        uuid: ContainerUuid,
        started_at: Timestamp,
    ) -> Result<Option<Container>, StoreError> {
        let Some(mut container) = self.store.container(uuid).await? else { return Ok(None) };
        if container.state == ContainerState::Queued {
            // Another controller that is told the same may be quicker: what counts is how it is now.
            self.store.lock_container(uuid, &self.config.name).await?;
            let Some(locked) = self.store.container(uuid).await? else { return Ok(None) };
            container = locked;
        }
        match container.state {
            ContainerState::Running => return Ok(Some(container)),
            ContainerState::Locked => self.start(container, started_at).await?,
            _ => return Ok(None),
        }
        let container = self.store.container(uuid).await?;
        Ok(container.filter(|it| it.state == ContainerState::Running))
    }

    async fn start(&self, container: Container, at: Timestamp) -> Result<(), StoreError> {
        let uuid = container.uuid;
        let mut ports = container.published_ports;
        let external = match &self.config.external_ports {
            Some(range) if !self.domain.is_wildcard() && !ports.is_empty() => {
                let wanted = ports.iter().map(|(port, _)| port).collect();
                self.store.assign_external_ports(uuid, wanted, range.clone()).await?
            }
            _ => BTreeMap::new(),
        };
        let without = addresses::fill(&mut ports, uuid, &self.domain, &external);
        if self.store.start_container(uuid, at, ports).await? {
            self.starts.running(container.created_at, at);
        }
        if !without.is_empty() {
            let numbers: Vec<String> = without.iter().map(ToString::to_string).collect();
            let mut status = container.runtime_status;
            let words = format!(
                "no external port is free for port {}: it cannot be opened \
                 (Services.ContainerWebServices.ExternalPortMin, ExternalPortMax)",
                numbers.join(", ")
            );
            status.insert("warning".to_owned(), words.into());
            self.store.set_runtime_status(uuid, status).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
