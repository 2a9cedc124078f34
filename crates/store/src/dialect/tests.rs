//! How PostgreSQL goes about lists. Needs a server; `cargo xtask test --only postgres` has one.

use model::UserUuid;
use model::filter::{ListQuery, parse_filters};
use serde_json::json;

use crate::connection::Connection;
use crate::list::page;
use crate::permissions::Around;
use crate::permissions::sight::Sight;
use crate::{Reader, Resource, Store, StoreOptions, sql};

/// The plan of a list with this filter, where a scan of the table is taken only if there is no other way.
async fn plan(store: &Store, resource: Resource, filter: serde_json::Value) -> String {
    let mut conn: Connection = store.reader().await.expect("a connection");
    conn.batch("SET enable_seqscan = off").await.expect("a setting");
    let user = UserUuid::parse("wharf-tpzed-000000000000001").expect("one");
    let around = Around::of(&store.options);
    let sight = Sight::of(&mut conn, &around, &Reader::new(user, true)).await.expect("a sight");
    let schema = resource.schema();
    let filters = parse_filters(schema, &json!([filter])).expect("a filter");
    let query = ListQuery { filters, ..ListQuery::all(schema) };
    let explain = sql::build(conn.dialect(), &page(resource, &query, &sight, None)).explained();
    let lines = explain.fetch_all(&mut conn).await.expect("a plan");
    conn.batch("RESET enable_seqscan").await.expect("a setting");
    let lines = lines.iter().map(|row| row.try_get::<String, _>(0).expect("a line"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
#[ignore = "needs a PostgreSQL server: cargo xtask test --only postgres"]
async fn properties_are_found_by_an_index() {
    let url = std::env::var("WHARF_TEST_POSTGRES").expect("a server");
    let store = Store::connect(&url, StoreOptions::default()).await.expect("connects");
    for (resource, index) in [
        (Resource::Collections, "collections_properties"),
        (Resource::ContainerRequests, "container_requests_properties"),
        (Resource::Groups, "groups_properties"),
        (Resource::Links, "links_properties"),
    ] {
        for filter in [
            json!(["properties.color", "=", "red"]),
            json!(["properties.n", "in", [1, "two", true]]),
            json!(["properties.list", "contains", ["a", "b"]]),
        ] {
            let plan = plan(&store, resource, filter.clone()).await;
            assert!(plan.contains(index), "{filter} {plan}");
        }
    }
    store.close().await;
}
