//! Taking the records of a file to a PostgreSQL server, all of them or none.
//!
//! Rows travel as JSON that SQLite writes and PostgreSQL reads, so that no table has to be named here: what a migration adds
//! is taken along. Tables come behind those that they refer to. A table that is not as the source's is an error.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteLockingMode, SqlitePoolOptions};

use crate::connection::{Connection, Query, query};
use crate::database::StoreOptions;
use crate::error::StoreError;
use crate::pools::ACQUIRE_TIMEOUT;
use crate::{postgres, sqlite};

/// Rows of one exchange with the server.
const BATCH_ROWS: i64 = 500;
/// Text of one exchange, in bytes; a single row may be more.
const BATCH_BYTES: usize = 8 << 20;
/// How long another process may take to let go of the file.
const PATIENCE: Duration = Duration::from_secs(2);

/// What changes are told by is of the database that they happened in.
const LEFT_OUT: &[&str] = &["changes"];

/// How many rows of a table were taken along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The table.
    pub table: String,
    /// Rows.
    pub n_rows: u64,
}

/// Copies all records of the file to the database, which must have none, in one transaction. The file stays as it is, but
/// for being brought to this version's form.
///
/// # Errors
/// When a process uses the file, the database has records, or it cannot keep one of these (the character NUL); nothing is
/// copied then.
pub async fn copy(from: &Path, to: &str, options: &StoreOptions) -> Result<Vec<Taken>, StoreError> {
    let mut source = open_alone(from, options).await?;
    let opened = Box::pin(postgres::open(to, options)).await?;
    let mut target = opened.pools.writer().await?;
    let copied = copy_all(&mut source, &mut target).await;
    // What was not committed goes with the connection.
    target.close().await?;
    opened.pools.close().await;
    source.close().await?;
    copied
}

/// The file, while no other process has it open.
async fn open_alone(path: &Path, options: &StoreOptions) -> Result<Connection, StoreError> {
    let opened =
        |source: sqlx::Error| StoreError::Open { path: path.display().to_string(), source };
    if !path.is_file() {
        return Err(opened(std::io::Error::from(std::io::ErrorKind::NotFound).into()));
    }
    sqlite::open(path, options).await?.pools.close().await;
    let connect = SqliteConnectOptions::new()
        .filename(path)
        .locking_mode(SqliteLockingMode::Exclusive)
        .busy_timeout(PATIENCE);
    let pool = SqlitePoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE_TIMEOUT);
    let pool = pool.connect_with(connect).await.map_err(opened)?;
    let mut conn = Connection::Sqlite(pool.acquire().await?);
    match conn.batch("BEGIN EXCLUSIVE").await {
        Ok(()) => Ok(conn),
        Err(StoreError::Busy) => Err(StoreError::InUse(path.display().to_string())),
        Err(error) => Err(error),
    }
}

async fn copy_all(
    source: &mut Connection,
    target: &mut Connection,
) -> Result<Vec<Taken>, StoreError> {
    target.batch(postgres::BEGIN).await?;
    // They are no news.
    target.batch("SET LOCAL wharf.notes = 'off'").await?;
    let tables = tables(source).await?;
    for table in &tables {
        require_empty(target, &table.name).await?;
    }
    let mut copied = Vec::with_capacity(tables.len());
    for table in tables {
        let n_rows = table.copy(source, target).await?;
        copied.push(Taken { table: table.name, n_rows });
    }
    target.batch("COMMIT").await?;
    Ok(copied)
}

async fn require_empty(target: &mut Connection, table: &str) -> Result<(), StoreError> {
    let any = Query::made(format!("SELECT 1 FROM {table} LIMIT 1"), Vec::new());
    if any.fetch_optional(target).await?.is_none() {
        return Ok(());
    }
    Err(StoreError::Server(format!(
        "the database has records already ({table}): copy into an empty one, as createdb makes it"
    )))
}

/// A table of the source.
#[derive(Debug)]
struct Table {
    name: String,
    columns: Vec<Column>,
}

#[derive(Debug)]
struct Column {
    name: String,
    /// As declared.
    kind: String,
    /// The key of rows that number themselves.
    is_number: bool,
}

/// Those of the records, each behind those that it refers to.
async fn tables(source: &mut Connection) -> Result<Vec<Table>, StoreError> {
    let names = query(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' \
         AND name NOT LIKE '!_%' ESCAPE '!' ORDER BY name",
    );
    let mut waiting = Vec::new();
    for row in names.fetch_all(source).await? {
        let name: String = row.try_get("name")?;
        if !LEFT_OUT.contains(&name.as_str()) {
            waiting.push((referred_to(source, &name).await?, name));
        }
    }
    let (mut found, mut done) = (Vec::new(), BTreeSet::new());
    while !waiting.is_empty() {
        let (ready, later): (Vec<_>, Vec<_>) =
            waiting.into_iter().partition(|(others, _)| others.is_subset(&done));
        if ready.is_empty() {
            return Err(StoreError::Server("tables refer to each other in a circle".to_owned()));
        }
        for (_, name) in ready {
            let columns = columns(source, &name).await?;
            done.insert(name.clone());
            found.push(Table { name, columns });
        }
        waiting = later;
    }
    Ok(found)
}

async fn referred_to(source: &mut Connection, table: &str) -> Result<BTreeSet<String>, StoreError> {
    let others = query("SELECT \"table\" FROM pragma_foreign_key_list($1) WHERE \"table\" <> $1");
    let rows = others.bind(table).fetch_all(source).await?;
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

async fn columns(source: &mut Connection, table: &str) -> Result<Vec<Column>, StoreError> {
    let columns = query("SELECT name, upper(type), pk FROM pragma_table_info($1)").bind(table);
    let of = |row: &crate::connection::Row| {
        let (kind, key): (String, i64) = (row.try_get(1)?, row.try_get(2)?);
        Ok(Column { name: row.try_get(0)?, is_number: key == 1 && kind == "INTEGER", kind })
    };
    columns.fetch_all(source).await?.iter().map(of).collect()
}

impl Column {
    /// Its value, in a form that PostgreSQL reads out of JSON without a loss.
    fn value(&self) -> String {
        let name = &self.name;
        match self.kind.as_str() {
            // JSON has them with fifteen digits.
            "DOUBLE PRECISION" => {
                format!("CASE WHEN {name} IS NOT NULL THEN printf('%!.17g', {name}) END")
            }
            _ => name.clone(),
        }
    }
}

impl Table {
    async fn copy(
        &self,
        source: &mut Connection,
        target: &mut Connection,
    ) -> Result<u64, StoreError> {
        let (mut last, mut n_rows) = (i64::MIN, 0);
        loop {
            let rows = self.rows_behind(last).fetch_all(source).await?;
            let Some(end) = rows.last() else { break };
            last = end.try_get(0)?;
            let mut batch = Batch::default();
            for row in &rows {
                let text: &str = row.try_get(1)?;
                if batch.text.len() + text.len() > BATCH_BYTES {
                    n_rows += std::mem::take(&mut batch).send(&self.name, target).await?;
                }
                batch.add(text);
            }
            n_rows += batch.send(&self.name, target).await?;
        }
        self.number_on(target).await?;
        Ok(n_rows)
    }

    /// The next rows, each as its place and a JSON object.
    fn rows_behind(&self, last: i64) -> Query {
        let members: Vec<String> =
            self.columns.iter().map(|one| format!("'{}', {}", one.name, one.value())).collect();
        let (table, members) = (&self.name, members.join(", "));
        let text = format!(
            "SELECT rowid, json_object({members}) FROM {table} WHERE rowid > $1 ORDER BY rowid LIMIT $2"
        );
        Query::made(text, vec![last.into(), BATCH_ROWS.into()])
    }

    /// Has rows to come number themselves behind those that were copied.
    async fn number_on(&self, target: &mut Connection) -> Result<(), StoreError> {
        let Some(Column { name, .. }) = self.columns.iter().find(|column| column.is_number) else {
            return Ok(());
        };
        let table = &self.name;
        let text = format!(
            "SELECT setval(pg_get_serial_sequence('{table}', '{name}'), (SELECT max({name}) FROM {table}))"
        );
        Query::made(text, Vec::new()).fetch_one(target).await.map(drop)
    }
}

/// Rows on their way: a JSON list.
#[derive(Debug, Default)]
struct Batch {
    text: String,
    n_rows: u64,
}

impl Batch {
    fn add(&mut self, row: &str) {
        self.text.push(if self.n_rows == 0 { '[' } else { ',' });
        self.text.push_str(row);
        self.n_rows += 1;
    }

    async fn send(mut self, table: &str, target: &mut Connection) -> Result<u64, StoreError> {
        if self.n_rows == 0 {
            return Ok(0);
        }
        self.text.push(']');
        let suspect = record_with_nul(&self.text);
        let text = format!(
            "INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)"
        );
        match Query::made(text, vec![self.text.into()]).execute(target).await {
            Ok(kept) if kept == self.n_rows => Ok(kept),
            Ok(kept) => Err(StoreError::Server(format!(
                "the server kept {kept} of {} records of {table}",
                self.n_rows
            ))),
            Err(error) => Err(match suspect {
                Some(uuid) => StoreError::Server(format!(
                    "{table} {uuid} holds the character NUL (\\u0000), which PostgreSQL cannot keep: take it out first"
                )),
                None => error,
            }),
        }
    }
}

/// The first record of a list with NUL in a text, or in JSON in a text.
fn record_with_nul(list: &str) -> Option<String> {
    if !list.contains("u0000") {
        return None;
    }
    let rows: Vec<serde_json::Value> = serde_json::from_str(list).ok()?;
    let has_nul = |text: &str| text.contains('\0') || text.contains("\\u0000");
    let found = rows.iter().find(|row| {
        row.as_object().is_some_and(|row| row.values().filter_map(|it| it.as_str()).any(has_nul))
    })?;
    found["uuid"].as_str().map(str::to_owned)
}
