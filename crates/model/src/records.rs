//! The records of the Arvados API that Wharf keeps; serde gives their wire JSON (the API adds `kind` and `etag`).
//!
//! Field names and meanings are Arvados's (API revision 20250402); `service` and `published_ports` are the mission's.

use crate::port::{ContainerPort, PublishedPorts};
use crate::state::{ContainerState, RequestState};
use crate::timestamp::Timestamp;
use crate::uuid::{ContainerUuid, LinkUuid, RequestUuid, TokenUuid, UserUuid, WorkflowUuid};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddrV4;

/// A JSON object that we keep but do not look into.
pub type JsonMap = serde_json::Map<String, Value>;

/// What the system sets on every record, and what stands around it on the wire.
const OF_THE_SYSTEM: [&str; 8] = [
    "uuid",
    "kind",
    "etag",
    "href",
    "created_at",
    "modified_at",
    "modified_by_user_uuid",
    "modified_by_client_uuid",
];

/// Whether an attribute is passed over where it is sent: clients send records back as they got them. `own` are those of
/// its record type, besides the ones that all have.
pub fn is_read_only(name: &str, own: &[&str]) -> bool {
    OF_THE_SYSTEM.contains(&name) || own.contains(&name)
}

/// What a container needs to run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuntimeConstraints {
    /// Whether it gets an API token and a way to the API.
    #[serde(rename = "API")]
    pub api: bool,
    /// GPUs, as Arvados writes them.
    pub gpu: JsonMap,
    /// Bytes of cache on disk.
    pub keep_cache_disk: u64,
    /// Bytes of cache in memory.
    pub keep_cache_ram: u64,
    /// Bytes of memory.
    pub ram: u64,
    /// Number of CPUs.
    pub vcpus: u32,
    /// Ways to services of other containers, by the address on its own loopback; ours, left out where there are none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub connect: BTreeMap<SocketAddrV4, ServicePort>,
}

/// A port of another container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServicePort {
    /// Whose.
    pub container: ContainerUuid,
    /// One that it publishes.
    pub port: ContainerPort,
}

/// A user's wish to run something.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerRequest {
    /// Its identifier.
    pub uuid: RequestUuid,
    /// The user or project it belongs to.
    pub owner_uuid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Who changed it last: for a committed request, who submitted it.
    pub modified_by_user_uuid: UserUuid,
    /// What people call it.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Free metadata.
    pub properties: JsonMap,
    /// How far it is.
    pub state: RequestState,
    /// The container whose program made this request.
    pub requesting_container_uuid: Option<ContainerUuid>,
    /// The container that satisfies it; null before it is committed.
    pub container_uuid: Option<ContainerUuid>,
    /// How many containers were tried.
    pub container_count: u32,
    /// How many may be.
    pub container_count_max: u32,
    /// What is mounted where: path to mount.
    pub mounts: JsonMap,
    /// Mounts that are never shown again.
    #[serde(skip_serializing, default)]
    pub secret_mounts: JsonMap,
    /// The token that its program gets instead of one of its own; never shown.
    #[serde(skip_serializing, default)]
    pub runtime_token: Option<String>,
    /// What it needs to run.
    pub runtime_constraints: RuntimeConstraints,
    /// Where and how long it may run.
    pub scheduling_parameters: JsonMap,
    /// The image: a name, or the portable data hash or identifier of its collection.
    pub container_image: String,
    /// Environment variables, all values strings.
    pub environment: JsonMap,
    /// Working directory; `.` means the image's.
    pub cwd: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The directory whose content is the output.
    pub output_path: String,
    /// Patterns of what to keep of it.
    pub output_glob: Vec<String>,
    /// Name of the output collection.
    pub output_name: Option<String>,
    /// Seconds until the output may be trashed; 0 means never.
    pub output_ttl: i64,
    /// 0 to 1000; 0 means not wanted any more.
    pub priority: i64,
    /// Whether a finished equal container may be used instead.
    pub use_existing: bool,
    /// Collection of the logs.
    pub log_uuid: Option<String>,
    /// Collection of the outputs.
    pub output_uuid: Option<String>,
    /// When the request lapses.
    pub expires_at: Option<Timestamp>,
    /// Not used (Arvados).
    pub filters: Option<Value>,
    /// Storage classes of the output.
    pub output_storage_classes: Vec<String>,
    /// Properties of the output collection.
    pub output_properties: JsonMap,
    /// Cost so far.
    pub cumulative_cost: f64,
    /// Long-lived service, or once-through batch run.
    pub service: bool,
    /// Ports people may open.
    pub published_ports: PublishedPorts,
}

/// The run that satisfies one or more requests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// Its identifier.
    pub uuid: ContainerUuid,
    /// The system user.
    pub owner_uuid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Who changed it last.
    pub modified_by_user_uuid: UserUuid,
    /// How far it is.
    pub state: ContainerState,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The portable data hash of the image's collection, or the image's id where it has none.
    pub container_image: String,
    /// Working directory.
    pub cwd: String,
    /// Environment variables.
    pub environment: JsonMap,
    /// The program's exit code, once Complete.
    pub exit_code: Option<i32>,
    /// When it became Running.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// The token of the dispatcher that holds it.
    pub locked_by_uuid: Option<String>,
    /// How often it was locked.
    pub lock_count: u32,
    /// Portable data hash of the logs.
    pub log: Option<String>,
    /// Portable data hash of the outputs.
    pub output: Option<String>,
    /// What is mounted where.
    pub mounts: JsonMap,
    /// The directory whose content is the output.
    pub output_path: String,
    /// Patterns of what to keep of it.
    pub output_glob: Vec<String>,
    /// Greatest priority of its requests, scaled (Arvados); 0 means stop it.
    pub priority: i64,
    /// 0 to 1, set by the program.
    pub progress: Option<f64>,
    /// What it needs to run.
    pub runtime_constraints: RuntimeConstraints,
    /// `error`, `warning`, `activity` and their details, in words.
    pub runtime_status: JsonMap,
    /// Where and how long it may run.
    pub scheduling_parameters: JsonMap,
    /// Token given to the program.
    pub auth_uuid: Option<TokenUuid>,
    /// Whom the program acts for.
    pub runtime_user_uuid: Option<UserUuid>,
    /// What that token may do.
    pub runtime_auth_scopes: Vec<String>,
    /// How the supervisor is reached.
    pub gateway_address: Option<String>,
    /// Whether somebody opened a terminal in it.
    pub interactive_session_started: bool,
    /// Storage classes of the output.
    pub output_storage_classes: Vec<String>,
    /// Properties of the output collection.
    pub output_properties: JsonMap,
    /// Cost so far.
    pub cost: f64,
    /// Cost of the requests it made.
    pub subrequests_cost: f64,
    /// Long-lived service, or once-through batch run.
    pub service: bool,
    /// Ports people may open, with their addresses and readiness once Running.
    pub published_ports: PublishedPorts,
}

impl Container {
    /// Why it failed, in words, where it did.
    pub fn error_words(&self) -> Option<&str> {
        self.runtime_status.get("error").and_then(Value::as_str)
    }
}

/// A relation between objects; for us, a host name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Link {
    /// Its identifier.
    pub uuid: LinkUuid,
    /// The user or project it belongs to.
    pub owner_uuid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Who changed it last.
    pub modified_by_user_uuid: UserUuid,
    /// `hostname`, `published_port`, `tag`, ….
    pub link_class: String,
    /// For a host name, the label.
    pub name: String,
    /// What it points from.
    pub tail_uuid: Option<String>,
    /// What it points to; for a host name, a container request.
    pub head_uuid: Option<String>,
    /// For a host name, `{"port": 80}`.
    pub properties: JsonMap,
}

impl Link {
    /// Whether it is a host name: the mission's word, or Arvados 3.2's for the same thing.
    pub fn is_hostname(&self) -> bool {
        is_hostname_class(&self.link_class)
    }

    /// The port that a host name leads to.
    pub fn port(&self) -> Option<crate::port::ContainerPort> {
        let number = self.properties.get("port")?.as_u64()?;
        crate::port::ContainerPort::new(u16::try_from(number).ok()?)
    }
}

/// Whether a link class names hosts; both share one name space.
pub fn is_hostname_class(link_class: &str) -> bool {
    matches!(link_class, "hostname" | "published_port")
}

/// A workflow that users registered, to be started from a page or by its identifier.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workflow {
    /// Its identifier.
    pub uuid: WorkflowUuid,
    /// The user or project it belongs to.
    pub owner_uuid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Who changed it last.
    pub modified_by_user_uuid: UserUuid,
    /// What people call it.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The workflow itself, CWL as JSON or YAML text.
    pub definition: Option<String>,
    /// The collection that holds its files.
    pub collection_uuid: Option<String>,
}

/// A person or program that acts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Its identifier.
    pub uuid: UserUuid,
    /// The system user.
    pub owner_uuid: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Who changed it last.
    pub modified_by_user_uuid: UserUuid,
    /// Unique address.
    pub email: String,
    /// Unique short name.
    pub username: String,
    /// First name.
    pub first_name: String,
    /// Last name.
    pub last_name: String,
    /// Where the person signs in.
    pub identity_url: Option<String>,
    /// Whether it may act at all.
    pub is_active: bool,
    /// Whether it may do everything.
    pub is_admin: bool,
    /// Own settings.
    pub prefs: JsonMap,
}

impl User {
    /// First and last name, or the short name.
    pub fn full_name(&self) -> String {
        let name = format!("{} {}", self.first_name, self.last_name);
        if name.trim().is_empty() { self.username.clone() } else { name.trim().to_owned() }
    }
}

/// An API token as recorded: never with its secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Its identifier.
    pub uuid: TokenUuid,
    /// The user it acts for.
    pub owner_uuid: UserUuid,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// Who changed it last.
    pub modified_by_user_uuid: UserUuid,
    /// What it may do: `["all"]`, or method and path entries.
    pub scopes: Vec<String>,
    /// When it lapses; null means never.
    pub expires_at: Option<Timestamp>,
}

impl TokenRecord {
    /// Whether it may do everything its user may.
    pub fn is_unscoped(&self) -> bool {
        self.scopes.iter().any(|scope| scope == "all")
    }
}
