//! The bell: a writer touches the database file's times, whoever watches the file is woken.
//!
//! Not the write-ahead log's own writes: SQLite writes a commit's pages first and lets others see them only after the
//! sync, milliseconds later, without another write to the log. A touch after the commit cannot come too early. It opens
//! no file: closing one would take SQLite's locks away (POSIX locks end with any descriptor of the process).

use std::io;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};
use tokio::net::unix::pipe::Receiver;

/// Several hundred events; more are read by the next call.
const EVENTS_BYTES: usize = 4096;

/// A watch on one database file.
#[derive(Debug)]
pub(super) struct Bell {
    /// An inotify descriptor, which is read like a pipe.
    events: Receiver,
}

impl Bell {
    /// Watches from now on; needs a tokio runtime.
    pub(super) fn hang(database: &Path) -> io::Result<Self> {
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        inotify::add_watch(&events, database, WatchFlags::ATTRIB)?;
        Ok(Self { events: Receiver::from_owned_fd_unchecked(events)? })
    }

    /// Waits until it was rung since the last call. Cancel-safe.
    async fn rung(&self) -> io::Result<()> {
        let mut buffer = [0; EVENTS_BYTES];
        loop {
            self.events.readable().await?;
            match self.events.try_read(&mut buffer) {
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Waits for the bell; without one, or where it broke, for ever: the period covers that.
pub(super) async fn rung(bell: Option<&Bell>) {
    let Some(bell) = bell else { return std::future::pending().await };
    if let Err(error) = bell.rung().await {
        tracing::debug!(%error, "the watch on the database file broke");
        std::future::pending::<()>().await;
    }
}

/// Wakes all who watch. A failure only costs time: followers look by themselves now and then.
pub(super) fn ring(database: &Path) {
    let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
    let times = Timestamps { last_access: now, last_modification: now };
    if let Err(error) = rustix::fs::utimensat(CWD, database, &times, AtFlags::empty()) {
        tracing::debug!(%error, "other processes were not woken");
    }
}
