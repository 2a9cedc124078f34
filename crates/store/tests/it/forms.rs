//! The forms that the migrations give both databases are the same.

use std::collections::BTreeSet;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use store::{Store, StoreOptions};

use crate::place::Place;

/// What PostgreSQL has of its own, for what SQLite has elsewhere (`migrations/postgres`).
const POSTGRES_ALONE: [&str; 2] = ["touched_records", "data_directory"];

/// `table.column type null`, and `unique table (columns)`.
type Form = BTreeSet<String>;

/// A type in the words of both.
fn kind(word: &str) -> String {
    let word = word.to_uppercase();
    // The keys of rows that number themselves.
    if word == "INTEGER" { "BIGINT".to_owned() } else { word }
}

async fn of_sqlite() -> Form {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wharf.db");
    Store::open(&path, StoreOptions::default()).await.unwrap().close().await;
    let mut conn =
        SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let tables = sqlx::query(tables).fetch_all(&mut conn).await.unwrap();
    let mut form = Form::new();
    for table in tables.iter().map(|row| row.get::<String, _>(0)) {
        if table == "_sqlx_migrations" {
            continue;
        }
        let columns = format!("SELECT name, type, \"notnull\" FROM pragma_table_info('{table}')");
        for row in sqlx::query(AssertSqlSafe(columns)).fetch_all(&mut conn).await.unwrap() {
            let (name, of): (String, String) = (row.get(0), row.get(1));
            let null = if row.get::<i64, _>(2) == 1 { "NO" } else { "YES" };
            form.insert(format!("{table}.{name} {} {null}", kind(&of)));
        }
        let indexes = format!("SELECT name FROM pragma_index_list('{table}') WHERE \"unique\"");
        for row in sqlx::query(AssertSqlSafe(indexes)).fetch_all(&mut conn).await.unwrap() {
            let columns = format!(
                "SELECT name FROM pragma_index_info('{}') ORDER BY seqno",
                row.get::<String, _>(0)
            );
            let columns = sqlx::query(AssertSqlSafe(columns)).fetch_all(&mut conn).await.unwrap();
            let columns: Vec<String> = columns.iter().map(|row| row.get(0)).collect();
            form.insert(format!("unique {table} ({})", columns.join(", ")));
        }
        let indexes = format!("SELECT name FROM pragma_index_list('{table}') WHERE origin = 'c'");
        for row in sqlx::query(AssertSqlSafe(indexes)).fetch_all(&mut conn).await.unwrap() {
            form.insert(format!("index {}", row.get::<String, _>(0)));
        }
    }
    form
}

async fn of_postgres(place: &Place) -> Form {
    place.open(StoreOptions::default()).await.close().await;
    let Place::Server { url, .. } = place else { panic!("there is no server") };
    let mut conn = PgConnection::connect(url).await.unwrap();
    let columns = "SELECT table_name::text, column_name::text, data_type::text, is_nullable::text \
        FROM information_schema.columns WHERE table_schema = 'public'";
    let is_own = |table: &str| POSTGRES_ALONE.contains(&table) || table == "_sqlx_migrations";
    let mut form = Form::new();
    for row in sqlx::query(columns).fetch_all(&mut conn).await.unwrap() {
        let word = |at: usize| row.get::<String, _>(at);
        if !is_own(&word(0)) {
            form.insert(format!("{}.{} {} {}", word(0), word(1), kind(&word(2)), word(3)));
        }
    }
    let indexes = "SELECT of.relname::text, index.relname::text, indisunique, array_to_string(ARRAY( \
            SELECT attname FROM unnest(indkey) WITH ORDINALITY AS key (number, place) \
            JOIN pg_attribute ON attrelid = indrelid AND attnum = key.number ORDER BY place), ', '), \
        indisprimary FROM pg_index JOIN pg_class AS of ON of.oid = indrelid \
        JOIN pg_class AS index ON index.oid = indexrelid \
        WHERE of.relnamespace = 'public'::regnamespace";
    for row in sqlx::query(indexes).fetch_all(&mut conn).await.unwrap() {
        let (table, index): (String, String) = (row.get(0), row.get(1));
        if is_own(&table) {
            continue;
        }
        // SQLite's integer keys are its rows' own numbers, and have no index.
        if row.get::<bool, _>(2) && !["id", "seq", "port"].contains(&row.get::<&str, _>(3)) {
            form.insert(format!("unique {table} ({})", row.get::<String, _>(3)));
        }
        // Those on properties are PostgreSQL's own.
        if !row.get::<bool, _>(4) && !index.ends_with("_properties") {
            form.insert(format!("index {index}"));
        }
    }
    form
}

#[tokio::test]
#[ignore = "needs a PostgreSQL server: cargo xtask test --only postgres"]
async fn both_databases_have_the_same_tables_columns_and_indexes() {
    let (sqlite, mut postgres) = (of_sqlite().await, of_postgres(&Place::new().await).await);
    // A BIGINT key is no number of a row in SQLite, and has an index.
    postgres.extend(sqlite.iter().filter(|it| it.ends_with("external_ports (port)")).cloned());
    let only = |one: &Form, other: &Form| one.difference(other).cloned().collect::<Vec<_>>();
    assert_eq!(only(&sqlite, &postgres), Vec::<String>::new(), "only in SQLite");
    assert_eq!(only(&postgres, &sqlite), Vec::<String>::new(), "only in PostgreSQL");
    assert!(sqlite.len() > 150, "{sqlite:?}");
}
