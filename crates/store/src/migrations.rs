//! Bringing a database to this version's form, by one process at a time.
//!
//! A migration is written once, in the words of SQLite, and [`translate`]d for PostgreSQL. What only PostgreSQL has is
//! under the same number in `migrations/postgres`, and runs behind it. A test compares the forms that both get.
//!
//! A migration must leave the version before it working: during an upgrade in place the old process goes on with
//! the new form until its streams have ended.

mod translate;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::io::Errno;
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqlitePool;
use sqlx::{AssertSqlSafe, SqlSafeStr as _};
use tokio::time::Instant;

use crate::error::StoreError;

/// A step, oldest first; a released file never changes.
struct Step {
    number: i64,
    name: &'static str,
    sql: &'static str,
    /// What PostgreSQL has beside it; may be nothing.
    postgres: &'static str,
}

const fn step(number: i64, name: &'static str, sql: &'static str) -> Step {
    Step { number, name, sql, postgres: "" }
}

impl Step {
    const fn and_postgres(self, postgres: &'static str) -> Self {
        Self { postgres, ..self }
    }
}

const STEPS: &[Step] = &[
    step(1, "records", include_str!("../migrations/sqlite/0001_records.sql")),
    step(2, "changes", include_str!("../migrations/sqlite/0002_changes.sql"))
        .and_postgres(include_str!("../migrations/postgres/0002_changes.sql")),
    step(3, "groups", include_str!("../migrations/sqlite/0003_groups.sql")),
    step(4, "collections", include_str!("../migrations/sqlite/0004_collections.sql")),
    step(5, "logs and workflows", include_str!("../migrations/sqlite/0005_logs_workflows.sql"))
        .and_postgres(include_str!("../migrations/postgres/0005_logs_workflows.sql")),
    step(6, "containers", include_str!("../migrations/sqlite/0006_containers.sql"))
        .and_postgres(include_str!("../migrations/postgres/0006_containers.sql")),
    step(7, "lists", include_str!("../migrations/sqlite/0007_lists.sql")),
    step(8, "identities", include_str!("../migrations/sqlite/0008_identities.sql")),
    step(9, "access", include_str!("../migrations/sqlite/0009_access.sql")),
    step(10, "lives", include_str!("../migrations/sqlite/0010_lives.sql")),
    step(
        11,
        "ports of invitations",
        include_str!("../migrations/sqlite/0011_invitation_ports.sql"),
    ),
    step(12, "merged users", include_str!("../migrations/sqlite/0012_merged_users.sql")),
    step(13, "cordons", include_str!("../migrations/sqlite/0013_cordons.sql")),
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

/// Applies what is missing to a file.
pub(crate) async fn sqlite(writer: &SqlitePool) -> Result<(), StoreError> {
    let of = |step: &Step| {
        let Step { number, name, sql, .. } = *step;
        Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    let migrations = STEPS.iter().map(of).collect();
    Migrator::with_migrations(migrations).run(writer).await.map_err(StoreError::Migrate)
}

/// Applies what is missing to a database of PostgreSQL, which locks out other processes meanwhile.
pub(crate) async fn postgres(conn: &mut PgConnection) -> Result<(), StoreError> {
    let of = |step: &Step| {
        let Step { number, name, sql, postgres } = *step;
        // Known by its source: how that is translated may change, and makes it no other migration.
        let source =
            Migration::new(number, name.into(), MigrationType::Simple, sql.into_sql_str(), false);
        let text = format!("{}\n{postgres}", translate::to_postgres(sql));
        Migration { sql: AssertSqlSafe(text).into_sql_str(), ..source }
    };
    let migrations = STEPS.iter().map(of).collect();
    Migrator::with_migrations(migrations).run(conn).await.map_err(StoreError::Migrate)
}
