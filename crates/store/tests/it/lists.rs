//! Filters, orders, pages and who sees what.

use model::filter::{self, ListQuery};
use serde_json::{Value, json};
use store::{Reader, Resource};

use crate::fixture::Fixture;

struct Listed {
    fixture: Fixture,
    reader: Reader,
}

async fn three_requests() -> Listed {
    let fixture = Fixture::new().await;
    for (name, attributes) in [
        ("one", json!({"priority": 1, "properties": {"color": "red", "n": 5, "yes": true}})),
        (
            "Two",
            json!({"priority": 2, "description": "100% [x]", "properties": {"list": ["a", "b"]}}),
        ),
        ("three", json!({"priority": 3, "service": true, "state": "Uncommitted"})),
    ] {
        let mut attributes = attributes;
        attributes["name"] = name.into();
        fixture.submit(&fixture.ada, attributes).await;
    }
    let reader = Reader::new(fixture.ada.uuid, false);
    Listed { fixture, reader }
}

impl Listed {
    async fn names(&self, filters: Value) -> Vec<String> {
        let schema = Resource::ContainerRequests.schema();
        let query = ListQuery {
            filters: filter::parse_filters(schema, &filters).unwrap(),
            order: filter::parse_order(schema, &json!("created_at")).unwrap(),
            ..ListQuery::all(schema)
        };
        let page = self
            .fixture
            .store
            .list(Resource::ContainerRequests, &query, &self.reader)
            .await
            .unwrap();
        let available = usize::try_from(page.available.unwrap()).unwrap();
        assert_eq!(available, page.items.len(), "{filters}");
        page.items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }

    async fn check(&self, filter: Value, expected: &[&str]) {
        assert_eq!(self.names(json!([filter])).await, expected, "{filter}");
    }
}

#[tokio::test]
async fn every_operator_finds_what_it_should() {
    let listed = three_requests().await;
    let check = async |filter, expected: &[&str]| listed.check(filter, expected).await;
    check(json!(["name", "=", "one"]), &["one"]).await;
    check(json!(["name", "!=", "one"]), &["Two", "three"]).await;
    check(json!(["name", "<>", "one"]), &["Two", "three"]).await;
    check(json!(["priority", ">", "1"]), &["Two", "three"]).await;
    check(json!(["priority", "<=", 2]), &["one", "Two"]).await;
    check(json!(["priority", "in", ["1", 3]]), &["one", "three"]).await;
    check(json!(["priority", "in", []]), &[]).await;
    check(json!(["priority", "not in", []]), &["one", "Two", "three"]).await;
    check(json!(["priority", "not in", [1]]), &["Two", "three"]).await;
    check(json!(["name", "like", "T%"]), &["Two"]).await;
    check(json!(["name", "ilike", "T%"]), &["Two", "three"]).await;
    check(json!(["name", "like", "t_ree"]), &["three"]).await;
    check(json!(["description", "like", "100\\% [%"]), &["Two"]).await;
    check(json!(["description", "ilike", "100\\% [X]"]), &["Two"]).await;
    check(json!(["description", "=", null]), &["one", "three"]).await;
    check(json!(["description", "!=", null]), &["Two"]).await;
    check(json!(["description", "!=", "x"]), &["one", "Two", "three"]).await;
    check(json!(["service", "=", true]), &["three"]).await;
    check(json!(["service", "=", "false"]), &["one", "Two"]).await;
    check(json!(["container_uuid", "=", null]), &["three"]).await;
    check(json!(["container_uuid", "is_a", "arvados#container"]), &["one", "Two"]).await;
    check(json!(["any", "ilike", "%TWO%"]), &["Two"]).await;
    check(json!([["name", "description"], "like", "%o%"]), &["one", "Two"]).await;
    check(json!(["container_requests.name", "=", "one"]), &["one"]).await;
}

#[tokio::test]
async fn properties_and_containers_are_reached_with_a_dot() {
    let listed = three_requests().await;
    let check = async |filter, expected: &[&str]| listed.check(filter, expected).await;
    check(json!(["properties.color", "=", "red"]), &["one"]).await;
    check(json!(["properties.color", "!=", "red"]), &["Two", "three"]).await;
    check(json!(["properties.n", "=", 5]), &["one"]).await;
    check(json!(["properties.n", "=", "5"]), &[]).await;
    check(json!(["properties.n", ">", 4]), &["one"]).await;
    check(json!(["properties.yes", "=", true]), &["one"]).await;
    check(json!(["properties.<color>", "like", "r%"]), &["one"]).await;
    check(json!(["properties.color", "exists", true]), &["one"]).await;
    check(json!(["properties.color", "exists", false]), &["Two", "three"]).await;
    check(json!(["properties", "exists", "list"]), &["Two"]).await;
    check(json!(["properties.list", "contains", "a"]), &["Two"]).await;
    check(json!(["properties.list", "contains", ["a", "c"]]), &[]).await;
    check(json!(["command", "contains", "true"]), &["one", "Two", "three"]).await;
    check(json!(["container.state", "=", "Queued"]), &["one", "Two"]).await;
    check(json!(["container.state", "in", ["Running", "Locked"]]), &[]).await;
    check(json!(["container.exit_code", "=", "0"]), &[]).await;
}

#[tokio::test]
async fn values_of_properties_are_compared_with_those_of_their_type() {
    let listed = three_requests().await;
    let check = async |filter, expected: &[&str]| listed.check(filter, expected).await;
    check(json!(["properties.yes", "=", 1]), &[]).await;
    check(json!(["properties.yes", "in", [true, false]]), &["one"]).await;
    check(json!(["properties.yes", "in", [1, "true"]]), &[]).await;
    check(json!(["properties.yes", "!=", true]), &["Two", "three"]).await;
    check(json!(["properties.n", "=", 5.0]), &["one"]).await;
    check(json!(["properties.n", "<", "a"]), &[]).await;
    check(json!(["properties.color", ">", "blue"]), &["one"]).await;
    check(json!(["properties.color", ">", 1]), &[]).await;
    check(json!(["properties.n", "like", "5"]), &["one"]).await;
    check(json!(["properties.list", "like", "%a%"]), &[]).await;
    check(json!(["properties.list", "=", "[\"a\",\"b\"]"]), &[]).await;
    check(json!(["properties.color", "in", ["red", "blue", 5, null]]), &["one", "Two", "three"])
        .await;
    check(json!(["properties.color", "not in", ["red", "blue"]]), &["Two", "three"]).await;
    check(json!(["properties.color", "not in", ["blue", null]]), &["one"]).await;
    check(json!(["properties.color", "contains", "red"]), &["one"]).await;
    check(json!(["properties", "contains", "red"]), &[]).await;
    let many: Vec<String> = (0..3000).map(|n| n.to_string()).chain(["red".to_owned()]).collect();
    check(json!(["properties.color", "in", many]), &["one"]).await;
    check(json!(["properties.color", "not in", many]), &["Two", "three"]).await;
}

#[tokio::test]
async fn what_is_missing_comes_first_and_letters_by_their_bytes() {
    let listed = three_requests().await;
    let schema = Resource::ContainerRequests.schema();
    let ordered = async |order: &str| -> Vec<String> {
        let order = filter::parse_order(schema, &json!(order)).unwrap();
        let query = ListQuery { order, ..ListQuery::all(schema) };
        let store = &listed.fixture.store;
        let page = store.list(Resource::ContainerRequests, &query, &listed.reader).await.unwrap();
        page.items.iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ordered("description, created_at").await, ["one", "three", "Two"]);
    assert_eq!(ordered("description desc, created_at").await, ["Two", "one", "three"]);
    assert_eq!(ordered("name").await, ["Two", "one", "three"]);
}

#[tokio::test]
async fn values_that_look_like_sql_are_values() {
    let listed = three_requests().await;
    let evil = "'; DROP TABLE users; --";
    for attribute in ["name", "properties.x' OR 1=1 --", "any"] {
        listed.check(json!([attribute, "=", evil]), &[]).await;
        listed.check(json!([attribute, "ilike", evil]), &[]).await;
    }
    assert!(listed.fixture.store.user(listed.fixture.ada.uuid).await.unwrap().is_some());
}

#[tokio::test]
async fn a_printed_time_finds_its_record_in_each_spelling() {
    let listed = three_requests().await;
    let query = ListQuery::all(Resource::ContainerRequests.schema());
    let page = listed.fixture.store.list(Resource::ContainerRequests, &query, &listed.reader).await;
    let page = page.unwrap();
    let item = &page.items[0];
    let (name, at) = (item["name"].as_str().unwrap(), item["created_at"].as_str().unwrap());
    listed.check(json!(["created_at", "=", at]), &[name]).await;
    listed.check(json!(["created_at", "=", at.trim_end_matches('Z')]), &[name]).await;
    listed
        .check(json!(["created_at", ">", "2020-01-01T00:00:00Z"]), &["one", "Two", "three"])
        .await;
    // Newest first is the default.
    assert_eq!(name, "three");
}

#[tokio::test]
async fn pages_follow_limit_offset_select_and_distinct() {
    let listed = three_requests().await;
    let schema = Resource::ContainerRequests.schema();
    let list = async |query: ListQuery| {
        listed
            .fixture
            .store
            .list(Resource::ContainerRequests, &query, &listed.reader)
            .await
            .unwrap()
    };
    let all = ListQuery::all(schema);
    let none = list(ListQuery { limit: 0, ..all.clone() }).await;
    assert_eq!((none.items.len(), none.available), (0, Some(3)));
    let last = list(ListQuery { limit: 2, offset: 2, count: false, ..all.clone() }).await;
    assert_eq!((last.items.len(), last.available), (1, None));
    let select = filter::parse_select(schema, &json!(["output_path", "kind", "etag"])).unwrap();
    let distinct = list(ListQuery { select, distinct: true, ..all.clone() }).await;
    assert_eq!(distinct.items, [json!({"output_path": "/out"}).as_object().unwrap().clone()]);
    let empty = list(ListQuery { select: Some(Vec::new()), ..all }).await;
    assert_eq!(empty.items.len(), 3);
}

#[tokio::test]
async fn users_see_their_own_and_the_containers_of_their_requests() {
    let listed = three_requests().await;
    let store = &listed.fixture.store;
    let bob = Reader::new(listed.fixture.bob.uuid, false);
    let admin = Reader::new(listed.fixture.bob.uuid, true);
    for (resource, hers, his, all) in [
        (Resource::ContainerRequests, 3, 0, 3),
        (Resource::Containers, 2, 0, 2),
        // That of the public favourites.
        (Resource::Links, 0, 0, 1),
        (Resource::Users, 3, 3, 3),
    ] {
        let query = ListQuery::all(resource.schema());
        for (reader, expected) in [(listed.reader, hers), (bob, his), (admin, all)] {
            let page = store.list(resource, &query, &reader).await.unwrap();
            assert_eq!(page.available, Some(expected), "{resource:?} {reader:?}");
            for item in &page.items {
                let uuid = item["uuid"].as_str().unwrap();
                assert!(store.get(resource, uuid, &reader).await.unwrap().is_some());
            }
        }
    }
    let query = ListQuery::all(Resource::Containers.schema());
    let hers = store.list(Resource::Containers, &query, &listed.reader).await.unwrap();
    let uuid = hers.items[0]["uuid"].as_str().unwrap();
    assert!(store.get(Resource::Containers, uuid, &bob).await.unwrap().is_none());
}
