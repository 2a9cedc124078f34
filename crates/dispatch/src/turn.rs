//! Only one process dispatches for a data directory: who holds `run/dispatch.lock`. The kernel gives it up with the
//! process, so a dispatcher that dies is followed by whoever waits.

use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::SystemTime;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use tokio::sync::oneshot;

use crate::layout;

/// The right to dispatch, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    lock: File,
}

/// What can be told of the process that dispatches, whichever that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heartbeat {
    /// Whether there is one.
    pub is_alive: bool,
    /// When the last one looked at everything.
    pub looked_at: Option<SystemTime>,
}

impl Heartbeat {
    /// Looks at the lock of a data directory. Blocking, and short.
    pub fn of(data_dir: &Path) -> Self {
        let Ok(lock) = File::open(layout::dispatch_lock(data_dir)) else {
            return Self { is_alive: false, looked_at: None };
        };
        let looked_at = lock.metadata().and_then(|about| about.modified()).ok();
        // Shared, for a moment: whoever waits for its turn sleeps in the kernel, and whoever tries sees it free again.
        let is_free = rustix::fs::flock(&lock, FlockOperation::NonBlockingLockShared).is_ok();
        Self { is_alive: !is_free, looked_at }
    }
}

impl Turn {
    /// Says that everything was looked at just now.
    pub(crate) fn beat(&self) {
        if let Err(error) = self.lock.set_modified(SystemTime::now()) {
            tracing::debug!(%error, "the time of the last look cannot be noted");
        }
    }

    /// Waits for the turn, however long that takes. Cancel-safe: a turn that nobody waits for any more is passed on.
    pub(crate) async fn wait(data_dir: &Path) -> io::Result<Self> {
        let path = layout::dispatch_lock(data_dir);
        if let Some(run) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(run)?;
        }
        let lock =
            File::options().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Self { lock }),
            Err(Errno::WOULDBLOCK) => {}
            Err(errno) => return Err(errno.into()),
        }
        tracing::info!(lock = %path.display(), "another process dispatches: waiting for its place");
        let (sender, locked) = oneshot::channel();
        // A thread of its own, not one of the runtime's: it may wait for days, and must not keep the process from
        // ending. When nobody listens any more, the lock goes with the message.
        std::thread::Builder::new().name("dispatch lock".to_owned()).spawn(move || {
            let _nobody_waits = sender.send(lock_blocking(lock));
        })?;
        let lock = locked.await.map_err(io::Error::other)??;
        tracing::info!("dispatching from now on");
        Ok(Self { lock })
    }
}

fn lock_blocking(lock: File) -> io::Result<File> {
    loop {
        match rustix::fs::flock(&lock, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(lock),
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;

    use super::*;

    const SOON: Duration = Duration::from_secs(20);

    #[tokio::test]
    async fn turns_are_taken_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let first = Turn::wait(dir.path()).await.unwrap();
        let mut second = std::pin::pin!(Turn::wait(dir.path()));
        assert!(second.as_mut().now_or_never().is_none());
        drop(first);
        drop(tokio::time::timeout(SOON, second).await.unwrap().unwrap());
    }

    #[tokio::test]
    async fn others_see_whether_somebody_dispatches_and_when_that_one_looked() {
        let dir = tempfile::tempdir().unwrap();
        let nobody = Heartbeat { is_alive: false, looked_at: None };
        assert_eq!(Heartbeat::of(dir.path()), nobody);
        let turn = Turn::wait(dir.path()).await.unwrap();
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
        turn.lock.set_modified(long_ago).unwrap();
        let seen = Heartbeat { is_alive: true, looked_at: Some(long_ago) };
        assert_eq!(Heartbeat::of(dir.path()), seen);
        turn.beat();
        assert!(Heartbeat::of(dir.path()).looked_at.unwrap() > long_ago);
        drop(turn);
        assert!(!Heartbeat::of(dir.path()).is_alive);
        drop(Turn::wait(dir.path()).await.unwrap());
    }

    #[tokio::test]
    async fn who_stopped_waiting_does_not_keep_the_turn() {
        let dir = tempfile::tempdir().unwrap();
        let first = Turn::wait(dir.path()).await.unwrap();
        assert!(Box::pin(Turn::wait(dir.path())).now_or_never().is_none());
        drop(first);
        drop(tokio::time::timeout(SOON, Turn::wait(dir.path())).await.unwrap().unwrap());
    }
}
