//! A running container, as its supervisor holds it.

use crate::dialer::Dialer;
use crate::error::Gone;
use crate::exec::Executor;
use crate::link::Link;
use crate::listeners::Listeners;
use crate::sock_diag::SockDiag;
use crate::spec::{Exit, ExitStatus, Signal};
use crate::sweep::sweep;
use crate::usage::Meter;
use crate::wire::ToShim;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How long a shim may take to kill and remove a container before it is swept away.
const CLEANUP_TIMEOUT: Duration = Duration::from_secs(20);

/// A container that was started. Dropping it kills the container and removes its files; so does
/// the death of the process that holds it, however it dies.
#[derive(Debug)]
pub struct Handle {
    pub(crate) link: Arc<Link>,
    pub(crate) id: String,
    pub(crate) dir: PathBuf,
    pub(crate) pid: u32,
    pub(crate) notes: Vec<String>,
    pub(crate) groups: Vec<PathBuf>,
    pub(crate) listeners: Vec<OwnedFd>,
    pub(crate) kernel: Option<Arc<SockDiag>>,
}

impl Handle {
    /// Process 1 of the container, as the host numbers it.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What was asked for and could not be had (limits that this machine does not enforce), in
    /// words for the container's owner.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The sockets that listen inside the container, in the order of the specification; the second time there are none.
    /// Not blocking.
    pub fn take_listeners(&mut self) -> Vec<std::net::TcpListener> {
        std::mem::take(&mut self.listeners).into_iter().map(std::net::TcpListener::from).collect()
    }

    /// Sends a signal to the container's command. The command may ignore it.
    pub async fn signal(&self, signal: Signal) -> Result<(), Gone> {
        self.link.send(&ToShim::Signal(signal.as_raw())).await
    }

    /// Kills every process of the container; `wait` then tells of signal 9. Fine to call twice.
    pub async fn kill(&self) {
        // A container that has ended needs no killing.
        let _gone = self.link.send(&ToShim::Kill).await;
    }

    /// Waits for the end of the command. Cancel-safe; every call gives the same answer. When it
    /// returns, no process of the container is left.
    pub async fn wait(&self) -> Exit {
        let mut progress = self.link.progress();
        let seen = progress.wait_for(|progress| progress.exit.is_some() || progress.gone).await;
        // Without its shim a container is killed by the kernel: that is the signal to report.
        let lost = Exit { status: ExitStatus::Signal(libc::SIGKILL), oom_killed: false };
        seen.ok().and_then(|progress| progress.exit).unwrap_or(lost)
    }

    /// Reads what the container uses, as long as it runs.
    pub fn meter(&self) -> Meter {
        Meter::new(self.pid, self.groups.clone())
    }

    /// Sees on which ports the container listens, as long as it runs.
    pub fn listeners(&self) -> Listeners {
        Listeners::new(self.pid, self.kernel.clone())
    }

    /// Connects to ports inside the container.
    pub fn dialer(&self) -> Dialer {
        Dialer::new(Arc::clone(&self.link))
    }

    /// Runs further commands inside the container.
    pub fn executor(&self) -> Executor {
        Executor::new(Arc::clone(&self.link))
    }

    /// Kills what still runs and removes the container's root directory and control groups.
    /// Idempotent. What it cannot remove is logged; [`crate::sweep`] may be tried again later.
    pub async fn cleanup(&self) {
        let mut progress = self.link.progress();
        if self.link.send(&ToShim::Cleanup).await.is_ok() {
            let gone = progress.wait_for(|progress| progress.gone);
            if tokio::time::timeout(CLEANUP_TIMEOUT, gone).await.is_err() {
                tracing::warn!(container = %self.id, "the container's helper does not end");
            }
        }
        let (dir, id) = (self.dir.clone(), self.id.clone());
        let swept = tokio::task::spawn_blocking(move || sweep(&dir, &id)).await;
        if let Ok(Err(error)) = swept {
            tracing::warn!(container = %self.id, %error, "a container left something behind");
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.link.close();
    }
}
