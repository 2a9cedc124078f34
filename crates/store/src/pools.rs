//! The connections of a store: some for reading, one for writing.

use std::time::Duration;

use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;

use crate::connection::Connection;
use crate::dialect::Dialect;
use crate::error::StoreError;

/// How long a request waits for a connection before it is told that the database is busy.
pub(crate) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections to one database.
#[derive(Debug, Clone)]
pub(crate) enum Pools {
    Sqlite {
        readers: SqlitePool,
        /// One connection.
        writer: SqlitePool,
    },
    Postgres {
        readers: PgPool,
        /// One connection.
        writer: PgPool,
    },
}

impl Pools {
    /// What the database speaks.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite { .. } => Dialect::Sqlite,
            Self::Postgres { .. } => Dialect::Postgres,
        }
    }

    /// A connection for reading. (What connecting to a server takes is on the heap, and so no part of every future.)
    pub(crate) async fn reader(&self) -> Result<Connection, StoreError> {
        Ok(match self {
            Self::Sqlite { readers, .. } => Connection::Sqlite(readers.acquire().await?),
            Self::Postgres { readers, .. } => {
                Connection::Postgres(Box::pin(readers.acquire()).await?)
            }
        })
    }

    /// The connection for writing.
    pub(crate) async fn writer(&self) -> Result<Connection, StoreError> {
        Ok(match self {
            Self::Sqlite { writer, .. } => Connection::Sqlite(writer.acquire().await?),
            Self::Postgres { writer, .. } => {
                Connection::Postgres(Box::pin(writer.acquire()).await?)
            }
        })
    }

    /// Waits for what is under way and closes all.
    pub(crate) async fn close(&self) {
        match self {
            Self::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Self::Postgres { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
        }
    }

    /// Whether [`Pools::close`] was called.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Sqlite { readers, .. } => readers.is_closed(),
            Self::Postgres { readers, .. } => readers.is_closed(),
        }
    }
}
