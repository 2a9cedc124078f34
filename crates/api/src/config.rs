//! What the API needs to know of its site, all of it resolved.

use std::path::PathBuf;
use std::time::Duration;

use model::request_rules::ServiceLives;
use model::{LifePolicy, ReservedNames, ServiceDomain, VersionPolicy};

use crate::sign_in_config::SignInConfig;

/// Who may show paths of the host in containers (mounts of kind `bind`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BindMounts {
    /// Administrators: on a machine of one's own that is the owner.
    AdminsOnly,
    /// Everybody who may submit requests.
    Everyone,
    /// Nobody.
    Nobody,
}

/// How collections are kept, as clients are told of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CollectionsConfig {
    /// Copies of each block that clients are told to want.
    pub replication: u32,
    /// How long a collection lies in the trash before it is deleted.
    pub trash_lifetime: Duration,
    /// Which versions are kept.
    pub versions: VersionPolicy,
}

impl Default for CollectionsConfig {
    fn default() -> Self {
        Self {
            replication: 1,
            trash_lifetime: Duration::from_secs(14 * 24 * 3600),
            versions: VersionPolicy { is_enabled: true, idle: Duration::from_secs(10) },
        }
    }
}

/// What invitations may be.
#[derive(Debug, Clone)]
pub struct InvitationsConfig {
    /// How long one holds where its maker does not say.
    pub lifetime: Duration,
    /// The longest that one may hold.
    pub lifetime_max: Duration,
    /// The most uses.
    pub uses_max: u32,
}

impl Default for InvitationsConfig {
    fn default() -> Self {
        let day = Duration::from_secs(24 * 3600);
        Self { lifetime: day, lifetime_max: 30 * day, uses_max: 100 }
    }
}

/// How long containers live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivesConfig {
    /// What services may ask for.
    pub of_services: ServiceLives,
    /// What their ends go by.
    pub policy: LifePolicy,
}

impl Default for LivesConfig {
    fn default() -> Self {
        let policy = LifePolicy::new(Duration::from_secs(600), Duration::from_secs(30));
        Self { of_services: ServiceLives::default(), policy }
    }
}

/// Shells in containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TerminalsConfig {
    /// Most shells of one container.
    pub per_container_max: usize,
    /// Most shells that one user has open here.
    pub per_user_max: usize,
    /// How long one with a terminal stays when its client is gone.
    pub keep_detached: Duration,
}

impl Default for TerminalsConfig {
    fn default() -> Self {
        Self { per_container_max: 8, per_user_max: 32, keep_detached: Duration::from_secs(300) }
    }
}

/// The API's settings.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Our version, for the status.
    pub version: String,
    /// Where the API and the dashboard are, ends with `/`.
    pub external_url: String,
    /// Where service hosts are.
    pub service_domain: ServiceDomain,
    /// Names nobody may claim.
    pub reserved_names: ReservedNames,
    /// Who may bind paths of the host.
    pub bind_mounts: BindMounts,
    /// The directories of the host that may be bound, with all below them.
    pub bind_directories: Vec<PathBuf>,
    /// Largest body of a record call; a request with a whole workflow inside has some 10 MB.
    pub request_bytes_max: usize,
    /// Largest image archive.
    pub image_bytes_max: u64,
    /// How long a hand-off code holds: a browser follows the link at once.
    pub handoff_ttl: Duration,
    /// How long a sign-in link holds: a person copies it from a terminal.
    pub login_ttl: Duration,
    /// What invitations may be.
    pub invitations: InvitationsConfig,
    /// How long a dashboard session holds.
    pub session_ttl: Duration,
    /// How long the token of a sign-in with a password holds.
    pub password_ttl: Duration,
    /// How collections are kept.
    pub collections: CollectionsConfig,
    /// How long containers live.
    pub lives: LivesConfig,
    /// Most sockets on which events are sent.
    pub event_sockets_max: usize,
    /// Most tries of a password for one user in a minute.
    pub password_tries_per_minute: u32,
    /// The ways to sign in.
    pub sign_in: SignInConfig,
    /// Shells in containers; none where they are switched off.
    pub terminals: Option<TerminalsConfig>,
}

impl ApiConfig {
    /// Defaults for the rest.
    pub fn new(external_url: impl Into<String>, service_domain: ServiceDomain) -> Self {
        let mut external_url = external_url.into();
        if !external_url.ends_with('/') {
            external_url.push('/');
        }
        Self {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            external_url,
            service_domain,
            reserved_names: ReservedNames::default(),
            bind_mounts: BindMounts::AdminsOnly,
            bind_directories: vec![PathBuf::from("/")],
            request_bytes_max: 128 << 20,
            image_bytes_max: 64 << 30,
            handoff_ttl: Duration::from_secs(60),
            login_ttl: Duration::from_secs(600),
            invitations: InvitationsConfig::default(),
            session_ttl: Duration::from_secs(24 * 3600),
            password_ttl: Duration::from_secs(24 * 3600),
            collections: CollectionsConfig::default(),
            lives: LivesConfig::default(),
            event_sockets_max: 1000,
            password_tries_per_minute: 10,
            sign_in: SignInConfig::default(),
            terminals: Some(TerminalsConfig::default()),
        }
    }
}
