//! Log entries: one for each change, none for anything else, and who sees which.

use std::time::Duration;

use model::filter::ListQuery;
use model::{JsonMap, User};
use serde_json::{Value, json};
use store::{NewLog, Reader, Resource, Store};

use crate::fixture::{Fixture, contains};

const ADMIN: bool = true;

/// The entries that a reader sees, oldest first.
async fn entries(store: &Store, user: &User, is_admin: bool) -> Vec<JsonMap> {
    let query = ListQuery { limit: 1000, ..ListQuery::all(Resource::Logs.schema()) };
    let reader = Reader::new(user.uuid, is_admin);
    let mut items = store.list(Resource::Logs, &query, &reader).await.unwrap().items;
    items.sort_by_key(|item| item["id"].as_i64());
    items
}

/// Event and object of each entry about this record.
async fn events_of(fixture: &Fixture, uuid: &str) -> Vec<String> {
    let all = entries(&fixture.store, &fixture.ada, ADMIN).await;
    let about = all.iter().filter(|entry| entry["object_uuid"] == uuid);
    about.map(|entry| entry["event_type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_record_leaves_an_entry_for_each_change_and_none_for_anything_else() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let draft = fixture.draft(&fixture.ada, json!({"name": "one"}));
    let before = store.create_request(draft, None, fixture.ada.uuid).await.unwrap();
    let uuid = before.uuid.to_string();
    let mut after = before.clone();
    after.name = "two".to_owned();
    store.update_request(before.clone(), after, None, fixture.ada.uuid).await.unwrap();
    // Refused: it was changed meanwhile.
    store.update_request(before.clone(), before.clone(), None, fixture.ada.uuid).await.unwrap_err();
    store.delete_request(before.uuid).await.unwrap();
    assert_eq!(events_of(&fixture, &uuid).await, ["create", "update", "delete"]);
    let all = entries(store, &fixture.ada, ADMIN).await;
    let of: Vec<&JsonMap> =
        all.iter().filter(|entry| entry["object_uuid"] == uuid.as_str()).collect();
    let name = |at: usize, which: &str| of[at]["properties"][which]["name"].clone();
    assert_eq!(name(0, "new_attributes"), "one");
    assert_eq!(of[0]["properties"]["old_attributes"], Value::Null);
    assert_eq!(
        (name(1, "old_attributes"), name(1, "new_attributes")),
        (json!("one"), json!("two"))
    );
    assert_eq!(name(2, "old_attributes"), "two");
    assert_eq!(of[2]["properties"]["new_attributes"], Value::Null);
    assert_eq!(of[1]["properties"]["old_etag"], of[0]["properties"]["new_etag"]);
    assert_ne!(of[1]["properties"]["old_etag"], of[1]["properties"]["new_etag"]);
    assert_eq!(of[0]["object_owner_uuid"], fixture.ada.uuid.as_str());
    assert_eq!(of[0]["modified_by_user_uuid"], fixture.ada.uuid.as_str());
    assert_eq!(of[0]["event_at"], of[0]["created_at"]);
}

#[tokio::test]
async fn the_attributes_are_those_of_the_record_in_their_own_types() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({"service": true})).await;
    let all = entries(&fixture.store, &fixture.ada, ADMIN).await;
    let created = all.iter().find(|entry| entry["object_uuid"] == request.uuid.as_str()).unwrap();
    let reader = Reader::new(fixture.ada.uuid, false);
    let resource = Resource::ContainerRequests;
    let record =
        fixture.store.get(resource, request.uuid.as_str(), &reader).await.unwrap().unwrap();
    assert_eq!(created["properties"]["new_attributes"], Value::from(record.clone()));
    assert_eq!(created["properties"]["new_etag"], store::etag(&record));
    // The same through the triggers, which keep rows as they were.
    let by_bob = fixture.store.deleting_as(fixture.bob.uuid);
    by_bob.delete_request(request.uuid).await.unwrap();
    let all = entries(&fixture.store, &fixture.ada, ADMIN).await;
    let deleted = all
        .iter()
        .find(|entry| {
            entry["object_uuid"] == request.uuid.as_str() && entry["event_type"] == "delete"
        })
        .unwrap();
    // Who deleted it, and not who changed it last.
    assert_eq!(deleted["modified_by_user_uuid"], fixture.bob.uuid.as_str());
    assert_eq!(deleted["properties"]["old_attributes"], Value::from(record));
}

#[tokio::test]
async fn secrets_are_in_no_entry() {
    let fixture = Fixture::new().await;
    let secret = "correct horse battery staple";
    let mounts = json!({"/s": {"kind": "text", "content": secret}});
    let request = fixture.submit(&fixture.ada, json!({"secret_mounts": mounts})).await;
    let token = fixture.token(&fixture.ada, None).await;
    fixture.store.set_password_hash(fixture.ada.uuid, Some(secret.to_owned())).await.unwrap();
    fixture.store.delete_token(token.token.uuid).await.unwrap();
    assert_eq!(events_of(&fixture, token.token.uuid.as_str()).await, ["create", "delete"]);
    for entry in entries(&fixture.store, &fixture.ada, ADMIN).await {
        let text = Value::from(entry).to_string();
        for word in [secret, "secret_mounts", "secret_hash"] {
            assert!(!text.contains(word), "{word}: {text}");
        }
    }
    // Only where it belongs.
    assert!(contains(&fixture.bytes_on_disk().await, secret));
    fixture.store.delete_request(request.uuid).await.unwrap();
}

#[tokio::test]
async fn what_is_too_long_is_left_out_of_its_entries() {
    let fixture = Fixture::new().await;
    let long = "x".repeat(17 * 1024);
    let request = fixture.submit(&fixture.ada, json!({"description": long, "name": "n"})).await;
    fixture.store.delete_request(request.uuid).await.unwrap();
    let mut n_seen = 0;
    for entry in entries(&fixture.store, &fixture.ada, ADMIN).await {
        if entry["object_uuid"] != request.uuid.as_str() {
            continue;
        }
        for which in ["old_attributes", "new_attributes"] {
            if let Some(attributes) = entry["properties"][which].as_object() {
                assert!(!attributes.contains_key("description"), "{which}");
                assert_eq!(attributes["name"], "n");
                n_seen += 1;
            }
        }
    }
    assert_eq!(n_seen, 2);
}

#[tokio::test]
async fn who_watches_a_request_follows_its_container() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let container = request.container_uuid.unwrap();
    fixture.store.lock_container(container, "d").await.unwrap();
    assert_eq!(events_of(&fixture, container.as_str()).await, ["create", "update"]);
    assert_eq!(events_of(&fixture, request.uuid.as_str()).await, ["create", "update"]);
    // Repeating a step that changes nothing leaves nothing.
    let n_before = entries(&fixture.store, &fixture.ada, ADMIN).await.len();
    fixture.store.lock_container(container, "d").await.unwrap();
    fixture.store.set_scheduling_status(container, "waits").await.unwrap();
    assert_eq!(entries(&fixture.store, &fixture.ada, ADMIN).await.len(), n_before);
}

#[tokio::test]
async fn entries_are_seen_by_those_who_see_what_they_are_about() {
    let fixture = Fixture::new().await;
    let hers = fixture.submit(&fixture.ada, json!({})).await;
    fixture.submit(&fixture.bob, json!({})).await;
    let note = NewLog {
        event_type: "note".to_owned(),
        object_uuid: Some(hers.uuid.to_string()),
        ..NewLog::default()
    };
    let note = fixture.store.create_log(note, fixture.ada.uuid).await.unwrap();
    let seen = entries(&fixture.store, &fixture.ada, false).await;
    assert!(seen.iter().any(|entry| entry["uuid"] == note.as_str()));
    let container = hers.container_uuid.unwrap();
    assert!(seen.iter().any(|entry| entry["object_uuid"] == container.as_str()));
    for entry in seen {
        let is_hers = entry["owner_uuid"] == fixture.ada.uuid.as_str()
            || entry["object_owner_uuid"] == fixture.ada.uuid.as_str()
            || entry["object_uuid"] == fixture.ada.uuid.as_str()
            || entry["object_uuid"] == container.as_str();
        // Groups that everybody has, such as the public favourites.
        let is_of_all = entry["object_uuid"].as_str().is_some_and(|uuid| uuid.contains("-j7d0g-"));
        assert!(is_hers || is_of_all, "{entry:?}");
    }
}

#[tokio::test]
async fn old_entries_go_a_few_at_a_time_and_numbers_are_never_given_twice() {
    let fixture = Fixture::new().await;
    for _ in 0..5 {
        fixture.submit(&fixture.ada, json!({})).await;
    }
    let n_all = entries(&fixture.store, &fixture.ada, ADMIN).await.len();
    let newest = fixture.store.newest_log().await.unwrap();
    let day = Duration::from_secs(24 * 3600);
    assert_eq!(fixture.store.prune_logs(day, 4).await.unwrap(), 0, "none is too old");
    fixture.advance(2 * 24 * 3600);
    assert_eq!(fixture.store.prune_logs(day, 4).await.unwrap(), 4);
    assert_eq!(entries(&fixture.store, &fixture.ada, ADMIN).await.len(), n_all - 4);
    while fixture.store.prune_logs(day, 4).await.unwrap() > 0 {}
    assert_eq!(fixture.store.newest_log().await.unwrap(), newest, "the newest one stays");
    fixture.submit(&fixture.ada, json!({})).await;
    let ids: Vec<i64> = entries(&fixture.store, &fixture.ada, ADMIN)
        .await
        .iter()
        .map(|entry| entry["id"].as_i64().unwrap())
        .collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]) && ids[1] > newest, "{ids:?}");
}
