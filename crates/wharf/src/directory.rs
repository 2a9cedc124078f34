//! Answers the proxy's questions from the records, from memory while nothing changes.
//!
//! Invariant: an answer kept in memory was read after the last change that this process has heard of. Every change
//! event empties both tables and raises the generation; an answer that was being read meanwhile is not kept.

use crate::log_files::LogFiles;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::{ApiToken, Container, ContainerState, TokenHash, TokenUuid};
use proxy::{
    Credential, Directory, DirectoryError, HostTarget, Principal, StartInfo, Target, TargetState,
};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use store::{Identity, Notice, Purpose, Store, TargetKey, TargetRecord};
use tokio::sync::watch;

/// Most answers kept of each sort; past that the table is emptied. Two hundred bytes each: a few MiB at most.
const ANSWERS_MAX: usize = 20_000;
/// Log lines shown on the start page.
const START_PAGE_LINES: u64 = 10;

/// The proxy's view of the records.
#[derive(Debug)]
pub(crate) struct RecordsDirectory {
    store: Store,
    logs: LogFiles,
    generation: watch::Sender<u64>,
    targets: Table<HostTarget, Arc<Target>>,
    principals: Table<Presented, Principal>,
}

/// What a caller presented, without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Presented {
    Token(TokenUuid, TokenHash),
    Session(TokenUuid),
}

impl RecordsDirectory {
    /// A directory over the store, with nothing in memory yet.
    pub(crate) fn new(store: Store, logs: LogFiles) -> Arc<Self> {
        Arc::new(Self {
            store,
            logs,
            generation: watch::Sender::new(0),
            targets: Table::default(),
            principals: Table::default(),
        })
    }

    /// Forgets what it knew whenever the records change; ends with the store.
    pub(crate) async fn follow_changes(self: Arc<Self>) {
        let mut changes = self.store.changes();
        while let Some(notice) = changes.next().await {
            if let Notice::Changed(change) = &notice {
                tracing::trace!(kind = change.kind.as_str(), uuid = %change.uuid, "records changed");
            }
            self.generation.send_modify(|generation| *generation += 1);
            self.targets.clear();
            self.principals.clear();
        }
    }

    async fn look_up(&self, target: &HostTarget) -> Result<Option<Arc<Target>>, DirectoryError> {
        let generation = *self.generation.borrow();
        let record = self.store.find_target(&key_of(target)).await.map_err(unreadable)?;
        let Some(found) = record.map(|record| Arc::new(target_of(target, record))) else {
            return Ok(None);
        };
        if *self.generation.borrow() == generation {
            self.targets.keep(target.clone(), Arc::clone(&found));
        }
        Ok(Some(found))
    }

    async fn identify(&self, credential: Credential) -> Result<Option<Principal>, DirectoryError> {
        let generation = *self.generation.borrow();
        let (presented, identity) = match credential {
            Credential::Token(token) => {
                let presented = presented_token(&token);
                if let Some(known) = self.principals.get(&presented) {
                    return Ok(self.still_valid(known));
                }
                (Some(presented), self.store.authenticate(&token).await.map_err(unreadable)?)
            }
            Credential::Session { token_uuid, user_uuid } => {
                let presented = Presented::Session(token_uuid);
                if let Some(known) = self.principals.get(&presented) {
                    return Ok(self.still_valid(known).filter(|known| known.user == user_uuid));
                }
                let identity = self.store.token_by_uuid(token_uuid).await.map_err(unreadable)?;
                (Some(presented), identity.filter(|identity| identity.user.uuid == user_uuid))
            }
            Credential::Code { code, service_host, container, request, port } => {
                let grant = self.store.redeem_code(&code, Purpose::Handoff, &service_host).await;
                let grant = grant.map_err(unreadable)?.filter(|grant| {
                    let same_service = (grant.request.is_some() && grant.request == request)
                        || (grant.container.is_some() && grant.container == container);
                    same_service && grant.port == Some(port)
                });
                (None, grant.map(|grant| grant.identity))
            }
        };
        let Some(principal) = identity.map(|identity| principal_of(&identity)) else {
            return Ok(None);
        };
        if let Some(presented) = presented
            && *self.generation.borrow() == generation
        {
            self.principals.keep(presented, principal.clone());
        }
        Ok(Some(principal))
    }

    /// A kept answer outlives neither its token's revocation (a change event) nor its expiry (no event).
    fn still_valid(&self, known: Principal) -> Option<Principal> {
        let now = self.store.now();
        known.expires_at.is_none_or(|end| end > now).then_some(known)
    }
}

impl Directory for RecordsDirectory {
    fn find<'a>(
        &'a self,
        target: &'a HostTarget,
    ) -> BoxFuture<'a, Result<Option<Arc<Target>>, DirectoryError>> {
        match self.targets.get(target) {
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

    fn changes(&self) -> Option<watch::Receiver<u64>> {
        Some(self.generation.subscribe())
    }
}

fn presented_token(token: &ApiToken) -> Presented {
    Presented::Token(token.uuid(), TokenHash::of(token.secret()))
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

/// Answers kept in memory. Locked for an insert or a look-up only.
#[derive(Debug)]
struct Table<K, V>(Mutex<HashMap<K, V>>);

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

impl<K: Eq + Hash, V: Clone> Table<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn keep(&self, key: K, value: V) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= ANSWERS_MAX {
            answers.clear();
        }
        answers.insert(key, value);
    }

    fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}
