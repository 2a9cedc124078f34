//! Where supervisors run: this machine now, Slurm later. The dispatcher knows only this trait.

use std::fmt;
use std::path::PathBuf;

use futures_util::future::BoxFuture;
use model::{ContainerUuid, SupervisorState};
use tokio::sync::watch;

pub mod local;

/// Starts supervisors and looks after them from outside.
///
/// Every verb is idempotent, so that a restarted dispatcher may repeat what its predecessor began.
pub trait Backend: Send + Sync + fmt::Debug {
    /// Starts the supervisor of a prepared container directory; returns once it is under way.
    fn launch(&self, container: ContainerUuid) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Every supervisor, and every dead one's directory that was not forgotten.
    fn list(&self) -> BoxFuture<'_, Result<Vec<Found>, BackendError>>;

    /// Signals a supervisor past its tunnel. No error if it is gone.
    fn end(&self, container: ContainerUuid, how: EndHow)
    -> BoxFuture<'_, Result<(), BackendError>>;

    /// Removes what a dead supervisor left: processes, mounts, control groups, the root file system.
    fn sweep(&self, container: ContainerUuid) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Drops a swept container from [`Backend::list`]; its logs stay.
    fn forget(&self, container: ContainerUuid) -> BoxFuture<'_, Result<(), BackendError>>;

    /// Changes whenever a supervisor has died.
    fn changes(&self) -> watch::Receiver<u64>;
}

/// A supervisor as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Of which container.
    pub container: ContainerUuid,
    /// Whether it runs.
    pub is_alive: bool,
    /// Its state file, if it has written one.
    pub said: Option<SupervisorState>,
}

/// How to end a supervisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndHow {
    /// SIGTERM: it stops its container, with the grace period, and reports.
    Ask,
    /// SIGKILL: for one that does not answer; its leftovers must be swept.
    Kill,
}

/// A verb failed.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// A file of the container's directory.
    #[error("cannot {step} {path:?}")]
    File {
        /// What was tried.
        step: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The executable did not start.
    #[error("cannot start {executable:?}")]
    Spawn {
        /// Which.
        executable: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The sweep ran but failed, or not in time.
    #[error("cannot remove what container {container} left: {problem}")]
    Sweep {
        /// Of which container.
        container: ContainerUuid,
        /// In words.
        problem: String,
    },
}
