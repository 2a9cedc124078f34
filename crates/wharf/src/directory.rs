//! Answers the proxy's questions from the records, and tells it when they change.
//!
//! Every question is read from the database: what a warm request needs, the proxy keeps itself (its grants). A change is
//! told after it can be read.

use crate::log_files::LogFiles;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use model::{Container, ContainerState, UserUuid};
use proxy::{
    Changed, Credential, Directory, DirectoryError, Guest, GuestPass, HostTarget, Principal,
    StartInfo, Target, TargetState,
};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use store::{Admittance, Door, Identity, Notice, Purpose, Store, TargetKey, TargetRecord};
use tokio::sync::broadcast;

/// News that the proxy may be behind before it is told to look at everything.
const NEWS_BACKLOG: usize = 1024;
/// Log lines shown on the start page.
const START_PAGE_LINES: u64 = 10;

/// The proxy's view of the records.
#[derive(Debug)]
pub(crate) struct RecordsDirectory {
    store: Store,
    logs: LogFiles,
    news: broadcast::Sender<Changed>,
}

impl RecordsDirectory {
    /// A directory over the store.
    pub(crate) fn new(store: Store, logs: LogFiles) -> Arc<Self> {
        Arc::new(Self { store, logs, news: broadcast::Sender::new(NEWS_BACKLOG) })
    }

    /// Passes on what changes; ends with the store.
    pub(crate) async fn follow_changes(self: Arc<Self>) {
        let mut changes = self.store.changes();
        while let Some(notice) = changes.next().await {
            let changed = match notice {
                Notice::Changed(change) => {
                    tracing::trace!(kind = change.kind.as_str(), uuid = %change.uuid, "records changed");
                    Changed::Record(change.uuid)
                }
                Notice::Everything => Changed::Everything,
            };
            // Nobody listens before the proxy is there.
            let _nobody = self.news.send(changed);
        }
    }

    async fn look_up(&self, host: &HostTarget) -> Result<Option<Arc<Target>>, DirectoryError> {
        let record = self.store.find_target(&key_of(host)).await.map_err(unreadable)?;
        Ok(record.map(|record| Arc::new(target_of(host, record))))
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
            Credential::Code { code, place, container, request, port } => {
                let grant = self.store.redeem_code(&code, Purpose::Handoff, &place).await;
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
        self.look_up(target).boxed()
    }

    fn principal(
        &self,
        credential: Credential,
    ) -> BoxFuture<'_, Result<Option<Principal>, DirectoryError>> {
        self.identify(credential).boxed()
    }

    fn opened_to<'a>(
        &'a self,
        target: &'a Target,
        user: UserUuid,
    ) -> BoxFuture<'a, Result<Option<Vec<String>>, DirectoryError>> {
        async move {
            // Nobody opens it who started it, so nobody was let in by that person either.
            if target.submitters.is_empty() {
                return Ok(None);
            }
            let service = (target.container, target.request);
            self.store.opened_to(service, target.port, user).await.map_err(unreadable)
        }
        .boxed()
    }

    fn redeem_invitation<'a>(
        &'a self,
        secret: &'a str,
        target: &'a Target,
        from: IpAddr,
    ) -> BoxFuture<'a, Result<Option<GuestPass>, DirectoryError>> {
        async move {
            // Who comes too late is told so, and uses up nothing.
            if matches!(target.state, TargetState::Complete | TargetState::Cancelled) {
                return Ok(None);
            }
            let admitted = self.store.redeem_invitation(secret, door_of(target), from).await;
            Ok(admitted.map_err(unreadable)?.map(pass_of))
        }
        .boxed()
    }

    fn guest<'a>(
        &'a self,
        guest: Guest,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<GuestPass>, DirectoryError>> {
        async move {
            let admitted = self.store.admit_guest(guest.session, &door_of(target)).await;
            let admitted = admitted.map_err(unreadable)?;
            Ok(admitted.filter(|it| it.invitation == guest.invitation).map(pass_of))
        }
        .boxed()
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

fn door_of(target: &Target) -> Door {
    Door {
        container: target.container,
        request: target.request,
        port: target.port,
        submitters: target.submitters.clone(),
    }
}

fn pass_of(admitted: Admittance) -> GuestPass {
    GuestPass {
        guest: Guest { session: admitted.session, invitation: admitted.invitation },
        expires_at: admitted.expires_at,
        rests_on: admitted.rests_on,
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
