//! Records of a file go to a server, all or none.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Row as _, SqliteConnection};
use store::transfer::copy;
use store::{Reader, StoreError, StoreOptions};

use crate::fixture::Fixture;
use crate::place::Place;

/// A closed file with records of many kinds.
async fn file() -> (tempfile::TempDir, PathBuf, Fixture) {
    let folder = tempfile::tempdir().unwrap();
    let site = Fixture::beside(folder.path()).await;
    let service = json!({
        "name": "naïve \"quotes\" \\ and\nlines", "service": true, "properties": {"π": [1.5, null, true]},
        "published_ports": {"80": {"access": "private", "label": "App"}},
    });
    let request = site.submit(&site.ada, service).await;
    let link = site.hostname(&site.ada, "lab", &request);
    site.store.create_link(link, site.ada.uuid).await.unwrap();
    let project = site.group(&site.ada, "project", json!({"name": "p"})).await;
    site.grant(&site.bob.uuid, "can_read", &project.uuid).await;
    let path = folder.path().join("wharf.db");
    (folder, path, site)
}

/// All rows of all tables of records, as texts.
type Rows = BTreeMap<String, Vec<Value>>;

async fn rows_of_file(path: &std::path::Path) -> Rows {
    let mut conn =
        SqliteConnection::connect(&format!("sqlite://{}", path.display())).await.unwrap();
    let tables = "SELECT m.name, group_concat('''' || c.name || ''', ' || c.name, ', ') FROM sqlite_schema AS m, \
        pragma_table_info(m.name) AS c WHERE m.type = 'table' AND m.name <> '_sqlx_migrations' GROUP BY m.name";
    let mut rows = Rows::new();
    for table in sqlx::query(tables).fetch_all(&mut conn).await.unwrap() {
        let (name, members): (String, String) = (table.get(0), table.get(1));
        let text = format!("SELECT json_object({members}) FROM {name} ORDER BY 1");
        let found = sqlx::query(AssertSqlSafe(text)).fetch_all(&mut conn).await.unwrap();
        rows.insert(name, found.iter().map(|row| plain(row.get(0))).collect());
    }
    conn.close().await.unwrap();
    rows
}

async fn rows_of_server(url: &str, tables: impl Iterator<Item = &String>) -> Rows {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let mut rows = Rows::new();
    for name in tables {
        let text = format!("SELECT to_json(one)::text FROM {name} AS one");
        let found = sqlx::query(AssertSqlSafe(text)).fetch_all(&mut conn).await.unwrap();
        let mut found: Vec<Value> = found.iter().map(|row| plain(row.get(0))).collect();
        found.sort_by_key(Value::to_string);
        rows.insert(name.clone(), found);
    }
    conn.close().await.unwrap();
    rows
}

/// A row with numbers in place of truth values, as SQLite has them.
fn plain(text: &str) -> Value {
    let mut row: Value = serde_json::from_str(text).unwrap();
    for value in row.as_object_mut().unwrap().values_mut() {
        if let Some(number) = value.as_f64() {
            *value = json!(number);
        } else if let Some(flag) = value.as_bool() {
            *value = json!(f64::from(u8::from(flag)));
        }
    }
    row
}

fn url_of(place: &Place) -> &str {
    let Place::Server { url, .. } = place else { panic!("there is no server") };
    url
}

#[tokio::test]
#[ignore = "needs a PostgreSQL server: cargo xtask test --only postgres"]
async fn every_record_of_a_file_is_on_the_server_and_numbers_go_on() {
    let (_folder, path, site) = file().await;
    site.store.close().await;
    let place = Place::new().await;
    let options = StoreOptions::default();
    let taken = copy(&path, url_of(&place), &options).await.unwrap();

    let mut expected = rows_of_file(&path).await;
    expected.remove("changes");
    expected.values_mut().for_each(|rows| rows.sort_by_key(Value::to_string));
    assert_eq!(rows_of_server(url_of(&place), expected.keys()).await, expected);
    let counted: BTreeMap<_, _> = taken.iter().map(|one| (&one.table, one.n_rows)).collect();
    assert!(expected.iter().all(|(table, rows)| counted[table] == rows.len() as u64), "{taken:?}");
    for table in ["users", "container_requests", "containers", "links", "groups", "logs"] {
        assert!(!expected[table].is_empty(), "{table}");
    }

    // What is written now has its log entry behind the others.
    let moved = site.moved_to(place).await;
    let last = expected["logs"].iter().filter_map(|row| row["id"].as_f64()).fold(0.0, f64::max);
    let request = moved.submit(&moved.bob, json!({"name": "later"})).await;
    let reader = Reader::new(moved.bob.uuid, false);
    let found = moved.store.get(store::Resource::ContainerRequests, request.uuid.as_str(), &reader);
    assert_eq!(found.await.unwrap().unwrap()["name"], "later");
    moved.store.close().await;
    let logs = rows_of_server(url_of(&moved.place), ["logs".to_owned()].iter()).await;
    let later = logs["logs"].iter().filter_map(|row| row["id"].as_f64());
    assert!(later.filter(|id| *id > last).count() > 0, "{logs:?}");
}

#[tokio::test]
#[ignore = "needs a PostgreSQL server: cargo xtask test --only postgres"]
async fn nothing_is_copied_where_something_is_in_the_way() {
    let (folder, path, site) = file().await;
    let (place, options) = (Place::new().await, StoreOptions::default());
    let refused = async || copy(&path, url_of(&place), &options).await.unwrap_err();

    assert!(matches!(refused().await, StoreError::InUse(_)), "a store has it open");
    site.store.close().await;
    let missing = copy(&folder.path().join("other.db"), url_of(&place), &options).await;
    assert!(matches!(missing, Err(StoreError::Open { .. })), "{missing:?}");

    let set_name = async |name: &str| {
        let url = format!("sqlite://{}", path.display());
        let mut conn = SqliteConnection::connect(&url).await.unwrap();
        let text =
            format!("UPDATE groups SET name = {name} WHERE name = 'p' OR instr(name, char(0))");
        sqlx::query(AssertSqlSafe(text)).execute(&mut conn).await.unwrap();
        conn.close().await.unwrap();
    };
    set_name("'a' || char(0)").await;
    let words = refused().await.to_string();
    assert!(words.starts_with("groups ") && words.contains("NUL"), "{words}");
    // That none of the others stayed is seen by this.
    set_name("'p'").await;
    copy(&path, url_of(&place), &options).await.unwrap();
    let words = refused().await.to_string();
    assert!(words.contains("has records already"), "{words}");
}
