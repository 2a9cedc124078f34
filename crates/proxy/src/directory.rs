//! What the proxy needs to know, as it asks for it: what a service host stands for, and who a credential is.
//!
//! The proxy owns these traits; whoever assembles the process implements them. A warm request asks nothing: what was
//! decided is kept as a grant.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use model::{
    Access, ApiToken, ContainerPort, ContainerUuid, GuestSessionUuid, InvitationUuid,
    PublishedPorts, RequestUuid, Timestamp, TokenUuid, UserUuid,
};

/// What the label of a service host names. UUID forms come first, so that no name can take one over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HostTarget {
    /// `<container uuid>` or `<container uuid>-<port>`.
    Container {
        /// The container.
        uuid: ContainerUuid,
        /// Absent: port 80, or the only published one.
        port: Option<ContainerPort>,
    },
    /// `<container request uuid>` or `<container request uuid>-<port>`.
    Request {
        /// The container request.
        uuid: RequestUuid,
        /// Absent: port 80, or the only published one.
        port: Option<ContainerPort>,
    },
    /// The name of a hostname link, lower-cased.
    Name(String),
    /// A port of the one service host, on sites without a wildcard name.
    ExternalPort(u16),
}

/// The state of what stands behind a service host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetState {
    /// The request was not submitted yet, so there is no container.
    Uncommitted,
    /// Waits for a place.
    Queued,
    /// Has a place and is being started.
    Locked,
    /// Its process runs.
    Running,
    /// Its process ended.
    Complete,
    /// It was stopped, or could not run.
    Cancelled,
}

impl TargetState {
    /// The word of the record.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Uncommitted => "Uncommitted",
            Self::Queued => "Queued",
            Self::Locked => "Locked",
            Self::Running => "Running",
            Self::Complete => "Complete",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// One port of one service, as the records stand now.
#[derive(Debug, Clone)]
pub struct Target {
    /// The container, once there is one.
    pub container: Option<ContainerUuid>,
    /// The request that was named, or one behind the container.
    pub request: Option<RequestUuid>,
    /// The service's name for people.
    pub name: String,
    /// The container's state.
    pub state: TargetState,
    /// The container's published ports, else the request's.
    pub ports: PublishedPorts,
    /// The port that the host names; [`default_port`](crate::host::default_port) where it names none.
    pub port: ContainerPort,
    /// Who submitted each of the requests behind the container; all must be one for that user to get in.
    pub submitters: Vec<UserUuid>,
    /// How it ended, in words ("exited with code 3"); empty until then.
    pub exit_words: String,
    /// Whether it was meant to live long.
    pub is_service: bool,
    /// Identifiers of the records that all this was read from: a change of one of them may change it.
    pub records: Vec<String>,
}

impl Target {
    /// Whether everyone may open the port.
    pub fn is_public(&self) -> bool {
        self.ports.get(self.port).is_some_and(|entry| entry.access == Access::Public)
    }

    /// Whether the port is in `published_ports`.
    pub fn is_published(&self) -> bool {
        self.ports.get(self.port).is_some()
    }

    /// Whether the port has ever accepted a connection.
    pub fn was_ready(&self) -> bool {
        self.ports.get(self.port).is_some_and(model::PublishedPort::is_ready)
    }

    /// The label of the port for people, or its number.
    pub fn port_label(&self) -> String {
        let label = self.ports.get(self.port).map(|entry| entry.label.clone());
        label.unwrap_or_else(|| format!("port {}", self.port))
    }
}

/// Something a caller presents.
#[derive(Debug, Clone)]
pub enum Credential {
    /// An API token, from the query or the `Authorization` header.
    Token(ApiToken),
    /// A single-use code from the query, to be redeemed at this place and no other.
    Code {
        /// `wc1_…`.
        code: String,
        /// The host it was presented at: lower-cased, with the port where that is not the scheme's own. Behind a space
        /// the digest of the browser's mark, where the code was made for one browser.
        place: String,
        /// The container behind that host.
        container: Option<ContainerUuid>,
        /// The request behind that host.
        request: Option<RequestUuid>,
        /// The container's port.
        port: ContainerPort,
    },
    /// What an opened session cookie says; the token may have been revoked since.
    Session {
        /// The token that the session was made with.
        token_uuid: TokenUuid,
        /// Whose it was.
        user_uuid: UserUuid,
    },
}

/// Who a valid credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The user.
    pub user: UserUuid,
    /// The token behind the credential.
    pub token: TokenUuid,
    /// Administrators may open every service.
    pub is_admin: bool,
    /// Only a token for everything (scope `all`) opens a service.
    pub unscoped: bool,
    /// When the token ends.
    pub expires_at: Option<Timestamp>,
}

/// One who was invited, and has no account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guest {
    /// The guest's session.
    pub session: GuestSessionUuid,
    /// The invitation that it was made with.
    pub invitation: InvitationUuid,
}

/// A guest who may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestPass {
    /// Who.
    pub guest: Guest,
    /// When the invitation ends.
    pub expires_at: Timestamp,
    /// Identifiers of the records that it rests on, besides the target's.
    pub rests_on: Vec<String>,
}

/// What the start page shows beside the state.
#[derive(Debug, Clone, Default)]
pub struct StartInfo {
    /// Place in the queue, from 1.
    pub queue_place: Option<u64>,
    /// One sentence: what it waits for.
    pub detail: String,
    /// The last log lines, oldest first.
    pub log_lines: Vec<String>,
}

/// News of the records. A hint to look again, never the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// The record with this identifier was changed or deleted.
    Record(String),
    /// News was lost, or concerns everything: look at everything.
    Everything,
}

/// The records cannot be asked now; the caller gets 503.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the records cannot be read: {0}")]
pub struct DirectoryError(pub String);

/// Answers the proxy's questions from records.
pub trait Directory: Send + Sync {
    /// What a service host stands for; `None` when there is no such thing.
    fn find<'a>(
        &'a self,
        target: &'a HostTarget,
    ) -> BoxFuture<'a, Result<Option<Arc<Target>>, DirectoryError>>;

    /// Who presents a credential; `None` when it is not valid (unknown, expired, revoked, used up, of an inactive user).
    fn principal(
        &self,
        credential: Credential,
    ) -> BoxFuture<'_, Result<Option<Principal>, DirectoryError>>;

    /// Whether somebody who may opened the target's port to this user, who did not start the service: the identifiers of
    /// the records that this rests on. `None` (the default): it was not.
    fn opened_to<'a>(
        &'a self,
        target: &'a Target,
        user: UserUuid,
    ) -> BoxFuture<'a, Result<Option<Vec<String>>, DirectoryError>> {
        let _not_asked = (target, user);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Lets a guest in to the target's port, and counts a use of the invitation. `None` (the default): the secret is none,
    /// or opens nothing there any more.
    fn redeem_invitation<'a>(
        &'a self,
        secret: &'a str,
        target: &'a Target,
        from: IpAddr,
    ) -> BoxFuture<'a, Result<Option<GuestPass>, DirectoryError>> {
        let _not_asked = (secret, target, from);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Whether a guest may still enter the target's port. `None` (the default): no.
    fn guest<'a>(
        &'a self,
        guest: Guest,
        target: &'a Target,
    ) -> BoxFuture<'a, Result<Option<GuestPass>, DirectoryError>> {
        let _not_asked = (guest, target);
        Box::pin(std::future::ready(Ok(None)))
    }

    /// What the start page shows. Only asked for callers who may open the service.
    fn start_info<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, StartInfo>;

    /// What changes from now on. A question asked after the news is answered from after the change.
    /// `None` (the default): nothing ever changes.
    fn changes(&self) -> Option<BoxStream<'static, Changed>> {
        None
    }

    /// How long it has been unknown whether something changed; decisions are not kept for longer than the site allows.
    fn silent_for(&self) -> Duration {
        Duration::ZERO
    }
}
