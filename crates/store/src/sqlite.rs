//! Records in a file: opening it, and the connections to it.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use crate::database::{Opened, StoreOptions};
use crate::error::StoreError;
use crate::feed::Bell;
use crate::logs::Touched;
use crate::migrations::{self, OpeningLock};
use crate::pools::{ACQUIRE_TIMEOUT, Pools};
use crate::reserve::Reserve;

/// How long SQLite itself waits for another process's lock (another controller, a backup tool).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Opens the file, making and migrating it where needed. `:memory:` keeps the records in memory.
pub(crate) async fn open(path: &Path, options: &StoreOptions) -> Result<Opened, StoreError> {
    let in_memory = path.as_os_str() == ":memory:";
    let connect = if in_memory {
        SqliteConnectOptions::new().in_memory(true)
    } else {
        // WAL lets readers go on beside the writer; FULL syncs each commit, so that what was
        // acknowledged survives power loss.
        SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
    }
    .synchronous(SqliteSynchronous::Full)
    .foreign_keys(true)
    .busy_timeout(BUSY_TIMEOUT);
    let opened = |source| StoreError::Open { path: path.display().to_string(), source };
    let _opening = if in_memory {
        None
    } else {
        let lock = OpeningLock::take(path).await?;
        ensure_private_file(path).map_err(|error| opened(error.into()))?;
        Some(lock)
    };
    // No idle or life timeout: a memory database lives as long as its connection.
    let pool = || {
        SqlitePoolOptions::new()
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .idle_timeout(None)
            .max_lifetime(None)
    };
    let touched = Touched::default();
    let noting = touched.clone();
    let writer = pool()
        .max_connections(1)
        .after_connect(move |conn, _about| noting.clone().begin_on(conn))
        // What the writer notes of a transaction (`logs::touched`) needs no disk.
        .connect_with(connect.clone().pragma("temp_store", "MEMORY"))
        .await
        .map_err(opened)?;
    migrations::sqlite(&writer).await?;
    touched.begin(&mut *writer.acquire().await?).await?;
    let readers = if in_memory {
        writer.clone()
    } else {
        pool()
            .max_connections(options.readers.max(1))
            .connect_with(connect.read_only(true))
            .await
            .map_err(opened)?
    };
    Ok(Opened {
        pools: Pools::Sqlite { readers, writer },
        bell: if in_memory { Bell::Nobody } else { Bell::File(path.to_owned()) },
        // Only in a file's place is there room to keep.
        reserve: (!in_memory).then(|| Reserve::beside(path)),
    })
}

/// Makes the file, where there is none, readable by us alone: it holds what users put into their environments. SQLite
/// gives its other files the same mode.
///
/// A file that is there is not opened: closing it would take away the locks of a store that this process has open.
fn ensure_private_file(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    match std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
