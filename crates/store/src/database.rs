//! The database file: opening, migrations, readers. Writing is in `writer`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{ClusterId, Timestamp, UserUuid};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{
    Sqlite, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};

use crate::changes::{Announcer, Changes};
use crate::error::StoreError;
use crate::feed::Feed;
use crate::logs::Touched;
use crate::migrations::{OpeningLock, migrate};
use crate::reserve::Reserve;

/// How long a request waits for a connection before it is told that the database is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long SQLite itself waits for another process's lock (another controller, a backup tool).
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the time comes from; tests bring their own.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks this function.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new(|| Timestamp::from_jiff(jiff::Timestamp::now()))
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The cluster in new identifiers.
    pub cluster: ClusterId,
    /// Connections for reading; more than cores brings nothing.
    pub readers: u32,
    /// How long a released host name is kept from other users; zero frees it at once.
    pub tombstone: Duration,
    /// Most host names one user may have.
    pub names_per_user_max: u32,
    /// Changes kept for other processes to hear of; one that falls further behind looks at
    /// everything. A hundred bytes each.
    pub changes_kept: u32,
    /// How long after it was trashed a project is deleted for good, unless it says when.
    pub trash_lifetime: Duration,
    /// The clock.
    pub clock: Clock,
}

impl Default for StoreOptions {
    fn default() -> Self {
        Self {
            cluster: ClusterId::default(),
            readers: 4,
            tombstone: Duration::ZERO,
            names_per_user_max: 100,
            changes_kept: 10_000,
            // Two weeks, as Arvados has it.
            trash_lifetime: Duration::from_secs(336 * 3600),
            clock: Clock::default(),
        }
    }
}

/// The records. Cheap to clone; all clones share the connections and the change events.
#[derive(Debug, Clone)]
pub struct Store {
    readers: SqlitePool,
    /// One connection.
    pub(crate) writer: SqlitePool,
    pub(crate) options: Arc<StoreOptions>,
    pub(crate) announcer: Arc<Announcer>,
    pub(crate) feed: Arc<Feed>,
    /// Room for ending things; none for records in memory.
    pub(crate) reserve: Option<Arc<Reserve>>,
    /// Who is said to have deleted what is deleted through this clone.
    pub(crate) deleter: Option<UserUuid>,
}

impl Store {
    /// The same records for somebody who deletes: a record that is gone cannot say who did that, so the
    /// log has it from here.
    #[must_use]
    pub fn deleting_as(&self, user: UserUuid) -> Self {
        Self { deleter: Some(user), ..self.clone() }
    }

    /// Opens the database file, making and migrating it where needed. `:memory:` keeps the
    /// records in memory, for tests.
    ///
    /// # Errors
    /// When the file cannot be opened, or was written by a newer version.
    pub async fn open(path: &Path, options: StoreOptions) -> Result<Self, StoreError> {
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
        migrate(&writer).await?;
        touched.begin(&mut *writer.acquire().await?).await?;
        let feed = Feed::begin(&writer, (!in_memory).then_some(path)).await?;
        let readers = if in_memory {
            writer.clone()
        } else {
            pool()
                .max_connections(options.readers.max(1))
                .connect_with(connect.read_only(true))
                .await
                .map_err(opened)?
        };
        Ok(Self {
            readers,
            writer,
            options: Arc::new(options),
            announcer: Arc::new(Announcer::new()),
            feed: Arc::new(feed),
            reserve: (!in_memory).then(|| Arc::new(Reserve::beside(path))),
            deleter: None,
        })
    }

    /// The cluster in new identifiers.
    pub fn cluster(&self) -> ClusterId {
        self.options.cluster
    }

    /// The time by the store's clock.
    pub fn now(&self) -> Timestamp {
        self.options.clock.now()
    }

    /// A listener for changes from now on; for those of other processes, see
    /// [`Store::follow_changes`].
    pub fn changes(&self) -> Changes {
        self.announcer.listen()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&mut *self.reader().await?).await?;
        Ok(())
    }

    /// Waits for what is under way and closes the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Whether [`Store::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.readers.is_closed()
    }

    /// A connection for reading.
    pub(crate) async fn reader(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        Ok(self.readers.acquire().await?)
    }
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
