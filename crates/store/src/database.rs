//! The store: opening it over a database, its clock, readers. Writing is in `writer`.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use model::{ClusterId, Timestamp, UserUuid};

use crate::changes::{Announcer, Changes};
use crate::connection::{Connection, query};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::feed::{Bell, Feed};
use crate::pools::Pools;
use crate::reserve::Reserve;
use crate::writer::{Counted, Turns};
use crate::{postgres, sqlite};

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
    /// Connections for reading; of a file more than cores bring nothing. One more writes, and one hears of changes.
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
    pub(crate) pools: Pools,
    pub(crate) turns: Arc<Turns>,
    pub(crate) counted: Arc<Counted>,
    pub(crate) options: Arc<StoreOptions>,
    pub(crate) announcer: Arc<Announcer>,
    pub(crate) feed: Arc<Feed>,
    /// Room for ending things; none for records that are not in a file.
    pub(crate) reserve: Option<Arc<Reserve>>,
    /// Who is said to have deleted what is deleted through this clone.
    pub(crate) deleter: Option<UserUuid>,
}

/// A database that was opened and has this version's form.
pub(crate) struct Opened {
    pub(crate) pools: Pools,
    pub(crate) bell: Bell,
    pub(crate) reserve: Option<Reserve>,
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
        Self::over(sqlite::open(path, &options).await?, options).await
    }

    /// Connects to a PostgreSQL database (`postgres://user:password@host:5432/name`), which has to be there, and makes
    /// or migrates its tables where needed.
    ///
    /// # Errors
    /// When the server cannot be reached, is too old, or has records of a newer version.
    pub async fn connect(url: &str, options: StoreOptions) -> Result<Self, StoreError> {
        Self::over(Box::pin(postgres::open(url, &options)).await?, options).await
    }

    /// Notes which data directory the records of a server are about: the first one that says so. A file is in its own.
    ///
    /// # Errors
    /// [`StoreError::Server`] where they are about another one.
    pub async fn belong_to(&self, id: &str, about: &str) -> Result<(), StoreError> {
        if self.pools.dialect() == Dialect::Sqlite {
            return Ok(());
        }
        let (id, about) = (id.to_owned(), about.to_owned());
        self.write(move |tx| {
            Box::pin(async move {
                let row = query("SELECT id, about FROM data_directory").fetch_optional(tx.conn());
                let Some(row) = row.await? else {
                    let noting = query("INSERT INTO data_directory (id, about) VALUES ($1, $2)");
                    return noting.bind(id).bind(about).execute(tx.conn()).await.map(drop);
                };
                if row.try_get::<&str, _>("id")? == id {
                    return Ok(());
                }
                let other: String = row.try_get("about")?;
                Err(StoreError::Server(format!(
                    "the records in this database are about the data directory {other}, where the blocks and the \
                     containers are: use that one, or another database. If it is gone for good, let this one take its \
                     place: DELETE FROM data_directory (psql)"
                )))
            })
        })
        .await
    }

    async fn over(opened: Opened, options: StoreOptions) -> Result<Self, StoreError> {
        let Opened { pools, bell, reserve } = opened;
        let feed = Feed::begin(&mut pools.writer().await?, bell).await?;
        Ok(Self {
            pools,
            turns: Arc::default(),
            counted: Arc::default(),
            options: Arc::new(options),
            announcer: Arc::new(Announcer::new()),
            feed: Arc::new(feed),
            reserve: reserve.map(Arc::new),
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
        query("SELECT 1").fetch_one(&mut self.reader().await?).await.map(drop)
    }

    /// Waits for what is under way and closes the connections.
    pub async fn close(&self) {
        self.pools.close().await;
    }

    /// Whether [`Store::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        self.pools.is_closed()
    }

    /// A connection for reading.
    pub(crate) async fn reader(&self) -> Result<Connection, StoreError> {
        self.pools.reader().await
    }
}
