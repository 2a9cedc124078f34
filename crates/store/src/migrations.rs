//! Bringing the database file to this version's form, by one process at a time.
//!
//! A migration must leave the version before it working: during an upgrade in place the old process goes on with
//! the new form until its streams have ended.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use sqlx::SqlSafeStr as _;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::sqlite::SqlitePool;
use tokio::time::Instant;

use crate::error::StoreError;

/// The migrations, oldest first; a released file never changes.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "records", include_str!("../migrations/sqlite/0001_records.sql")),
    (2, "changes", include_str!("../migrations/sqlite/0002_changes.sql")),
    (3, "groups", include_str!("../migrations/sqlite/0003_groups.sql")),
    (4, "collections", include_str!("../migrations/sqlite/0004_collections.sql")),
    (5, "logs and workflows", include_str!("../migrations/sqlite/0005_logs_workflows.sql")),
    (6, "containers", include_str!("../migrations/sqlite/0006_containers.sql")),
    (8, "identities", include_str!("../migrations/sqlite/0008_identities.sql")),
];

/// How long another process may take to open and migrate the same file.
const OPENING_TIMEOUT: Duration = Duration::from_secs(60);
/// Between tries for the lock.
const LOCK_POLL: Duration = Duration::from_millis(10);

/// Held while a database file is made and migrated: SQLite's own locks do not cover that.
#[derive(Debug)]
pub(crate) struct OpeningLock {
    _directory: File,
}

impl OpeningLock {
    /// Locks the directory of the database, which leaves no file behind; the kernel gives it up with the process.
    pub(crate) async fn take(database: &Path) -> Result<Self, StoreError> {
        let directory = match database.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let locking = |source| StoreError::Lock { path: directory.display().to_string(), source };
        let file = File::open(&directory).map_err(|error| StoreError::Open {
            path: database.display().to_string(),
            source: error.into(),
        })?;
        let deadline = Instant::now() + OPENING_TIMEOUT;
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _directory: file }),
                Err(Errno::WOULDBLOCK) if Instant::now() >= deadline => {
                    return Err(locking(io::ErrorKind::TimedOut.into()));
                }
                Err(Errno::WOULDBLOCK) => tokio::time::sleep(LOCK_POLL).await,
                Err(errno) => return Err(locking(errno.into())),
            }
        }
    }
}

/// Applies what is missing.
pub(crate) async fn migrate(writer: &SqlitePool) -> Result<(), StoreError> {
    let migrations = MIGRATIONS
        .iter()
        .map(|&(version, name, sql)| {
            Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
        })
        .collect();
    Migrator::with_migrations(migrations).run(writer).await.map_err(StoreError::Migrate)
}
