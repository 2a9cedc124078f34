//! Running sea-query statements, and records to and from rows.
//!
//! The one place where SQL text that was put together at run time is executed. It consists of our
//! own words only: names come from [`crate::schema`], everything else is a bound value.

use model::JsonMap;
use model::filter::{AttributeKind, Schema};
use sea_query::{Alias, Expr, ExprTrait as _, Query, SimpleExpr, SqliteQueryBuilder, Value};
use sea_query_sqlx::{SqlxBinder, SqlxValues};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _};

use crate::error::StoreError;

/// A statement and its bound values, ready to run.
pub(crate) struct Built(String, SqlxValues);

/// Renders a statement. (Statements are not `Send`, so they are rendered before any await.)
pub(crate) fn build(statement: &impl SqlxBinder) -> Built {
    let (sql, values) = statement.build_sqlx(SqliteQueryBuilder);
    Built(sql, values)
}

impl Built {
    /// All rows.
    pub(crate) async fn fetch_all(
        self,
        conn: &mut SqliteConnection,
    ) -> Result<Vec<SqliteRow>, StoreError> {
        Ok(sqlx::query_with(AssertSqlSafe(self.0), self.1).fetch_all(conn).await?)
    }

    /// How many rows it changed.
    pub(crate) async fn execute(self, conn: &mut SqliteConnection) -> Result<u64, StoreError> {
        Ok(sqlx::query_with(AssertSqlSafe(self.0), self.1).execute(conn).await?.rows_affected())
    }

    /// The single integer it answers.
    pub(crate) async fn fetch_count(self, conn: &mut SqliteConnection) -> Result<i64, StoreError> {
        let row = sqlx::query_with(AssertSqlSafe(self.0), self.1).fetch_one(conn).await?;
        Ok(row.try_get(0)?)
    }
}

/// Reads the selected attributes of a row, which begins with them, into wire JSON.
pub(crate) fn row_to_json(
    schema: &'static Schema,
    select: Option<&[&'static str]>,
    row: &SqliteRow,
) -> Result<JsonMap, StoreError> {
    attributes_from(schema, select, row, 0)
}

/// The same, of attributes that begin at this column.
fn attributes_from(
    schema: &'static Schema,
    select: Option<&[&'static str]>,
    row: &SqliteRow,
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
    row: &SqliteRow,
) -> Result<R, StoreError> {
    record_from(schema, row, 0)
}

/// Reads the columns from this one on into their record: one of several in a row.
pub(crate) fn record_from<R: DeserializeOwned>(
    schema: &'static Schema,
    row: &SqliteRow,
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
) -> Result<Vec<(&'static str, SimpleExpr)>, StoreError> {
    let corrupt = |source| StoreError::Corrupt { what: schema.table.to_owned(), source };
    let serde_json::Value::Object(mut map) = serde_json::to_value(record).map_err(corrupt)? else {
        return Ok(Vec::new());
    };
    Ok(schema
        .attributes
        .iter()
        .map(|attribute| {
            let value = map.remove(attribute.name).unwrap_or_default();
            (attribute.name, Expr::val(column_value(attribute.kind, value)))
        })
        .collect())
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
) -> Result<Built, StoreError> {
    let mut values = record_values(schema, record)?;
    values.extend(hidden.into_iter().map(|(name, value)| (name, Expr::val(value))));
    let (columns, exprs): (Vec<_>, Vec<_>) = values.into_iter().unzip();
    let mut statement = Query::insert();
    statement.into_table(Alias::new(schema.table)).columns(columns.into_iter().map(Alias::new));
    statement.values_panic(exprs);
    Ok(build(&statement))
}

/// `UPDATE` of a record by its identifier.
pub(crate) fn update(
    schema: &'static Schema,
    uuid: &str,
    record: &impl Serialize,
    hidden: Hidden,
) -> Result<Built, StoreError> {
    let mut values = record_values(schema, record)?;
    values.extend(hidden.into_iter().map(|(name, value)| (name, Expr::val(value))));
    let mut statement = Query::update();
    statement
        .table(Alias::new(schema.table))
        .values(values.into_iter().map(|(name, expr)| (Alias::new(name), expr)))
        .and_where(Expr::col(Alias::new("uuid")).eq(uuid));
    Ok(build(&statement))
}

/// `SELECT` of all attributes; the caller adds the condition.
pub(crate) fn select_all(schema: &'static Schema) -> sea_query::SelectStatement {
    let mut statement = Query::select();
    statement
        .columns(schema.attributes.iter().map(|a| (Alias::new(schema.table), Alias::new(a.name))))
        .from(Alias::new(schema.table));
    statement
}

/// The record with this identifier.
pub(crate) async fn by_uuid<R: DeserializeOwned>(
    conn: &mut SqliteConnection,
    schema: &'static Schema,
    uuid: &str,
) -> Result<Option<R>, StoreError> {
    let built = {
        let mut statement = select_all(schema);
        statement.and_where(Expr::col(Alias::new("uuid")).eq(uuid));
        build(&statement)
    };
    built.fetch_all(conn).await?.first().map(|row| row_to_record(schema, row)).transpose()
}

/// The records a hand-written condition selects. `tail` is everything from `WHERE` on, ours and
/// constant; `bound` are its `$1`, `$2`, ….
pub(crate) async fn select_where<R: DeserializeOwned>(
    conn: &mut SqliteConnection,
    schema: &'static Schema,
    tail: &'static str,
    bound: &[&str],
) -> Result<Vec<R>, StoreError> {
    let columns: Vec<String> =
        schema.attributes.iter().map(|a| format!("{}.{}", schema.table, a.name)).collect();
    let sql = format!("SELECT {} FROM {} {tail}", columns.join(", "), schema.table);
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in bound {
        query = query.bind((*value).to_owned());
    }
    query.fetch_all(conn).await?.iter().map(|row| row_to_record(schema, row)).collect()
}
