//! Answers the proxy's questions from the records; what a host leads to from memory while its records stay.
//!
//! Invariant: an answer kept in memory was read after the last change of its records that this process has heard of.
//! A change of a record forgets what was read from it and raises the generation; an answer that was being read
//! meanwhile is not kept. The proxy hears of a change after that. Where it is not sure to have heard of every change
//! (other processes write too), nothing is answered from memory.

use crate::log_files::LogFiles;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use model::{Container, ContainerState};
use proxy::{
    Changed, Credential, Directory, DirectoryError, HostTarget, Principal, StartInfo, Target,
    TargetState,
};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{Identity, Notice, Purpose, Store, TargetKey, TargetRecord};
use tokio::sync::broadcast;

/// Most answers kept; past that all are forgotten. Some kilobytes each where a service has many ports.
const ANSWERS_MAX: usize = 20_000;
/// News that the proxy may be behind before it is told to look at everything.
const NEWS_BACKLOG: usize = 1024;
/// Log lines shown on the start page.
const START_PAGE_LINES: u64 = 10;

/// The proxy's view of the records.
#[derive(Debug)]
pub(crate) struct RecordsDirectory {
    store: Store,
    logs: LogFiles,
    /// How long nothing may have been heard of other processes' changes.
    silence_max: Duration,
    known: Mutex<Known>,
    news: broadcast::Sender<Changed>,
}

/// What hosts lead to, and what was read to know it.
#[derive(Debug, Default)]
struct Known {
    generation: u64,
    targets: HashMap<HostTarget, Arc<Target>>,
    by_record: HashMap<String, HashSet<HostTarget>>,
}

impl Known {
    fn keep(&mut self, host: &HostTarget, target: &Arc<Target>) {
        if self.targets.len() >= ANSWERS_MAX {
            self.forget_all();
        }
        for record in &target.records {
            self.by_record.entry(record.clone()).or_default().insert(host.clone());
        }
        self.targets.insert(host.clone(), Arc::clone(target));
    }

    fn forget(&mut self, record: &str) {
        self.generation += 1;
        for host in self.by_record.remove(record).unwrap_or_default() {
            // The entry stays under its other records, and finds nothing there.
            self.targets.remove(&host);
        }
    }

    fn forget_all(&mut self) {
        self.generation += 1;
        self.targets.clear();
        self.by_record.clear();
    }
}

impl RecordsDirectory {
    /// A directory over the store, with nothing in memory yet.
    pub(crate) fn new(store: Store, logs: LogFiles, silence_max: Duration) -> Arc<Self> {
        let news = broadcast::Sender::new(NEWS_BACKLOG);
        Arc::new(Self { store, logs, silence_max, known: Mutex::default(), news })
    }

    /// Forgets what it knew when records change, and passes the news on; ends with the store.
    pub(crate) async fn follow_changes(self: Arc<Self>) {
        let mut changes = self.store.changes();
        while let Some(notice) = changes.next().await {
            let changed = match notice {
                Notice::Changed(change) => {
                    tracing::trace!(kind = change.kind.as_str(), uuid = %change.uuid, "records changed");
                    self.known().forget(&change.uuid);
                    Changed::Record(change.uuid)
                }
                Notice::Everything => {
                    self.known().forget_all();
                    Changed::Everything
                }
            };
            // Nobody listens before the proxy is there.
            let _nobody = self.news.send(changed);
        }
    }

    /// A poisoned lock is taken as is: what is kept twice or not at all does no harm.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn look_up(&self, host: &HostTarget) -> Result<Option<Arc<Target>>, DirectoryError> {
        let generation = self.known().generation;
        let record = self.store.find_target(&key_of(host)).await.map_err(unreadable)?;
        let Some(found) = record.map(|record| Arc::new(target_of(host, record))) else {
            return Ok(None);
        };
        let mut known = self.known();
        if known.generation == generation {
            known.keep(host, &found);
        }
        Ok(Some(found))
    }

    async fn identify(&self, credential: Credential) -> Result<Option<Principal>, DirectoryError> {
        let identity = match credential {
            Credential::Token(token) => {
                self.store.authenticate(&token).await.map_err(unreadable)?
            }
            Credential::Session { token_uuid, user_uuid } => {
                let identity = self.store.token_by_uuid(token_uuid).await.map_err(unreadable)?;
                identity.filter(|identity| identity.user.uuid == user_uuid)
            }
            Credential::Code { code, service_host, container, request, port } => {
                let grant = self.store.redeem_code(&code, Purpose::Handoff, &service_host).await;
                let grant = grant.map_err(unreadable)?.filter(|grant| {
                    let same_service = (grant.request.is_some() && grant.request == request)
                        || (grant.container.is_some() && grant.container == container);
                    same_service && grant.port == Some(port)
                });
                grant.map(|grant| grant.identity)
            }
        };
        Ok(identity.map(|identity| principal_of(&identity)))
    }
}

impl Directory for RecordsDirectory {
    fn find<'a>(
        &'a self,
        target: &'a HostTarget,
    ) -> BoxFuture<'a, Result<Option<Arc<Target>>, DirectoryError>> {
        let is_sure = self.silent_for() <= self.silence_max;
        let known = if is_sure { self.known().targets.get(target).cloned() } else { None };
        match known {
            Some(found) => std::future::ready(Ok(Some(found))).boxed(),
            None => self.look_up(target).boxed(),
        }
    }

    fn principal(
        &self,
        credential: Credential,
    ) -> BoxFuture<'_, Result<Option<Principal>, DirectoryError>> {
        self.identify(credential).boxed()
    }

    fn start_info<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StartInfo> {
        async move {
            let Some(container) = target.container else { return StartInfo::default() };
            let record = self.store.find_target(&TargetKey::Container(container)).await;
            let record = record.ok().flatten();
            StartInfo {
                queue_place: record.as_ref().and_then(|record| record.queue_place),
                detail: record.map(|record| record.scheduling_status).unwrap_or_default(),
                log_lines: self.logs.last_lines(&container, START_PAGE_LINES).await,
            }
        }
        .boxed()
    }

    fn silent_for(&self) -> Duration {
        self.store.heard_at().elapsed()
    }

    fn changes(&self) -> Option<BoxStream<'static, Changed>> {
        let heard =
            stream::unfold(self.news.subscribe(), async |mut news| match news.recv().await {
                Ok(changed) => Some((changed, news)),
                Err(broadcast::error::RecvError::Lagged(_)) => Some((Changed::Everything, news)),
                Err(broadcast::error::RecvError::Closed) => None,
            });
        Some(heard.boxed())
    }
}

fn unreadable(error: impl std::fmt::Display) -> DirectoryError {
    DirectoryError(error.to_string())
}

fn key_of(target: &HostTarget) -> TargetKey {
    match target {
        HostTarget::Container { uuid, .. } => TargetKey::Container(*uuid),
        HostTarget::Request { uuid, .. } => TargetKey::Request(*uuid),
        HostTarget::Name(name) => TargetKey::Name(name.clone()),
        HostTarget::ExternalPort(port) => TargetKey::ExternalPort(*port),
    }
}

fn principal_of(identity: &Identity) -> Principal {
    Principal {
        user: identity.user.uuid,
        token: identity.token.uuid,
        is_admin: identity.user.is_admin,
        unscoped: identity.token.is_unscoped(),
        expires_at: identity.token.expires_at,
    }
}

fn target_of(asked: &HostTarget, record: TargetRecord) -> Target {
    let named = match asked {
        HostTarget::Container { port, .. } | HostTarget::Request { port, .. } => *port,
        HostTarget::Name(_) | HostTarget::ExternalPort(_) => record.port,
    };
    let ports = record
        .container
        .as_ref()
        .map(|container| container.published_ports.clone())
        .or_else(|| record.request.as_ref().map(|request| request.published_ports.clone()))
        .unwrap_or_default();
    let port = named.unwrap_or_else(|| proxy::host::default_port(&ports));
    let name = record.request.as_ref().map(|request| request.name.clone()).unwrap_or_default();
    Target {
        container: record.container.as_ref().map(|container| container.uuid),
        request: record.request.as_ref().map(|request| request.uuid),
        name,
        state: record
            .container
            .as_ref()
            .map_or(TargetState::Uncommitted, |found| state_of(found.state)),
        exit_words: record.container.as_ref().map(exit_words).unwrap_or_default(),
        is_service: record.container.as_ref().is_some_and(|container| container.service),
        submitters: record.submitters,
        records: record.records,
        ports,
        port,
    }
}

fn state_of(state: ContainerState) -> TargetState {
    match state {
        ContainerState::Queued => TargetState::Queued,
        ContainerState::Locked => TargetState::Locked,
        ContainerState::Running => TargetState::Running,
        ContainerState::Complete => TargetState::Complete,
        ContainerState::Cancelled => TargetState::Cancelled,
    }
}

/// How a container ended, for the page that says so.
fn exit_words(container: &Container) -> String {
    match (container.state, container.error_words(), container.exit_code) {
        (ContainerState::Cancelled | ContainerState::Complete, Some(words), _) => words.to_owned(),
        (ContainerState::Cancelled, None, _) => "it was stopped".to_owned(),
        (ContainerState::Complete, None, Some(code)) => format!("it ended with exit code {code}"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::JsonMap;
    use model::request_rules::{Origin, new_request};
    use store::StoreOptions;

    /// Whether a request is still found here after another process has deleted it, and nothing was heard of that.
    async fn is_known_after_deletion(silence_max: Duration) -> bool {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wharf.db");
        let open = || Store::open(&path, StoreOptions::default());
        let (here, elsewhere) = (open().await.unwrap(), open().await.unwrap());
        let user = here.ensure_system_user().await.unwrap().uuid;
        let uuid = here.new_request_uuid().unwrap();
        let origin = Origin { uuid, by: user, at: here.now() };
        let attributes = [("container_image", "sha256:0"), ("output_path", "/out")];
        let attributes = attributes.map(|(name, value)| (name.to_owned(), value.into()));
        let request = new_request(&JsonMap::from_iter(attributes), &origin).unwrap();
        here.create_request(request, user).await.unwrap();
        let logs = LogFiles::new(dir.path().to_owned(), here.clone());
        let directory = RecordsDirectory::new(here, logs, silence_max);
        let host = HostTarget::Request { uuid, port: None };
        assert!(directory.find(&host).await.unwrap().is_some());
        assert!(elsewhere.delete_request(uuid).await.unwrap());
        directory.find(&host).await.unwrap().is_some()
    }

    #[tokio::test]
    async fn t38_while_nothing_is_heard_of_other_processes_nothing_is_answered_from_memory() {
        assert!(!is_known_after_deletion(Duration::ZERO).await);
        // What the answer above is owed to: within the silence that is allowed, memory counts.
        assert!(is_known_after_deletion(Duration::from_secs(3600)).await);
    }
}
