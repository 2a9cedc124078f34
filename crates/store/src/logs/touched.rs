//! Which records a transaction touches, and how they were before it.
//!
//! Noted by temporary triggers of the write connection, made from the schemas: whatever statement changes a record,
//! its first change in a transaction leaves a row here. A rollback takes the rows back with everything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use model::JsonMap;
use model::filter::{Attribute, AttributeKind, Schema};
use sea_query::{Alias, Expr, ExprTrait as _};
use serde_json::Value;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Row as _};

use crate::error::StoreError;
use crate::schema::Resource;
use crate::sql;

/// Longest text or JSON of an attribute that is logged; workflows inside requests can be megabytes.
pub(crate) const ATTRIBUTE_CHARS_MAX: usize = 16 * 1024;
/// Attributes that are left out whatever their size: manifests say nothing to people, and hold permissions.
const UNLOGGED: &[&str] = &["manifest_text", "unsigned_manifest_text"];

/// Whether the database has its tables, so that a new write connection can have its triggers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Touched {
    is_migrated: Arc<AtomicBool>,
}

impl Touched {
    /// After the migrations: for the connection that made them, and for those that come.
    pub(crate) async fn begin(&self, conn: &mut SqliteConnection) -> Result<(), StoreError> {
        make_triggers(conn).await?;
        self.is_migrated.store(true, Ordering::Release);
        Ok(())
    }

    /// For a connection that has just been opened.
    pub(crate) fn begin_on(self, conn: &mut SqliteConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        async move {
            if self.is_migrated.load(Ordering::Acquire) {
                make_triggers(conn).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

async fn make_triggers(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query(
        "CREATE TEMP TABLE touched_records (uuid TEXT NOT NULL PRIMARY KEY, place INTEGER NOT NULL, before TEXT)",
    )
    .execute(&mut *conn)
    .await?;
    for (place, resource) in logged() {
        let schema = resource.schema();
        let table = schema.table;
        for (event, row, before) in [
            ("INSERT", "NEW", "NULL".to_owned()),
            ("UPDATE", "OLD", as_array(schema)),
            ("DELETE", "OLD", as_array(schema)),
        ] {
            let sql = format!(
                "CREATE TEMP TRIGGER touched_{table}_{event} AFTER {event} ON {table} BEGIN \
                 INSERT INTO touched_records (uuid, place, before) SELECT {row}.uuid, {place}, {before} \
                 WHERE NOT EXISTS (SELECT 1 FROM touched_records WHERE uuid = {row}.uuid); END"
            );
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *conn).await?;
        }
    }
    Ok(())
}

/// Everything but the entries themselves, with its place in [`Resource::ALL`].
fn logged() -> impl Iterator<Item = (usize, Resource)> {
    Resource::ALL.iter().copied().enumerate().filter(|(_, resource)| *resource != Resource::Logs)
}

fn logged_attributes(schema: &Schema) -> impl Iterator<Item = Attribute> {
    schema.attributes.iter().copied().filter(|attribute| !UNLOGGED.contains(&attribute.name))
}

/// The logged columns as they were; one that is too long is the number 0, which no text is.
fn as_array(schema: &Schema) -> String {
    let columns: Vec<String> = logged_attributes(schema)
        .map(|Attribute { name, kind }| match kind {
            AttributeKind::Text | AttributeKind::Json => format!(
                "CASE WHEN length(OLD.{name}) > {ATTRIBUTE_CHARS_MAX} THEN 0 ELSE OLD.{name} END"
            ),
            _ => format!("OLD.{name}"),
        })
        .collect();
    format!("json_array({})", columns.join(", "))
}

/// A record that the transaction has touched.
pub(super) struct TouchedRecord {
    pub(super) resource: Resource,
    pub(super) uuid: String,
    /// Its logged attributes before the transaction; none where there was no such record.
    pub(super) before: Option<JsonMap>,
}

/// Takes the notes, in the order in which records were touched.
pub(super) async fn take(conn: &mut SqliteConnection) -> Result<Vec<TouchedRecord>, StoreError> {
    let rows = sqlx::query("SELECT uuid, place, before FROM touched_records ORDER BY rowid")
        .fetch_all(&mut *conn)
        .await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query("DELETE FROM touched_records").execute(conn).await?;
    let mut touched = Vec::with_capacity(rows.len());
    for row in rows {
        let place = usize::try_from(row.try_get::<i64, _>("place")?).unwrap_or(usize::MAX);
        let Some(&resource) = Resource::ALL.get(place) else { continue };
        let before: Option<String> = row.try_get("before")?;
        let before = before.map(|text| from_array(resource.schema(), &text)).transpose()?;
        touched.push(TouchedRecord { resource, uuid: row.try_get("uuid")?, before });
    }
    Ok(touched)
}

fn from_array(schema: &'static Schema, text: &str) -> Result<JsonMap, StoreError> {
    let corrupt = |source| StoreError::Corrupt { what: schema.table.to_owned(), source };
    let values: Vec<Value> = serde_json::from_str(text).map_err(corrupt)?;
    let mut attributes = JsonMap::new();
    for (Attribute { name, kind }, value) in logged_attributes(schema).zip(values) {
        let value = match (kind, value) {
            (AttributeKind::Text | AttributeKind::Json, Value::Number(_)) => continue,
            (AttributeKind::Boolean, Value::Number(number)) => (number.as_i64() != Some(0)).into(),
            (AttributeKind::Json, Value::String(text)) => {
                serde_json::from_str(&text).map_err(corrupt)?
            }
            (_, value) => value,
        };
        attributes.insert(name.to_owned(), value);
    }
    cut_secrets(&mut attributes);
    Ok(attributes)
}

/// Query and fragment of a private port's path may hold a secret that not everybody sees who reads the record, and with
/// it the entry (SECURITY row 43).
fn cut_secrets(attributes: &mut JsonMap) {
    let Some(Value::Object(ports)) = attributes.get_mut("published_ports") else { return };
    for port in ports.values_mut().filter(|port| port["access"] != "public") {
        for name in ["initial_path", "initial_url"] {
            if let Some(Value::String(path)) = port.get_mut(name) {
                path.truncate(path.find(['?', '#']).unwrap_or(path.len()));
            }
        }
    }
}

/// The logged attributes of a record as it is now.
pub(super) async fn attributes(
    conn: &mut SqliteConnection,
    resource: Resource,
    uuid: &str,
) -> Result<Option<JsonMap>, StoreError> {
    let schema = resource.schema();
    let names: Vec<&'static str> =
        logged_attributes(schema).map(|attribute| attribute.name).collect();
    let built = {
        let mut statement = sea_query::Query::select();
        let columns = names.iter().map(|name| (Alias::new(schema.table), Alias::new(*name)));
        statement.columns(columns).from(Alias::new(schema.table));
        statement.and_where(Expr::col(Alias::new("uuid")).eq(uuid));
        sql::build(&statement)
    };
    let rows = built.fetch_all(conn).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mut attributes = sql::row_to_json(schema, Some(names.as_slice()), row)?;
    for Attribute { name, kind } in logged_attributes(schema) {
        if is_too_long(row, name, kind)? {
            attributes.shift_remove(name);
        }
    }
    cut_secrets(&mut attributes);
    Ok(Some(attributes))
}

fn is_too_long(
    row: &sqlx::sqlite::SqliteRow,
    name: &str,
    kind: AttributeKind,
) -> Result<bool, StoreError> {
    if !matches!(kind, AttributeKind::Text | AttributeKind::Json) {
        return Ok(false);
    }
    let text: Option<&str> = row.try_get(name)?;
    // Characters, as SQLite counts them; the bytes tell it at once for what is short.
    Ok(text.is_some_and(|text| {
        text.len() > ATTRIBUTE_CHARS_MAX && text.chars().count() > ATTRIBUTE_CHARS_MAX
    }))
}
