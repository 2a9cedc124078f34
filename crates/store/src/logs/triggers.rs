//! The triggers that note what a transaction touches, made from the schemas.
//!
//! SQLite: temporary ones of the write connection, with a temporary table. PostgreSQL has none of the kind that cost
//! nothing, so its triggers are in the database for all, and do something only for connections that set `wharf.notes`.
//! They name the attributes, because during an upgrade the process before goes on with those of the new one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use model::filter::{Attribute, AttributeKind, Schema};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use super::touched::{ATTRIBUTE_CHARS_MAX, logged, logged_attributes};

/// Whether the database file has its tables, so that a new write connection can have its triggers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Touched {
    is_migrated: Arc<AtomicBool>,
}

impl Touched {
    /// After the migrations: for the connection that made them, and for those that come.
    pub(crate) async fn begin(&self, conn: &mut SqliteConnection) -> sqlx::Result<()> {
        make_temporary(conn).await?;
        self.is_migrated.store(true, Ordering::Release);
        Ok(())
    }

    /// For a connection that has just been opened.
    pub(crate) fn begin_on(self, conn: &mut SqliteConnection) -> BoxFuture<'_, sqlx::Result<()>> {
        async move {
            if self.is_migrated.load(Ordering::Acquire) {
                make_temporary(conn).await?;
            }
            Ok(())
        }
        .boxed()
    }
}

async fn make_temporary(conn: &mut SqliteConnection) -> sqlx::Result<()> {
    sqlx::query(
        "CREATE TEMP TABLE touched_records \
         (uuid TEXT NOT NULL PRIMARY KEY, record_table TEXT NOT NULL, before TEXT)",
    )
    .execute(&mut *conn)
    .await?;
    for resource in logged() {
        let schema = resource.schema();
        let table = schema.table;
        for (event, row, before) in [
            ("INSERT", "NEW", "NULL".to_owned()),
            ("UPDATE", "OLD", as_array(schema)),
            ("DELETE", "OLD", as_array(schema)),
        ] {
            let sql = format!(
                "CREATE TEMP TRIGGER touched_{table}_{event} AFTER {event} ON {table} BEGIN \
                 INSERT INTO touched_records (uuid, record_table, before) \
                 SELECT {row}.uuid, '{table}', {before} \
                 WHERE NOT EXISTS (SELECT 1 FROM touched_records WHERE uuid = {row}.uuid); END"
            );
            sqlx::query(AssertSqlSafe(sql)).execute(&mut *conn).await?;
        }
    }
    Ok(())
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

/// Puts the triggers into the database; the caller holds the writers' lock.
pub(crate) async fn make_permanent(conn: &mut PgConnection) -> sqlx::Result<()> {
    for resource in logged() {
        let schema = resource.schema();
        let (table, before) = (schema.table, as_object(schema));
        let sql = format!(
            "CREATE OR REPLACE FUNCTION touched_{table}() RETURNS trigger LANGUAGE plpgsql AS $touched$ \
             BEGIN \
               IF TG_OP = 'INSERT' THEN \
                 INSERT INTO touched_records (uuid, record_table) VALUES (NEW.uuid, '{table}') \
                   ON CONFLICT DO NOTHING; \
               ELSE \
                 INSERT INTO touched_records (uuid, record_table, before) \
                   VALUES (OLD.uuid, '{table}', {before}) ON CONFLICT DO NOTHING; \
               END IF; \
               RETURN NULL; \
             END $touched$; \
             CREATE OR REPLACE TRIGGER touched AFTER INSERT OR UPDATE OR DELETE ON {table} \
             FOR EACH ROW WHEN (current_setting('wharf.notes', TRUE) = 'on') \
             EXECUTE FUNCTION touched_{table}()"
        );
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut *conn).await?;
    }
    Ok(())
}

/// The same as an object with the attributes' names.
fn as_object(schema: &Schema) -> String {
    let columns: Vec<String> = logged_attributes(schema)
        .map(|Attribute { name, kind }| match kind {
            AttributeKind::Text | AttributeKind::Json => format!(
                "'{name}', CASE WHEN length(OLD.{name}) > {ATTRIBUTE_CHARS_MAX} \
                 THEN to_json(0) ELSE to_json(OLD.{name}) END"
            ),
            _ => format!("'{name}', OLD.{name}"),
        })
        .collect();
    format!("json_build_object({})::text", columns.join(", "))
}
