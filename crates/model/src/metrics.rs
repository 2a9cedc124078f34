//! Figures of containers over time, as our own API has them.
//!
//! In every list the oldest comes first, and null stands where nothing was measured.

use crate::timestamp::Timestamp;
use crate::uuid::ContainerUuid;
use serde::{Deserialize, Serialize};

/// A figure for each slot of a range.
pub type Slots<T> = Vec<Option<T>>;

/// One container over a range of time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ContainerMetrics {
    /// Which.
    pub container_uuid: ContainerUuid,
    /// `15m`, `1h`, `24h` or `7d`.
    pub range: String,
    /// When the first slot begins.
    pub start: Timestamp,
    /// How long each slot is.
    pub period_seconds: u64,
    /// CPUs that it may use; 0 means no limit.
    pub vcpus: u32,
    /// Memory that it may use, in bytes; 0 means no limit.
    pub memory_limit_bytes: u64,
    /// CPUs used, on average.
    pub cpu_cores: Slots<f64>,
    /// Most memory used, in bytes.
    pub memory_bytes: Slots<u64>,
    /// Most processes.
    pub processes: Slots<u64>,
    /// How often the kernel ended it for want of memory.
    pub oom_kills: Slots<u64>,
    /// Answers to requests, by their status.
    pub requests_per_second: ByClass,
    /// Time until the first byte of the app's answers.
    pub first_byte_seconds: Quantiles,
    /// Bytes from clients.
    pub bytes_in_per_second: Slots<f64>,
    /// Bytes to clients.
    pub bytes_out_per_second: Slots<f64>,
    /// Requests and sockets that were open, on average.
    pub open_connections: Slots<f64>,
}

/// Rates by the first digit of a status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ByClass {
    /// Sockets, mostly.
    #[serde(rename = "1xx")]
    pub informational: Slots<f64>,
    /// Successes.
    #[serde(rename = "2xx")]
    pub success: Slots<f64>,
    /// Redirections.
    #[serde(rename = "3xx")]
    pub redirection: Slots<f64>,
    /// The client's errors.
    #[serde(rename = "4xx")]
    pub client_error: Slots<f64>,
    /// The app's, or ours.
    #[serde(rename = "5xx")]
    pub server_error: Slots<f64>,
}

/// What half, and nineteen of twenty, did not exceed; in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Quantiles {
    /// The median.
    pub p50: Slots<f64>,
    /// 95 of 100.
    pub p95: Slots<f64>,
}

/// What a running container used in the last 15 minutes, minute by minute.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecentUsage {
    /// Which.
    pub container_uuid: ContainerUuid,
    /// CPUs used, on average.
    pub cpu_cores: Slots<f64>,
    /// Most memory used, in bytes.
    pub memory_bytes: Slots<u64>,
}
