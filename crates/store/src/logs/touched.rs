//! Which records a transaction touches, and how they were before it.
//!
//! Noted by triggers ([`super::triggers`]), made from the schemas: whatever statement changes a record,
//! its first change in a transaction leaves a row. A rollback takes the rows back with everything else.

use model::JsonMap;
use model::filter::{Attribute, AttributeKind, Schema};
use sea_query::{Alias, Expr, ExprTrait as _};
use serde_json::Value;

use crate::connection::{Connection, Row, query};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::schema::Resource;
use crate::sql;

/// Longest text or JSON of an attribute that is logged; workflows inside requests can be megabytes.
pub(crate) const ATTRIBUTE_CHARS_MAX: usize = 16 * 1024;
/// Attributes that are left out whatever their size: manifests say nothing to people, and hold permissions.
const UNLOGGED: &[&str] = &["manifest_text", "unsigned_manifest_text"];

/// Everything but the entries themselves.
pub(super) fn logged() -> impl Iterator<Item = Resource> {
    Resource::ALL.iter().copied().filter(|resource| *resource != Resource::Logs)
}

pub(super) fn logged_attributes(schema: &Schema) -> impl Iterator<Item = Attribute> {
    schema.attributes.iter().copied().filter(|attribute| !UNLOGGED.contains(&attribute.name))
}

/// A record that the transaction has touched.
pub(super) struct TouchedRecord {
    pub(super) resource: Resource,
    pub(super) uuid: String,
    /// Its logged attributes before the transaction; none where there was no such record.
    pub(super) before: Option<JsonMap>,
}

/// Takes the notes, in the order in which records were touched.
pub(super) async fn take(conn: &mut Connection) -> Result<Vec<TouchedRecord>, StoreError> {
    let taking = query(conn.dialect().pick(
        "SELECT record_table, uuid, before FROM touched_records ORDER BY rowid",
        "WITH taken AS (DELETE FROM touched_records WHERE tx = pg_current_xact_id() \
         RETURNING place, record_table, uuid, before) \
         SELECT record_table, uuid, before FROM taken ORDER BY place",
    ));
    let rows = taking.fetch_all(conn).await?;
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    if conn.dialect() == Dialect::Sqlite {
        query("DELETE FROM touched_records").execute(conn).await?;
    }
    let mut touched = Vec::with_capacity(rows.len());
    for row in rows {
        let table: &str = row.try_get("record_table")?;
        let Some(resource) = logged().find(|resource| resource.schema().table == table) else {
            continue;
        };
        let before: Option<&str> = row.try_get("before")?;
        let before = before.map(|text| before_of(resource.schema(), text)).transpose()?;
        touched.push(TouchedRecord { resource, uuid: row.try_get("uuid")?, before });
    }
    Ok(touched)
}

/// The attributes that a trigger noted; one that was too long is noted as the number 0, which no text is, and left out.
fn before_of(schema: &'static Schema, text: &str) -> Result<JsonMap, StoreError> {
    let corrupt = |source| StoreError::Corrupt { what: schema.table.to_owned(), source };
    let mut noted: JsonMap = match serde_json::from_str(text).map_err(corrupt)? {
        Value::Object(noted) => noted,
        Value::Array(values) => {
            let names = logged_attributes(schema).map(|attribute| attribute.name.to_owned());
            names.zip(values).collect()
        }
        _ => JsonMap::new(),
    };
    let mut attributes = JsonMap::new();
    for Attribute { name, kind } in logged_attributes(schema) {
        // Where it is missing, a process of another version made the trigger.
        let Some(value) = noted.shift_remove(name) else { continue };
        let value = match (kind, value) {
            (AttributeKind::Text | AttributeKind::Json, Value::Number(_)) => continue,
            (AttributeKind::Boolean, Value::Number(number)) => (number.as_i64() != Some(0)).into(),
            (AttributeKind::Float, Value::Number(number)) => number.as_f64().into(),
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
    conn: &mut Connection,
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
        sql::build(conn.dialect(), &statement)
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

fn is_too_long(row: &Row, name: &str, kind: AttributeKind) -> Result<bool, StoreError> {
    if !matches!(kind, AttributeKind::Text | AttributeKind::Json) {
        return Ok(false);
    }
    let text: Option<&str> = row.try_get(name)?;
    // Characters, as the databases count them; the bytes tell it at once for what is short.
    Ok(text.is_some_and(|text| {
        text.len() > ATTRIBUTE_CHARS_MAX && text.chars().count() > ATTRIBUTE_CHARS_MAX
    }))
}
