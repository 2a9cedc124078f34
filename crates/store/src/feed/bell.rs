//! The bell: what wakes the followers of other processes when something was committed.
//!
//! On a file: a writer touches the database file's times, whoever watches the file is woken. Not the write-ahead log's
//! own writes: SQLite writes a commit's pages first and lets others see them only after the sync, milliseconds later,
//! without another write to the log. A touch after the commit cannot come too early. It opens no file: closing one would
//! take SQLite's locks away (POSIX locks end with any descriptor of the process).
//!
//! In PostgreSQL: a trigger on `changes` notifies a channel, which the server tells with the commit.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW};
use sqlx::postgres::{PgListener, PgPool};
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::PERIOD;

/// Several hundred events; more are read by the next call.
const EVENTS_BYTES: usize = 4096;
/// The channel of PostgreSQL's trigger.
const CHANNEL: &str = "wharf_changes";
/// After this time without a word it listens anew: a connection that a network has lost says nothing, either.
const QUIET_MAX: Duration = Duration::from_secs(60);
/// Between tries to listen again. Whoever follows looks by itself meanwhile.
const RETRY: Duration = Duration::from_secs(1);

/// A database's bell.
#[derive(Debug)]
pub(crate) enum Bell {
    /// Of records in memory, which no other process can see.
    Nobody,
    /// On a database file.
    File(PathBuf),
    /// On a server, over a connection of its own.
    Server(PgPool),
}

impl Bell {
    /// Wakes all who listen. A failure only costs time: followers look by themselves now and then.
    pub(super) fn ring(&self) {
        let Self::File(database) = self else { return };
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let times = Timestamps { last_access: now, last_modification: now };
        if let Err(error) = rustix::fs::utimensat(CWD, database, &times, AtFlags::empty()) {
            tracing::debug!(%error, "other processes were not woken");
        }
    }

    /// Passes on when it is rung, for ever. Once it hears, it says so by passing on one more: what came before the
    /// listening did not ring.
    pub(super) async fn listen(&self, heard: &Notify) {
        match self {
            Self::Nobody => {}
            Self::File(database) => match watch(database, heard).await {
                Ok(()) => {}
                Err(error) => tracing::warn!(
                    %error,
                    "other processes' changes are heard up to {} ms late: no inotify watch \
                     (fs.inotify.max_user_instances)", PERIOD.as_millis()
                ),
            },
            Self::Server(pool) => loop {
                if let Err(error) = Box::pin(hear(pool, heard)).await {
                    tracing::debug!(%error, "the server cannot be listened to now; trying again");
                }
                if pool.is_closed() {
                    break;
                }
                tokio::time::sleep(RETRY).await;
            },
        }
        // Followers go on looking now and then.
        std::future::pending().await
    }
}

/// Watches the file until the watch breaks.
async fn watch(database: &Path, heard: &Notify) -> io::Result<()> {
    let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
    inotify::add_watch(&events, database, WatchFlags::ATTRIB)?;
    // An inotify descriptor is read like a pipe.
    let events = Receiver::from_owned_fd_unchecked(events)?;
    heard.notify_one();
    let mut buffer = [0; EVENTS_BYTES];
    loop {
        events.readable().await?;
        match events.try_read(&mut buffer) {
            Ok(_) => heard.notify_one(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// Listens until the connection is lost, or was quiet for so long that nobody knows.
async fn hear(pool: &PgPool, heard: &Notify) -> sqlx::Result<()> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    heard.notify_one();
    while let Ok(heard_something) = timeout(QUIET_MAX, listener.try_recv()).await {
        if heard_something?.is_none() {
            break;
        }
        heard.notify_one();
    }
    Ok(())
}
