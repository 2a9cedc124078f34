//! What a site has and how it does, as its administrators are told.

use crate::timestamp::Timestamp;
use crate::uuid::UserUuid;
use serde::{Deserialize, Serialize};

/// All of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Site {
    /// The machines that run containers.
    pub nodes: Vec<Node>,
    /// Where blocks are.
    pub volumes: Vec<Volume>,
    /// What the last sweep found there; none where none was made yet.
    pub blocks: Option<Blocks>,
    /// What went through the controller that answers.
    pub proxy: ProxyFigures,
    /// The config as it was understood, in YAML, without secrets.
    pub config: String,
}

/// A machine that runs containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it gives to containers, and what of it is promised.
    pub capacity: Capacity,
    /// Whether a process dispatches for it.
    pub is_dispatching: bool,
    /// When that process last looked at everything; it does so every few seconds.
    pub looked_at: Option<Timestamp>,
    /// Set where an administrator keeps new containers from it.
    #[serde(default)]
    pub cordon: Option<Cordon>,
}

/// That a machine takes no new containers; those that run go on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cordon {
    /// From then on.
    pub since: Timestamp,
    /// The administrator who said so.
    pub by_user_uuid: UserUuid,
}

impl Cordon {
    /// Why a container waits, for its owner.
    pub fn words(&self, node: &str) -> String {
        format!(
            "waiting: an administrator keeps new containers from the machine {node} since {} \
             (it is cordoned); it starts when that is over",
            self.since
        )
    }
}

/// What there is for containers, overcommit included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Containers at a time.
    pub containers: Share,
    /// CPUs.
    pub vcpus: Share,
    /// Memory in bytes.
    pub ram_bytes: Share,
}

/// How much of something is promised.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    /// To containers that run or are being started.
    pub promised: u64,
    /// In all.
    pub most: u64,
}

impl Share {
    /// What can still be had.
    pub fn free(self) -> u64 {
        self.most.saturating_sub(self.promised)
    }
}

/// A place that keeps blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name in the config.
    pub name: String,
    /// A directory, or a bucket and its server.
    pub place: String,
    /// Whether blocks are only read from it.
    pub is_read_only: bool,
    /// Bytes that we may still write there; none where that cannot be said.
    pub free_bytes: Option<u64>,
    /// Bytes that there are in all.
    pub size_bytes: Option<u64>,
    /// Why it cannot be looked at.
    pub trouble: Option<String>,
}

/// What a sweep found on all volumes that can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocks {
    /// When it was done.
    pub swept_at: Timestamp,
    /// Blocks that something refers to, or that are too new to say.
    pub n_kept: u64,
    /// Their bytes.
    pub kept_bytes: u64,
    /// Blocks that went to the trash.
    pub n_trashed: u64,
    /// Blocks that were deleted.
    pub n_deleted: u64,
}

/// What went through one controller since it started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyFigures {
    /// When it started.
    pub since: Timestamp,
    /// Requests and sockets that are open.
    pub n_open: u64,
    /// WebSockets and raw connections among them.
    pub n_sockets: u64,
    /// Answers by the first digit of their status: 1xx first, 5xx last.
    pub by_class: [u64; 5],
    /// Refusals by reason, those that happened.
    pub refusals: Vec<(String, u64)>,
}
