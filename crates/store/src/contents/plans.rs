//! How SQLite goes about lists: by indexes, whatever a reader reaches. (A scan costs nothing in a test and seconds in a
//! database of a million records.)

use model::filter::{self, ListQuery};
use model::{UserUuid, WellKnownGroup};
use sea_query::SqliteQueryBuilder;
use serde_json::json;

use super::*;
use crate::StoreOptions;
use crate::connection::{Connection, Query};

/// Ada has a home and a project, reads another's project and a request; something of hers is in the trash.
const RECORDS: &str = "\
    INSERT INTO groups SELECT substr(uuid, 1, 12) || '00000000000000' || n, 'wharf-tpzed-00000000000000' || owner, \
        created_at, modified_at, modified_by_user_uuid, 'p' || n, 'project', NULL, '{}', \
        CASE WHEN n = 3 THEN modified_at END, NULL, n = 3, NULL \
        FROM groups, (SELECT 1 AS n, 1 AS owner UNION SELECT 2, 2 UNION SELECT 3, 1) \
        WHERE name = 'All users'; \
    INSERT INTO links SELECT 'wharf-o0j2j-00000000000000' || n, owner_uuid, created_at, modified_at, \
        modified_by_user_uuid, 'permission', 'can_manage', 'wharf-tpzed-000000000000001', head, '{}' \
        FROM links, (SELECT 1 AS n, 'wharf-j7d0g-000000000000002' AS head \
            UNION SELECT 2, 'wharf-xvhdp-000000000000002') \
        WHERE link_class = 'permission' LIMIT 2";

async fn what_ada_sees() -> (Store, Connection, Sight) {
    let path = std::path::Path::new(":memory:");
    let store = Store::open(path, StoreOptions::default()).await.expect("opens");
    store.ensure_system_user().await.expect("groups");
    let mut conn = store.reader().await.expect("a connection");
    conn.batch(RECORDS).await.expect("records");
    let reader = Reader::new(UserUuid::parse("wharf-tpzed-000000000000001").expect("one"), false);
    let around = Around::of(&store.options);
    let sight = Sight::of(&mut conn, &around, &reader).await.expect("a sight");
    (store, conn, sight)
}

async fn plan(conn: &mut Connection, statement: &SelectStatement) -> String {
    let sql = format!("EXPLAIN QUERY PLAN {}", statement.to_string(SqliteQueryBuilder));
    let rows = Query::made(sql, Vec::new()).fetch_all(conn).await.expect("a plan");
    let lines = rows.iter().map(|row| row.try_get::<String, _>("detail").expect("a line"));
    lines.collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn no_list_of_what_homes_and_projects_hold_goes_over_a_whole_table() {
    let (store, mut conn, sight) = what_ada_sees().await;
    let shared = WellKnownGroup::PublicFavorites.uuid(&store.cluster()).to_string();
    let kinds: Vec<KindQuery> = Resource::OWNED
        .iter()
        .map(|resource| KindQuery {
            resource: *resource,
            filters: Vec::new(),
            order: ListQuery::all(resource.schema()).order,
            select: None,
        })
        .collect();
    let query =
        ContentsQuery { scope: Scope::Everything, kinds, limit: 100, offset: 0, count: true };
    let mut statements = Vec::new();
    for place in [
        Place::Everywhere,
        Place::OwnedBy(vec![shared.clone()]),
        Place::OwnedBy(vec![shared, "x".to_owned()]),
    ] {
        statements.push(keys(&query, &sight, &place));
    }
    for resource in [Resource::ContainerRequests, Resource::Groups, Resource::Links] {
        let all = ListQuery::all(resource.schema());
        statements.push(list::page(resource, &all, &sight, None));
        statements.push(list::count(resource, &[], &sight, |_| {}));
    }
    for statement in &statements {
        let plan = plan(&mut conn, statement).await;
        for table in ["container_requests", "groups", "links", "roles", "grants"] {
            let whole = plan
                .lines()
                .find(|line| line.starts_with(&format!("SCAN {table}")) && !line.contains("USING"));
            assert_eq!(whole, None, "{plan}");
        }
    }
}

#[tokio::test]
async fn lists_of_who_sees_many_projects_begin_with_an_index_that_fits_them() {
    let (_store, mut conn, sight) = what_ada_sees().await;
    let requests = Resource::ContainerRequests;
    let top = json!(["requesting_container_uuid", "=", null]);
    for (filter, order, used) in [
        (top.clone(), "created_at desc", "container_requests_owner_requesting"),
        (
            json!(["created_at", ">=", "2026-01-01T00:00:00Z"]),
            "created_at asc",
            "container_requests_owner_created",
        ),
        (json!(["name", "like", "run 7%"]), "", "container_requests_owner_name"),
        (
            json!(["name", "=", "run 7"]),
            "",
            "container_requests_owner_name (owner_uuid=? AND name=?)",
        ),
        (json!(["state", "=", "Final"]), "", "container_requests_owner (owner_uuid=?)"),
        (json!(["state", "=", "Uncommitted"]), "", "container_requests_drafts"),
    ] {
        let mut query = ListQuery::all(requests.schema());
        query.filters =
            filter::parse_filters(requests.schema(), &json!([filter])).expect("filters");
        query.order = filter::parse_order(requests.schema(), &json!(order)).expect("an order");
        let plan = plan(&mut conn, &list::page(requests, &query, &sight, None)).await;
        assert!(plan.contains(used), "{filter} {order}: {plan}");
    }
    let top = filter::parse_filters(requests.schema(), &json!([top])).expect("filters");
    let plan = plan(&mut conn, &list::count(requests, &top, &sight, |_| {})).await;
    assert!(plan.contains("COVERING INDEX container_requests_owner_requesting"), "{plan}");
}

#[tokio::test]
async fn an_administrator_s_count_reads_what_is_hidden_by_its_owners_and_no_record_for_its_owner() {
    let (store, mut conn, _) = what_ada_sees().await;
    let reader = Reader::new(UserUuid::parse("wharf-tpzed-000000000000009").expect("one"), true);
    let sight = Sight::of(&mut conn, &Around::of(&store.options), &reader).await.expect("a sight");
    let requests = Resource::ContainerRequests;
    let top = json!([["requesting_container_uuid", "=", null]]);
    let top = filter::parse_filters(requests.schema(), &top).expect("filters");
    let plan = plan(&mut conn, &list::count(requests, &top, &sight, |_| {})).await;
    for used in ["container_requests_top", "container_requests_owner_requesting (owner_uuid=?"] {
        assert!(plan.contains(&format!("COVERING INDEX {used}")), "{used}: {plan}");
    }
}
