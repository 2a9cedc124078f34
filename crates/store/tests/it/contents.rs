//! Mixed lists: pages over several record types, where they look, and what was shared at the top.

use model::filter::mixed::{self, Kind};
use model::filter::{self, ListQuery};
use serde_json::{Value, json};
use store::{Contents, ContentsQuery, KindQuery, Reader, Resource, Scope};

use crate::fixture::Fixture;

fn query(scope: Scope, filters: &Value, order: &Value) -> ContentsQuery {
    let kind =
        |resource: &Resource| Kind { schema: resource.schema(), type_code: resource.type_code() };
    let kinds: Vec<Kind> = Resource::OWNED.iter().map(kind).collect();
    let filters = mixed::parse_filters(&kinds, filters).unwrap();
    let orders = mixed::parse_order(&kinds, order).unwrap();
    let parts = Resource::OWNED.iter().zip(filters).zip(orders);
    let kinds = parts.filter_map(|((resource, filters), order)| {
        Some(KindQuery { resource: *resource, filters: filters?, order, select: None })
    });
    ContentsQuery { scope, kinds: kinds.collect(), limit: 100, offset: 0, count: true }
}

/// Projects `b`, `d` and requests `a`, `c`, `e` in Ada's home; `f` is in `b`.
async fn home() -> Fixture {
    let fixture = Fixture::in_memory().await;
    for name in ["a", "b", "c", "d", "e"] {
        match name {
            "b" | "d" => drop(fixture.group(&fixture.ada, "project", json!({"name": name})).await),
            _ => drop(fixture.submit(&fixture.ada, json!({"name": name})).await),
        }
    }
    let inside = json!({"name": "f", "owner_uuid": project(&fixture, "b").await});
    fixture.submit(&fixture.ada, inside).await;
    fixture
}

async fn project(fixture: &Fixture, name: &str) -> String {
    let schema = Resource::Groups.schema();
    let filters = filter::parse_filters(schema, &json!([["name", "=", name]])).unwrap();
    let query = ListQuery { filters, ..ListQuery::all(schema) };
    let reader = Reader::new(fixture.ada.uuid, false);
    let page = fixture.store.list(Resource::Groups, &query, &reader).await.unwrap();
    page.items[0]["uuid"].as_str().unwrap().to_owned()
}

fn names(contents: &Contents) -> String {
    let names = contents.items.iter().map(|(_, item)| item["name"].as_str().unwrap());
    names.collect::<Vec<_>>().join(" ")
}

async fn ask(fixture: &Fixture, query: &ContentsQuery) -> Contents {
    let reader = Reader::new(fixture.ada.uuid, false);
    fixture.store.contents(query, &reader).await.unwrap()
}

#[tokio::test]
async fn records_of_all_types_mix_in_a_common_order_and_pages_do_not_overlap() {
    let fixture = home().await;
    let scope = || Scope::In(fixture.ada.uuid.to_string());
    let all = ask(&fixture, &query(scope(), &json!([]), &json!("name asc"))).await;
    assert_eq!((names(&all).as_str(), all.available), ("a b c d e", Some(5)));
    let kinds: Vec<Resource> = all.items.iter().map(|(resource, _)| *resource).collect();
    assert_eq!(kinds[..2], [Resource::ContainerRequests, Resource::Groups]);
    let mut paged = Vec::new();
    for offset in [0, 2, 4] {
        let part = ContentsQuery {
            limit: 2,
            offset,
            count: false,
            ..query(scope(), &json!([]), &json!(["name desc", "name desc"]))
        };
        let page = ask(&fixture, &part).await;
        assert_eq!(page.available, None);
        paged.push(names(&page));
    }
    assert_eq!(paged, ["e d", "c b", "a"]);
    let none = ContentsQuery { limit: 0, ..query(scope(), &json!([]), &json!(null)) };
    let none = ask(&fixture, &none).await;
    assert_eq!((none.items.len(), none.available), (0, Some(5)));
}

#[tokio::test]
async fn where_orders_differ_one_type_follows_the_other() {
    let fixture = home().await;
    let scope = Scope::In(fixture.ada.uuid.to_string());
    let order = json!("groups.name desc, container_requests.created_at asc");
    let page = ask(&fixture, &query(scope.clone(), &json!([]), &order)).await;
    assert_eq!(names(&page), "d b a c e");
    let same = json!("collections.name asc, groups.name asc, container_requests.name asc");
    assert_eq!(names(&ask(&fixture, &query(scope, &json!([]), &same)).await), "a b c d e");
}

#[tokio::test]
async fn filters_of_one_table_leave_the_others_records_alone() {
    let fixture = home().await;
    for (filters, expected) in [
        (json!([["groups.name", "=", "b"]]), "a b c e"),
        (json!([["collections.name", "ilike", "%x%"]]), "a b c d e"),
        (json!([["name", "in", ["b", "c", ""]]]), "b c"),
        (json!([["uuid", "is_a", "arvados#group"]]), "b d"),
        (json!([["uuid", "is_a", "arvados#collection"]]), ""),
        (json!([["container_requests.requesting_container_uuid", "=", "x"]]), "b d"),
        (json!([["requesting_container_uuid", "=", null]]), "a c e"),
        (json!([["container.state", "=", "Queued"]]), "a c e"),
        (json!([["group_class", "=", "project"]]), "b d"),
        (json!([["any", "ilike", "%SHA256%"]]), "a c e"),
        (json!(["(priority > output_ttl)"]), "a c e"),
    ] {
        let scope = Scope::In(fixture.ada.uuid.to_string());
        let page = ask(&fixture, &query(scope, &filters, &json!("name"))).await;
        assert_eq!(names(&page), expected, "{filters}");
        assert_eq!(page.available, i64::try_from(page.items.len()).ok(), "{filters}");
    }
}

#[tokio::test]
async fn a_scope_is_one_owner_or_all_below_or_all_but_home() {
    let fixture = home().await;
    let inside = project(&fixture, "b").await;
    let theirs = fixture.group(&fixture.bob, "project", json!({"name": "theirs"})).await;
    fixture.submit(&fixture.bob, json!({"name": "shared", "owner_uuid": theirs.uuid})).await;
    fixture.submit(&fixture.bob, json!({"name": "hidden"})).await;
    fixture.grant(&fixture.ada.uuid, "can_read", &theirs.uuid).await;
    let ada = fixture.ada.uuid.to_string();
    // Roles are seen by everybody.
    let real = json!([["groups.group_class", "=", "project"]]);
    for (scope, expected) in [
        (Scope::In(inside.clone()), "f"),
        (Scope::Below(inside), "f"),
        (Scope::Below(ada.clone()), "a b c d e f"),
        (Scope::In(theirs.uuid.to_string()), "shared"),
        (Scope::In(fixture.bob.uuid.to_string()), "theirs"),
        (Scope::NotHome, "Public favorites shared theirs"),
        (Scope::Everything, "Public favorites a b c d e f shared theirs"),
    ] {
        let page = ask(&fixture, &query(scope.clone(), &real, &json!("name"))).await;
        assert_eq!(names(&page), expected, "{scope:?}");
    }
}

#[tokio::test]
async fn shared_at_the_top_is_what_no_seen_project_holds() {
    let fixture = home().await;
    let schema = Resource::Groups.schema();
    let shared = async || {
        let query = ListQuery {
            order: filter::parse_order(schema, &json!("name")).unwrap(),
            ..ListQuery::all(schema)
        };
        let reader = Reader::new(fixture.ada.uuid, false);
        let page = fixture.store.shared_groups(&query, &reader).await.unwrap();
        assert_eq!(page.available, i64::try_from(page.items.len()).ok());
        let names = page.items.iter().map(|item| item["name"].as_str().unwrap().to_owned());
        names.filter(|name| name != "Public favorites").collect::<Vec<_>>()
    };
    let outer = fixture.group(&fixture.bob, "project", json!({"name": "outer"})).await;
    let inner =
        fixture.group(&fixture.bob, "project", json!({"name": "inner", "owner_uuid": outer.uuid}));
    let inner = inner.await;
    assert!(shared().await.is_empty());
    fixture.grant(&fixture.ada.uuid, "can_read", &inner.uuid).await;
    assert_eq!(shared().await, ["inner"]);
    fixture.grant(&fixture.ada.uuid, "can_read", &outer.uuid).await;
    assert_eq!(shared().await, ["outer"]);
}
