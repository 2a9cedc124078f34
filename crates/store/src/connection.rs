//! One connection, row and query for both databases, so that callers write each query once.
//!
//! Texts have `$1`, `$2`, … for bound values on both. What the databases say differently is in [`crate::dialect`].

use std::time::Duration;

use sea_query::{Value, Values};
use sea_query_sqlx::SqlxValues;
use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{AssertSqlSafe, ColumnIndex, Decode, Row as _, SqlSafeStr as _, SqlStr, Type};

use crate::dialect::Dialect;
use crate::error::StoreError;

/// How long we wait for an answer over the network; PostgreSQL itself ends a query before that
/// (`postgres::STATEMENT_TIMEOUT`), so this is for a server that cannot say anything any more.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);

/// A connection out of one of the store's pools.
#[derive(Debug)]
pub(crate) enum Connection {
    Sqlite(PoolConnection<Sqlite>),
    Postgres(PoolConnection<Postgres>),
}

impl Connection {
    /// What its database speaks.
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Runs statements of our own without values, several in one go.
    pub(crate) async fn batch(&mut self, statements: &'static str) -> Result<(), StoreError> {
        self.batch_of(statements.into_sql_str()).await
    }

    /// The same with a text that was put together of our own words.
    pub(crate) async fn batch_of(&mut self, statements: SqlStr) -> Result<(), StoreError> {
        let query = sqlx::raw_sql(statements);
        match self {
            Self::Sqlite(conn) => {
                query.execute(&mut **conn).await?;
            }
            Self::Postgres(conn) => {
                answered(conn, async |c| query.execute(c).await).await?;
            }
        }
        Ok(())
    }

    /// Closes it now, in place of giving it back.
    pub(crate) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(conn) => conn.close().await,
            Self::Postgres(conn) => conn.close().await,
        }
    }

    /// When it is dropped it is closed, in place of being given back.
    pub(crate) fn close_on_drop(&mut self) {
        match self {
            Self::Sqlite(conn) => conn.close_on_drop(),
            Self::Postgres(conn) => conn.close_on_drop(),
        }
    }
}

/// Runs something on a PostgreSQL connection, within the time for an answer. A connection that did not answer is not
/// used again.
async fn answered<T>(
    conn: &mut PoolConnection<Postgres>,
    run: impl AsyncFnOnce(&mut sqlx::PgConnection) -> sqlx::Result<T>,
) -> Result<T, StoreError> {
    // On the heap, so that what it takes is not part of every future of the crate, with SQLite too.
    match tokio::time::timeout(ANSWER_TIMEOUT, Box::pin(run(&mut *conn))).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => {
            conn.close_on_drop();
            Err(StoreError::Busy)
        }
    }
}

/// A query and its bound values.
#[derive(Debug)]
pub(crate) struct Query {
    text: SqlStr,
    values: Vec<Value>,
    /// Whether a JSON value has the character NUL in it, escaped, with which PostgreSQL could not look into it.
    has_nul: bool,
}

/// A query in our own constant words.
pub(crate) fn query(text: &'static str) -> Query {
    Query { text: text.into_sql_str(), values: Vec::new(), has_nul: false }
}

impl Query {
    /// A text that was put together at run time, of our own words alone: names come from [`crate::schema`], everything
    /// else is a bound value.
    pub(crate) fn made(text: String, values: Vec<Value>) -> Self {
        Self { text: AssertSqlSafe(text).into_sql_str(), values, has_nul: false }
    }

    /// The same, refused by PostgreSQL where a JSON value has the character NUL in it.
    pub(crate) fn with_nul(self, has_nul: bool) -> Self {
        Self { has_nul, ..self }
    }

    /// How the database would go about it, in place of its answer.
    #[cfg(test)]
    pub(crate) fn explained(self) -> Self {
        Self::made(format!("EXPLAIN {}", self.text.as_str()), self.values)
    }

    /// The same behind a clause of our own words that has further values; `clause` hears the place of the first.
    pub(crate) fn behind(
        mut self,
        clause: impl FnOnce(usize) -> String,
        values: Vec<Value>,
    ) -> Self {
        let text = format!("{} {}", clause(self.values.len() + 1), self.text.as_str());
        self.values.extend(values);
        Self { text: AssertSqlSafe(text).into_sql_str(), ..self }
    }

    /// Binds the next value.
    pub(crate) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// All rows.
    pub(crate) async fn fetch_all(self, conn: &mut Connection) -> Result<Vec<Row>, StoreError> {
        let values = SqlxValues(Values(self.values));
        Ok(match conn {
            Connection::Sqlite(conn) => {
                let rows = sqlx::query_with(self.text, values).fetch_all(&mut **conn).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Connection::Postgres(conn) => {
                let query = sqlx::query_with(self.text, values);
                let rows = answered(conn, async |c| query.fetch_all(c).await).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// The first row, where there is one.
    pub(crate) async fn fetch_optional(
        self,
        conn: &mut Connection,
    ) -> Result<Option<Row>, StoreError> {
        let values = SqlxValues(Values(self.values));
        Ok(match conn {
            Connection::Sqlite(conn) => {
                let query = sqlx::query_with(self.text, values);
                query.fetch_optional(&mut **conn).await?.map(Row::Sqlite)
            }
            Connection::Postgres(conn) => {
                let query = sqlx::query_with(self.text, values);
                let row = answered(conn, async |c| query.fetch_optional(c).await).await?;
                row.map(Row::Postgres)
            }
        })
    }

    /// The first row of a query that always has one.
    pub(crate) async fn fetch_one(self, conn: &mut Connection) -> Result<Row, StoreError> {
        self.fetch_optional(conn).await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// The single integer it answers.
    pub(crate) async fn fetch_count(self, conn: &mut Connection) -> Result<i64, StoreError> {
        Ok(self.fetch_one(conn).await?.try_get(0)?)
    }

    /// As [`Query::execute`] inside a transaction that goes on where this is refused: PostgreSQL refuses everything after
    /// an error, unless it goes back to before it.
    pub(crate) async fn try_execute(self, conn: &mut Connection) -> Result<u64, StoreError> {
        if conn.dialect() == Dialect::Sqlite {
            return self.execute(conn).await;
        }
        conn.batch("SAVEPOINT attempt").await?;
        let done = self.execute(conn).await;
        if done.is_err() {
            conn.batch("ROLLBACK TO attempt").await?;
        }
        conn.batch("RELEASE attempt").await?;
        done
    }

    /// How many rows it changed.
    pub(crate) async fn execute(self, conn: &mut Connection) -> Result<u64, StoreError> {
        let values = SqlxValues(Values(self.values));
        Ok(match conn {
            Connection::Sqlite(conn) => {
                let query = sqlx::query_with(self.text, values);
                query.execute(&mut **conn).await?.rows_affected()
            }
            Connection::Postgres(_) if self.has_nul => return Err(StoreError::Nul),
            Connection::Postgres(conn) => {
                let query = sqlx::query_with(self.text, values);
                answered(conn, async |c| query.execute(c).await).await?.rows_affected()
            }
        })
    }
}

/// A row of either database.
pub(crate) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value of a column, by place or name. Integers are `i64` on both: what is computed in a query is cast to
    /// `BIGINT`.
    pub(crate) fn try_get<'r, T, I>(&'r self, column: I) -> sqlx::Result<T>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
    }

    /// How many columns it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Sqlite(row) => row.len(),
            Self::Postgres(row) => row.len(),
        }
    }
}
