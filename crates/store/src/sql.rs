//! Records to and from rows, and statements about them.
//!
//! Here and in what sea-query renders SQL is put together at run time. It consists of our own words only: names come from
//! [`crate::schema`], everything else is a bound value.

use model::JsonMap;
use model::filter::{Attribute, AttributeKind, Schema};
use sea_query::{PostgresQueryBuilder, SqliteQueryBuilder, Value};
use sea_query_sqlx::SqlxBinder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::connection::{Connection, Query, Row};
use crate::dialect::Dialect;
use crate::error::StoreError;

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

/// The columns of a record and their values. A double option distinguishes nothing here: a
/// missing attribute is null.
fn record_values(
    schema: &'static Schema,
    record: &impl Serialize,
    hidden: Hidden,
) -> Result<Hidden, StoreError> {
    let corrupt = |source| StoreError::Corrupt { what: schema.table.to_owned(), source };
    let serde_json::Value::Object(mut map) = serde_json::to_value(record).map_err(corrupt)? else {
        return Ok(hidden);
    };
    let of = |attribute: &Attribute| {
        let value = map.remove(attribute.name).unwrap_or_default();
        (attribute.name, column_value(attribute.kind, value))
    };
    let mut values: Hidden = schema.attributes.iter().map(of).collect();
    values.extend(hidden);
    Ok(values)
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
    let (names, values): (Vec<_>, Vec<_>) =
        record_values(schema, record, hidden)?.into_iter().unzip();
    let places: Vec<String> = (1..=values.len()).map(|place| format!("${place}")).collect();
    let (table, names, places) = (schema.table, names.join(", "), places.join(", "));
    Ok(Query::of_record(format!("INSERT INTO {table} ({names}) VALUES ({places})"), values))
}

/// `UPDATE` of a record by its identifier.
pub(crate) fn update(
    schema: &'static Schema,
    uuid: &str,
    record: &impl Serialize,
    hidden: Hidden,
) -> Result<Query, StoreError> {
    let (names, mut values): (Vec<_>, Vec<_>) =
        record_values(schema, record, hidden)?.into_iter().unzip();
    let set: Vec<String> =
        names.iter().enumerate().map(|(at, name)| format!("{name} = ${}", at + 1)).collect();
    values.push(uuid.into());
    let (table, set, place) = (schema.table, set.join(", "), values.len());
    Ok(Query::of_record(format!("UPDATE {table} SET {set} WHERE uuid = ${place}"), values))
}

/// The attributes as columns, with their table before them.
fn columns(schema: &'static Schema) -> String {
    let of = |a: &Attribute| format!("{}.{}", schema.table, a.name);
    schema.attributes.iter().map(of).collect::<Vec<_>>().join(", ")
}

/// The record with this identifier, as a row: its attributes, and columns beside them.
pub(crate) async fn row_by_uuid(
    conn: &mut Connection,
    schema: &'static Schema,
    beside: &[&'static str],
    uuid: &str,
) -> Result<Option<Row>, StoreError> {
    let mut names = columns(schema);
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
