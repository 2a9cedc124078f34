//! Records to and from rows, and statements about them.
//!
//! Here and in what sea-query renders SQL is put together at run time. It consists of our own words only: names come from
//! [`crate::schema`], everything else is a bound value.

use std::collections::HashMap;
use std::sync::LazyLock;

use model::filter::{Attribute, AttributeKind, Schema};
use model::{JsonMap, Timestamp};
use sea_query::{PostgresQueryBuilder, SqliteQueryBuilder, Value};
use sea_query_sqlx::SqlxBinder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{Connection, Query, Row};
use crate::dialect::Dialect;
use crate::error::StoreError;
use crate::schema::Resource;

/// Renders a statement. (Statements are not `Send`, so they are rendered before any await.)
pub(crate) fn build(dialect: Dialect, statement: &impl SqlxBinder) -> Query {
    let (text, values) = match dialect {
        Dialect::Sqlite => statement.build_sqlx(SqliteQueryBuilder),
        Dialect::Postgres => statement.build_sqlx(PostgresQueryBuilder),
    };
    Query::made(text, values.0.0)
}

/// Reads the selected attributes of a row, which begins with them, into wire JSON.
pub(crate) fn row_to_json(
    schema: &'static Schema,
    select: Option<&[&'static str]>,
    row: &Row,
) -> Result<JsonMap, StoreError> {
    attributes_from(schema, select, row, 0)
}

/// The same, of attributes that begin at this column.
fn attributes_from(
    schema: &'static Schema,
    select: Option<&[&'static str]>,
    row: &Row,
    first: usize,
) -> Result<JsonMap, StoreError> {
    let mut map = JsonMap::new();
    let selected = |name: &str| select.is_none_or(|names| names.contains(&name));
    let attributes = schema.attributes.iter().filter(|attribute| selected(attribute.name));
    for (at, attribute) in (first..).zip(attributes) {
        let name = attribute.name;
        let value = match attribute.kind {
            AttributeKind::Text | AttributeKind::Time => {
                row.try_get::<Option<String>, _>(at)?.map(serde_json::Value::from)
            }
            AttributeKind::Integer => row.try_get::<Option<i64>, _>(at)?.map(Into::into),
            AttributeKind::Float => row.try_get::<Option<f64>, _>(at)?.map(Into::into),
            AttributeKind::Boolean => row.try_get::<Option<bool>, _>(at)?.map(Into::into),
            AttributeKind::Json => row
                .try_get::<Option<String>, _>(at)?
                .map(|text| serde_json::from_str(&text))
                .transpose()
                .map_err(|source| StoreError::Corrupt {
                    what: format!("{}.{name}", schema.table),
                    source,
                })?,
        };
        map.insert(name.to_owned(), value.unwrap_or(serde_json::Value::Null));
    }
    Ok(map)
}

/// Reads a whole row into its record.
pub(crate) fn row_to_record<R: DeserializeOwned>(
    schema: &'static Schema,
    row: &Row,
) -> Result<R, StoreError> {
    record_from(schema, row, 0)
}

/// Reads the columns from this one on into their record: one of several in a row.
pub(crate) fn record_from<R: DeserializeOwned>(
    schema: &'static Schema,
    row: &Row,
    first: usize,
) -> Result<R, StoreError> {
    let map = attributes_from(schema, None, row, first)?;
    let uuid = map.get("uuid").cloned().unwrap_or_default();
    serde_json::from_value(map.into())
        .map_err(|source| StoreError::Corrupt { what: format!("{} {uuid}", schema.table), source })
}

/// The columns of a record, their values, and whether one that is JSON has the character NUL in it. A double option
/// distinguishes nothing here: a missing attribute is null.
fn record_values(
    schema: &'static Schema,
    record: &impl Serialize,
    hidden: Hidden,
) -> Result<(Vec<&'static str>, Vec<Value>, bool), StoreError> {
    let corrupt = |source| StoreError::Corrupt { what: schema.table.to_owned(), source };
    let serde_json::Value::Object(mut map) = serde_json::to_value(record).map_err(corrupt)? else {
        return Ok((Vec::new(), Vec::new(), false));
    };
    let mut has_nul = false;
    let of = |attribute: &Attribute| {
        let value = map.remove(attribute.name).unwrap_or_default();
        let value = column_value(attribute.kind, value);
        if let (AttributeKind::Json, Value::String(Some(text))) = (attribute.kind, &value) {
            has_nul |= has_escaped_nul(text);
        }
        (attribute.name, value)
    };
    let (mut names, mut values): (Vec<_>, Vec<_>) = schema.attributes.iter().map(of).unzip();
    for (name, value) in hidden {
        names.push(name);
        values.push(value);
    }
    Ok((names, values, has_nul))
}

/// Whether JSON text has NUL as an escape: an odd number of backslashes before `u0000`.
fn has_escaped_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let before = json.as_bytes()[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        before % 2 == 0
    })
}

fn column_value(kind: AttributeKind, value: serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match (kind, value) {
        (AttributeKind::Json, Json::Null) => Value::String(None),
        (AttributeKind::Json, value) => value.to_string().into(),
        (AttributeKind::Integer, value) => Value::BigInt(value.as_i64()),
        (AttributeKind::Float, value) => Value::Double(value.as_f64()),
        (AttributeKind::Boolean, value) => Value::Bool(value.as_bool()),
        (_, Json::String(text)) => text.into(),
        (_, _) => Value::String(None),
    }
}

/// Columns beside the attributes, with their values.
pub(crate) type Hidden = Vec<(&'static str, Value)>;

/// `INSERT` of a record.
pub(crate) fn insert(
    schema: &'static Schema,
    record: &impl Serialize,
    hidden: Hidden,
) -> Result<Query, StoreError> {
    let (names, values, has_nul) = record_values(schema, record, hidden)?;
    let places: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
    let (table, names, places) = (schema.table, names.join(", "), places.join(", "));
    let text = format!("INSERT INTO {table} ({names}) VALUES ({places})");
    Ok(Query::made(text, values).with_nul(has_nul))
}

/// `UPDATE` of a record by its identifier.
pub(crate) fn update(
    schema: &'static Schema,
    uuid: &str,
    record: &impl Serialize,
    hidden: Hidden,
) -> Result<Query, StoreError> {
    let (names, mut values, has_nul) = record_values(schema, record, hidden)?;
    let set: Vec<String> =
        names.iter().enumerate().map(|(at, name)| format!("{name} = ${}", at + 1)).collect();
    values.push(uuid.into());
    let (table, set, place) = (schema.table, set.join(", "), values.len());
    let text = format!("UPDATE {table} SET {set} WHERE uuid = ${place}");
    Ok(Query::made(text, values).with_nul(has_nul))
}

/// The attributes as columns, with their table before them. Put together once: most queries are about one record.
fn columns(schema: &'static Schema) -> &'static str {
    static TEXTS: LazyLock<HashMap<&'static str, String>> = LazyLock::new(|| {
        let of = |schema: &'static Schema| {
            let column = |a: &Attribute| format!("{}.{}", schema.table, a.name);
            schema.attributes.iter().map(column).collect::<Vec<_>>().join(", ")
        };
        Resource::ALL.iter().map(|it| (it.schema().table, of(it.schema()))).collect()
    });
    TEXTS.get(schema.table).map_or("*", String::as_str)
}

/// The record with this identifier, as a row: its attributes, and columns beside them.
pub(crate) async fn row_by_uuid(
    conn: &mut Connection,
    schema: &'static Schema,
    beside: &[&'static str],
    uuid: &str,
) -> Result<Option<Row>, StoreError> {
    let mut names = columns(schema).to_owned();
    for name in beside {
        names.extend([", ", name]);
    }
    let text = format!("SELECT {names} FROM {} WHERE uuid = $1", schema.table);
    Query::made(text, vec![uuid.into()]).fetch_optional(conn).await
}

/// The record with this identifier.
pub(crate) async fn by_uuid<R: DeserializeOwned>(
    conn: &mut Connection,
    schema: &'static Schema,
    uuid: &str,
) -> Result<Option<R>, StoreError> {
    let row = row_by_uuid(conn, schema, &[], uuid).await?;
    row.map(|row| row_to_record(schema, &row)).transpose()
}

/// Whether a record is still as it was read: what is about to replace it was made of that.
///
/// # Errors
/// [`StoreError::NotFound`], [`StoreError::Changed`]; `what` names the record in both.
pub(crate) async fn require_as_read(
    conn: &mut Connection,
    schema: &'static Schema,
    what: &str,
    uuid: &str,
    modified_at: Timestamp,
) -> Result<(), StoreError> {
    let text = format!("SELECT modified_at FROM {} WHERE uuid = $1", schema.table);
    let row = Query::made(text, vec![uuid.into()]).fetch_optional(conn).await?;
    let row = row.ok_or_else(|| StoreError::NotFound(format!("{what} {uuid}")))?;
    let stored: String = row.try_get(0)?;
    match stored.parse::<Timestamp>() {
        Ok(stored) if stored == modified_at => Ok(()),
        Ok(_) | Err(_) => Err(StoreError::Changed(format!("{what} {uuid}"))),
    }
}

/// The records a hand-written condition selects. `tail` is everything from `WHERE` on, ours and
/// constant; `bound` are its `$1`, `$2`, ….
pub(crate) async fn select_where<R: DeserializeOwned>(
    conn: &mut Connection,
    schema: &'static Schema,
    tail: &'static str,
    bound: &[&str],
) -> Result<Vec<R>, StoreError> {
    let text = format!("SELECT {} FROM {} {tail}", columns(schema), schema.table);
    let query = Query::made(text, bound.iter().map(|value| (*value).into()).collect());
    query.fetch_all(conn).await?.iter().map(|row| row_to_record(schema, row)).collect()
}

#[cfg(test)]
mod tests {
    use super::has_escaped_nul;

    #[test]
    fn nul_is_known_from_what_looks_like_it() {
        for (text, has_nul) in [("", false), ("a\0b", true), ("\\u0000", false), ("\\\0", true)] {
            assert_eq!(
                has_escaped_nul(&serde_json::Value::from(text).to_string()),
                has_nul,
                "{text:?}"
            );
        }
    }
}
