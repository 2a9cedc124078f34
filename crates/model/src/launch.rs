//! What passes between dispatcher, supervisor and controller to run one container.

use crate::mounts::{MountPlan, SecretPlan};
use crate::port::ContainerPort;
use crate::timestamp::Timestamp;
use crate::uuid::ContainerUuid;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddrV4;
use std::path::PathBuf;

/// What an image says about running it (OCI image configuration).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageConfig {
    /// Program and first arguments.
    #[serde(default)]
    pub entrypoint: Vec<String>,
    /// Arguments, or the whole command where there is no entry point.
    #[serde(default)]
    pub cmd: Vec<String>,
    /// `NAME=value` entries.
    #[serde(default)]
    pub env: Vec<String>,
    /// Working directory; empty means `/`.
    #[serde(default)]
    pub working_dir: String,
    /// `user[:group]`, names or numbers; empty means root.
    #[serde(default)]
    pub user: String,
}

/// A directory or file of the host, made visible in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BindMount {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path in the container.
    pub target: String,
    /// Whether the container may write to it.
    pub writable: bool,
}

/// Where a supervisor finds blocks and keeps what it made of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockStore {
    /// The directory that holds blocks where no volumes are named; with volumes, where those that
    /// are under way are for a moment.
    pub dir: PathBuf,
    /// The site's volumes; none is that directory alone.
    #[serde(default)]
    pub volumes: Vec<BlockVolume>,
    /// Copies that each block gets.
    #[serde(default = "one")]
    pub replication: u32,
    /// The directory in which files made of blocks are kept for the next container.
    pub cache: PathBuf,
    /// Bytes that such files may take.
    pub cache_bytes_max: u64,
}

fn one() -> u32 {
    1
}

/// A place that keeps blocks. Holds no secret, and names files that do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockVolume {
    /// Its name in the config.
    pub name: String,
    /// What and where it is.
    pub place: VolumePlace,
    /// The storage classes of what is on it; at least one.
    pub storage_classes: Vec<String>,
    /// How many copies a block on it counts as.
    pub replication: u32,
    /// Whether blocks are only read from it.
    pub read_only: bool,
}

/// What a volume is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VolumePlace {
    /// A directory of this machine.
    Directory {
        /// Its path.
        root: PathBuf,
    },
    /// A bucket of an S3 server.
    S3(S3Bucket),
}

/// A bucket, and how to get at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct S3Bucket {
    /// Its name.
    pub bucket: String,
    /// The region, which signatures name.
    pub region: String,
    /// `http(s)://host[:port]` of the server; none is Amazon's of the region.
    pub endpoint: Option<String>,
    /// Who we are.
    pub access_key_id: String,
    /// The file with the secret that goes with it.
    pub secret_key_file: PathBuf,
    /// Roots of trust for the server; none is the machine's.
    pub ca_file: Option<PathBuf>,
    /// Time for a connection, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Time in which a request must be answered, and that an answer may be silent, in milliseconds.
    pub read_timeout_ms: u64,
}

/// A way from inside a container to the API, without a network: a port on the container's own loopback, which leads to
/// a controller.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiAccess {
    /// The port on 127.0.0.1 inside.
    pub port: u16,
    /// The directory in which each controller says where it listens.
    pub controllers: PathBuf,
}

/// A way from inside a container to a port of another container on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAccess {
    /// The address on the loopback inside.
    pub address: SocketAddrV4,
    /// The other container's directory, where its supervisor hands over sockets.
    pub dir: PathBuf,
    /// The port inside the other container.
    pub port: ContainerPort,
}

/// What a launch has that nobody may find afterwards. Written beside the specification, and removed by the supervisor
/// as soon as it has read it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchSecrets {
    /// Environment, over that of the request.
    pub environment: BTreeMap<String, String>,
    /// Secret mounts.
    pub mounts: SecretPlan,
}

impl std::fmt::Debug for LaunchSecrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LaunchSecrets(…)")
    }
}

/// All that a supervisor needs to run one container. Written to `spec.json`; holds no secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SuperviseSpec {
    /// The container.
    pub container_uuid: ContainerUuid,
    /// The command; empty means the image's own.
    pub command: Vec<String>,
    /// Environment of the request; wins over the image's.
    pub environment: BTreeMap<String, String>,
    /// Working directory of the request; `None` or `.` means the image's.
    pub cwd: Option<String>,
    /// `user[:group]`, where it is not the image's.
    pub user: Option<String>,
    /// Unpacked layers, top first.
    pub layers: Vec<PathBuf>,
    /// What the image says.
    pub image_config: ImageConfig,
    /// Ports whose readiness is watched.
    pub published_ports: Vec<ContainerPort>,
    /// Memory limit in bytes; 0 means none.
    pub ram_bytes: u64,
    /// Number of CPUs asked for.
    pub vcpus: u32,
    /// What is shown in the container beside the image, and where its standard streams lead.
    pub mounts: MountPlan,
    /// Where outputs are written, an absolute path in the container.
    pub output_path: Option<String>,
    /// Patterns of what to keep of the outputs; none is all of it.
    #[serde(default)]
    pub output_glob: Vec<String>,
    /// Where blocks are; without it nothing is read from collections, and nothing saved.
    #[serde(default)]
    pub blocks: Option<BlockStore>,
    /// How the program reaches the API; none is not at all.
    #[serde(default)]
    pub api: Option<ApiAccess>,
    /// Services of other containers that the program reaches.
    #[serde(default)]
    pub services: Vec<ServiceAccess>,
    /// The directory in which each controller has its socket for supervisors.
    pub tunnels: PathBuf,
    /// Time from SIGTERM to SIGKILL, in milliseconds.
    pub stop_grace_ms: u64,
    /// Most bytes kept of each of the app's two output streams.
    pub log_bytes_max: u64,
    /// Whether it is a service.
    pub service: bool,
    /// Time between looks at whether its processes work, in milliseconds.
    #[serde(default = "busy_period_ms")]
    pub busy_period_ms: u64,
}

/// For a specification of an earlier version.
fn busy_period_ms() -> u64 {
    30_000
}

/// How far a supervisor is with its container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The container is being made.
    Starting,
    /// The program runs.
    Running,
    /// It is over; `end` says how.
    Ended,
}

/// How a container's program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "how")]
pub enum Outcome {
    /// By itself.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// By a signal that we did not send.
    Signalled {
        /// The signal's number.
        signal: i32,
    },
    /// It was never started.
    FailedToStart,
    /// It ran to its end, and what it made could not be saved.
    NotSaved,
    /// We were asked to stop it.
    Stopped {
        /// The exit code, where it ended by itself within the grace period.
        code: Option<i32>,
    },
    /// Its supervisor vanished.
    Lost,
}

/// The end of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContainerEnd {
    /// How.
    pub outcome: Outcome,
    /// When.
    pub finished_at: Timestamp,
    /// Why, in words for the record; empty after exit code 0.
    pub reason: String,
    /// Whether the kernel killed it for want of memory.
    pub oom_killed: bool,
}

/// The whole state of a supervisor: sent on connect and on every change, and kept in `state.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SupervisorState {
    /// How far it is.
    pub phase: Phase,
    /// When the program was started.
    pub started_at: Option<Timestamp>,
    /// Ports that have accepted a connection, and when they first did.
    pub ready: BTreeMap<ContainerPort, Timestamp>,
    /// Of those, the ones on which nothing listens any more, and since when.
    #[serde(default)]
    pub silent: BTreeMap<ContainerPort, Timestamp>,
    /// When its processes last used a processor for more than they do at rest; coarse, so that it changes seldom.
    #[serde(default)]
    pub busy_at: Option<Timestamp>,
    /// Whether it knows [`ToSupervisor::Shut`], which those of earlier versions do not.
    #[serde(default)]
    pub shuts_ways: bool,
    /// How it ended, once it has.
    pub end: Option<ContainerEnd>,
}

impl Default for SupervisorState {
    fn default() -> Self {
        Self {
            phase: Phase::Starting,
            started_at: None,
            ready: BTreeMap::new(),
            silent: BTreeMap::new(),
            busy_at: None,
            shuts_ways: false,
            end: None,
        }
    }
}

/// A line from a supervisor on its control stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToController {
    /// How things are now.
    State(SupervisorState),
}

/// A line to a supervisor on its control stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToSupervisor {
    /// The state with this phase is in the records for good.
    Ack {
        /// The phase.
        phase: Phase,
    },
    /// End the container.
    Stop {
        /// Time from SIGTERM to SIGKILL, in milliseconds.
        grace_ms: u64,
    },
    /// These ways to services of other containers are shut, all others open. Only for those who say that they know this
    /// ([`SupervisorState::shuts_ways`]).
    Shut {
        /// Where the program finds those services.
        addresses: BTreeSet<SocketAddrV4>,
    },
}
