//! The nouns of Wharf and the rules that need nothing but themselves.
//!
//! What it is for: identifiers, tokens, published ports, host names, states, records and their wire JSON.
//! What it does not do: no task, no socket, no clock, no randomness, no SQL. Callers bring those in as values.
//! Where to start reading: [`records`], then [`port`] and [`service_domain`].

pub mod collection;
pub mod container_rules;
pub mod duration;
pub mod field_error;
pub mod filter;
pub mod glob;
pub mod group;
pub mod group_rules;
pub mod host_label;
pub mod launch;
pub mod life;
pub mod metrics;
pub mod mounts;
pub mod permission;
pub mod port;
pub mod records;
pub mod request_rules;
pub mod service_access;
pub mod service_domain;
pub mod shell;
pub mod site;
pub mod state;
pub mod timestamp;
pub mod token;
pub mod uuid;
pub mod visitors;

pub use collection::{Collection, VersionPolicy};
pub use field_error::FieldError;
pub use glob::Glob;
pub use group::{Group, GroupClass, WellKnownGroup};
pub use host_label::{HostLabel, HostLabelError, ReservedNames};
pub use launch::{
    ApiAccess, BindMount, BlockStore, BlockVolume, ContainerEnd, ImageConfig, LaunchSecrets,
    Outcome, Phase, S3Bucket, ServiceAccess, SuperviseSpec, SupervisorState, ToController,
    ToSupervisor, VolumePlace,
};
pub use life::{Due, EndOfLife, Life, LifeLimits, LifeNotes, LifePolicy, PlannedEnd};
pub use mounts::{CollectionMount, Content, MountPlan, MountProblem, SecretPlan, Stdin};
pub use permission::Level;
pub use port::{Access, ContainerPort, PortError, PublishedPort, PublishedPorts};
pub use records::{
    Container, ContainerRequest, JsonMap, Link, RuntimeConstraints, ServicePort, TokenRecord, User,
    Workflow, is_read_only,
};
pub use service_domain::{ServiceDomain, ServiceDomainError, initial_url};
pub use state::{ContainerState, RequestState};
pub use timestamp::Timestamp;
pub use token::{ApiToken, TokenError, TokenHash};
pub use uuid::{
    ClusterId, CollectionUuid, ContainerUuid, GroupUuid, GuestSessionUuid, InvitationUuid,
    LinkUuid, LogUuid, RequestUuid, TokenUuid, UserUuid, Uuid, UuidError, WorkflowUuid,
};
