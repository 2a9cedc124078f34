//! Groups over the wire.

use serde_json::{Value, json};

use crate::fixture::Fixture;

const PATH: &str = "/arvados/v1/groups";

fn named(name: &str) -> Value {
    json!({"group": {"group_class": "project", "name": name}})
}

#[tokio::test]
async fn a_project_is_made_renamed_trashed_and_brought_back() {
    let fixture = Fixture::new().await;
    let made = fixture.post(&fixture.ada, PATH, named("Lab")).await.ok();
    assert_eq!(made["kind"], "arvados#group");
    assert_eq!(made["owner_uuid"], json!(fixture.ada.user.uuid));
    assert_eq!((&made["can_write"], &made["can_manage"]), (&json!(true), &json!(true)));
    assert_eq!(made["writable_by"], json!([fixture.ada.user.uuid]));
    for null in ["description", "trash_at", "delete_at", "frozen_by_uuid"] {
        assert_eq!(made[null], Value::Null, "{null}");
    }
    let path = format!("{PATH}/{}", made["uuid"].as_str().unwrap());
    let words = fixture.post(&fixture.ada, PATH, named("Lab")).await.refused(422);
    assert!(words.contains("has a group named \"Lab\" already"), "{words}");
    let second = format!("{PATH}?ensure_unique_name=true");
    let second = fixture.post(&fixture.ada, &second, named("Lab")).await.ok();
    assert!(second["name"].as_str().unwrap().starts_with("Lab ("));
    // Bare and wrapped bodies, and what was answered sent back.
    let mut whole = made.clone();
    whole["name"] = "Lab 2".into();
    assert_eq!(fixture.put(&fixture.ada, &path, whole).await.ok()["name"], "Lab 2");
    let changed = fixture.put(&fixture.ada, &path, json!({"description": "x"})).await.ok();
    assert_eq!(fixture.get(&fixture.ada, &path).await.ok(), changed);
    let trashed = fixture.delete(&fixture.ada, &path).await.ok();
    assert_eq!(trashed["is_trashed"], true);
    assert!(trashed["trash_at"].is_string() && trashed["delete_at"].is_string());
    fixture.get(&fixture.ada, &path).await.refused(404);
    let with_trash = format!("{path}?include_trash=true");
    assert_eq!(fixture.get(&fixture.ada, &with_trash).await.ok()["is_trashed"], true);
    let back = fixture.post(&fixture.ada, &format!("{path}/untrash"), Value::Null).await.ok();
    assert_eq!((&back["is_trashed"], &back["trash_at"]), (&json!(false), &Value::Null));
    fixture.post(&fixture.ada, &format!("{path}/trash"), Value::Null).await.ok();
    let trash = "include_trash=true&filters=[[%22is_trashed%22,%22=%22,true]]";
    let list = fixture.get(&fixture.ada, &format!("{PATH}?{trash}")).await;
    assert_eq!(list.ok()["items_available"], 1);
}

#[tokio::test]
async fn the_rights_of_the_caller_are_on_every_group() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    let bob = fixture.bob.user.uuid.to_string();
    fixture.grant(&fixture.ada, &bob, "can_read", &project).await.ok();
    let path = format!("{PATH}/{project}");
    let seen = fixture.get(&fixture.bob, &path).await.ok();
    assert_eq!((&seen["can_write"], &seen["can_manage"]), (&json!(false), &json!(false)));
    let words = fixture.put(&fixture.bob, &path, json!({"name": "x"})).await.refused(403);
    assert!(words.contains("you may read group"), "{words}");
    fixture.delete(&fixture.bob, &path).await.refused(403);
    fixture.grant(&fixture.ada, &bob, "can_write", &project).await.ok();
    let etag = seen["etag"].clone();
    let list = fixture.get(&fixture.bob, PATH).await.ok();
    let item = list["items"].as_array().unwrap().iter().find(|item| item["uuid"] == json!(project));
    let item = item.unwrap();
    assert_eq!((&item["can_write"], &item["can_manage"]), (&json!(true), &json!(false)));
    // What differs between callers is not part of the record.
    assert_eq!(item["etag"], etag);
    fixture.put(&fixture.bob, &path, json!({"name": "x"})).await.ok();
    fixture.get(&fixture.admin, &path).await.ok();
}

#[tokio::test]
async fn roles_are_managed_and_deleted_by_who_manages_them() {
    let fixture = Fixture::new().await;
    let role = json!({"group_class": "role", "name": "Readers"});
    let role = fixture.post(&fixture.ada, PATH, role).await.ok();
    assert_eq!(role["owner_uuid"], "wharf-tpzed-000000000000000");
    let path = format!("{PATH}/{}", role["uuid"].as_str().unwrap());
    assert_eq!(fixture.get(&fixture.bob, &path).await.ok()["can_write"], false);
    let bob = fixture.bob.user.uuid.to_string();
    fixture.grant(&fixture.ada, &bob, "can_write", role["uuid"].as_str().unwrap()).await.ok();
    fixture.put(&fixture.bob, &path, json!({"name": "x"})).await.refused(403);
    fixture.delete(&fixture.bob, &path).await.refused(403);
    fixture.put(&fixture.ada, &path, json!({"name": "Others"})).await.ok();
    fixture.delete(&fixture.ada, &path).await.ok();
    fixture.get(&fixture.ada, &path).await.refused(404);
    let all = format!("{PATH}/wharf-j7d0g-fffffffffffffff");
    assert_eq!(fixture.get(&fixture.ada, &all).await.ok()["name"], "All users");
    fixture.delete(&fixture.admin, &all).await.refused(403);
}

#[tokio::test]
async fn a_project_owns_what_may_be_written_there() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    let requests = "/arvados/v1/container_requests";
    let body = crate::fixture::attributes(json!({"owner_uuid": project}));
    fixture.post(&fixture.bob, requests, body.clone()).await.refused(422);
    let made = fixture.post(&fixture.ada, requests, body.clone()).await.ok();
    let path = format!("{requests}/{}", made["uuid"].as_str().unwrap());
    fixture.get(&fixture.bob, &path).await.refused(404);
    let bob = fixture.bob.user.uuid.to_string();
    fixture.grant(&fixture.ada, &bob, "can_read", &project).await.ok();
    fixture.get(&fixture.bob, &path).await.ok();
    fixture.get(&fixture.bob, &format!("{path}/container_status")).await.ok();
    fixture.put(&fixture.bob, &path, json!({"name": "x"})).await.refused(403);
    fixture.delete(&fixture.bob, &path).await.refused(403);
    let words = fixture.post(&fixture.bob, requests, body.clone()).await.refused(403);
    assert!(words.starts_with("owner_uuid: you may read group"), "{words}");
    fixture.grant(&fixture.ada, &bob, "can_write", &project).await.ok();
    fixture.put(&fixture.bob, &path, json!({"name": "x"})).await.ok();
    fixture.post(&fixture.bob, requests, body).await.ok();
    // What runs in the trash can be ended, where one asks for trash.
    let trash = format!("{PATH}/{project}/trash");
    fixture.post(&fixture.ada, &trash, Value::Null).await.ok();
    fixture.put(&fixture.ada, &path, json!({"priority": 0})).await.refused(404);
    let with_trash = format!("{path}?include_trash=true");
    let ended = fixture.put(&fixture.ada, &with_trash, json!({"priority": 0})).await.ok();
    assert_eq!(ended["priority"], 0);
    let back = format!("{PATH}/{project}/untrash");
    fixture.post(&fixture.ada, &back, Value::Null).await.ok();
    // Neither a role nor a filter group owns.
    let role = json!({"group_class": "role", "name": "R"});
    let role = fixture.post(&fixture.bob, PATH, role).await.ok();
    let words = fixture.put(&fixture.bob, &path, json!({"owner_uuid": role["uuid"]})).await;
    assert!(words.refused(422).contains("only users and projects own"));
    let inner = fixture.project(&fixture.ada, json!({"owner_uuid": project})).await;
    let circle = json!({"owner_uuid": inner});
    let words = fixture.put(&fixture.ada, &format!("{PATH}/{project}"), circle).await.refused(422);
    assert!(words.contains("is in the project that it would own"), "{words}");
}

#[tokio::test]
async fn a_frozen_project_only_thaws() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    let inner = fixture.project(&fixture.ada, json!({"owner_uuid": project})).await;
    let path = format!("{PATH}/{project}");
    let bob = fixture.bob.user.uuid.to_string();
    fixture.grant(&fixture.ada, &bob, "can_write", &project).await.ok();
    fixture.put(&fixture.bob, &path, json!({"frozen_by_uuid": bob})).await.refused(403);
    let ada = fixture.ada.user.uuid.to_string();
    let words = fixture.put(&fixture.ada, &path, json!({"frozen_by_uuid": bob})).await.refused(422);
    assert!(words.contains("your own"), "{words}");
    let frozen = fixture.put(&fixture.ada, &path, json!({"frozen_by_uuid": ada})).await.ok();
    assert_eq!((&frozen["can_write"], &frozen["can_manage"]), (&json!(false), &json!(true)));
    for (person, path, body) in [
        (&fixture.ada, &path, json!({"name": "x"})),
        (&fixture.admin, &path, json!({"frozen_by_uuid": null, "name": "x"})),
        (&fixture.ada, &format!("{PATH}/{inner}"), json!({"name": "x"})),
        (&fixture.admin, &format!("{PATH}/{inner}"), json!({"is_trashed": true})),
    ] {
        fixture.put(person, path, body).await.refused(403);
    }
    fixture.delete(&fixture.ada, &path).await.refused(403);
    let body = crate::fixture::attributes(json!({"owner_uuid": inner}));
    let words = fixture.post(&fixture.ada, "/arvados/v1/container_requests", body).await;
    assert!(words.refused(403).contains("frozen"));
    fixture.put(&fixture.bob, &path, json!({"frozen_by_uuid": null})).await.refused(403);
    fixture.put(&fixture.ada, &path, json!({"frozen_by_uuid": null})).await.ok();
    fixture.put(&fixture.bob, &path, json!({"name": "x"})).await.ok();
}

#[tokio::test]
async fn every_bad_attribute_of_a_group_is_named() {
    let fixture = Fixture::new().await;
    for (over, words) in [
        (json!({"group_class": "team"}), "group_class must be"),
        (json!({"name": "a/b"}), "must not contain /"),
        (json!({"owner_uuid": "x"}), "owner_uuid \"x\" is no user and no project"),
        (json!({"owner_uuid": "wharf-j7d0g-000000000000001"}), "owner_uuid there is no project"),
        (
            json!({"group_class": "filter", "properties": {"filters": [["a", "=", 1]]}}),
            "properties.filters filters[0] names \"a\"",
        ),
    ] {
        let mut group = json!({"group_class": "project", "name": "Lab"});
        for (name, value) in over.as_object().unwrap() {
            group[name] = value.clone();
        }
        let refused = fixture.post(&fixture.ada, PATH, group).await.refused(422);
        assert!(refused.contains(words), "{over}: {refused}");
    }
    fixture.get(&fixture.ada, &format!("{PATH}/x")).await.refused(404);
    fixture.get(&fixture.ada, &format!("{PATH}?include_trash=x")).await.refused(422);
}

#[tokio::test]
async fn a_collection_in_a_project_is_read_and_written_by_whom_it_is_shared_with() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    let collections = "/arvados/v1/collections";
    let new = json!({"collection": {"name": "data", "owner_uuid": project, "manifest_text": ""}});
    fixture.post(&fixture.bob, collections, new.clone()).await.refused(422);
    let made = fixture.post(&fixture.ada, collections, new.clone()).await.ok();
    let path = format!("{collections}/{}", made["uuid"].as_str().unwrap());
    let by_content = format!("{collections}/{}", made["portable_data_hash"].as_str().unwrap());
    for path in [&path, &by_content] {
        fixture.get(&fixture.bob, path).await.refused(404);
    }
    let bob = fixture.bob.user.uuid.to_string();
    fixture.grant(&fixture.ada, &bob, "can_read", &project).await.ok();
    for path in [&path, &by_content] {
        fixture.get(&fixture.bob, path).await.ok();
    }
    fixture.put(&fixture.bob, &path, json!({"name": "mine"})).await.refused(403);
    fixture.post(&fixture.bob, collections, new.clone()).await.refused(403);
    fixture.grant(&fixture.ada, &bob, "can_write", &project).await.ok();
    fixture.put(&fixture.bob, &path, json!({"name": "ours"})).await.ok();
    fixture.post(&fixture.bob, collections, new).await.ok();
    fixture.delete(&fixture.ada, &format!("{PATH}/{project}")).await.ok();
    for person in [&fixture.ada, &fixture.bob, &fixture.admin] {
        fixture.get(person, &path).await.refused(404);
        fixture.put(person, &path, json!({"name": "x"})).await.refused(404);
    }
    fixture.post(&fixture.ada, &format!("{PATH}/{project}/untrash"), Value::Null).await.ok();
    let frozen = json!({"frozen_by_uuid": fixture.ada.user.uuid});
    fixture.put(&fixture.ada, &format!("{PATH}/{project}"), frozen).await.ok();
    fixture.get(&fixture.bob, &path).await.ok();
    for person in [&fixture.ada, &fixture.bob, &fixture.admin] {
        fixture.put(person, &path, json!({"name": "x"})).await.refused(403);
        fixture.delete(person, &path).await.refused(403);
    }
    // One collection alone is shared by a link, too.
    let alone = json!({"collection": {"name": "alone", "manifest_text": ""}});
    let alone = fixture.post(&fixture.ada, collections, alone).await.ok();
    let uuid = alone["uuid"].as_str().unwrap();
    fixture.get(&fixture.bob, &format!("{collections}/{uuid}")).await.refused(404);
    fixture.grant(&fixture.ada, &bob, "can_read", uuid).await.ok();
    fixture.get(&fixture.bob, &format!("{collections}/{uuid}")).await.ok();
    let path = format!("/arvados/v1/permissions/{uuid}");
    assert_eq!(fixture.get(&fixture.ada, &path).await.ok()["items_available"], 1);
}

#[tokio::test]
async fn a_workflow_in_a_project_is_found_over_a_role_and_so_is_what_is_logged_of_it() {
    let fixture = Fixture::new().await;
    let project = fixture.project(&fixture.ada, json!({})).await;
    let workflows = "/arvados/v1/workflows";
    let new = json!({"workflow": {"name": "align", "owner_uuid": project, "definition": "x"}});
    let made = fixture.post(&fixture.ada, workflows, new).await.ok();
    let path = format!("{workflows}/{}", made["uuid"].as_str().unwrap());
    let role = json!({"group_class": "role", "name": "Readers"});
    let role = fixture.post(&fixture.ada, PATH, role).await.ok();
    let role = role["uuid"].as_str().unwrap();
    fixture.grant(&fixture.ada, role, "can_write", &project).await.ok();
    fixture.get(&fixture.bob, &path).await.refused(404);
    let bob = fixture.bob.user.uuid.to_string();
    fixture.grant(&fixture.ada, &bob, "can_read", role).await.ok();
    fixture.get(&fixture.bob, &path).await.ok();
    fixture.put(&fixture.bob, &path, json!({"name": "x"})).await.refused(403);
    let contents = format!("{PATH}/{project}/contents?select=name");
    let contents = fixture.get(&fixture.bob, &contents).await.ok();
    assert_eq!(contents["items"][0]["kind"], "arvados#workflow");
    assert!(contents["items"][0].get("definition").is_none());
    let logged = async |person| {
        let filters = json!([["object_uuid", "=", made["uuid"]]]).to_string();
        let filters: String = form_urlencoded::byte_serialize(filters.as_bytes()).collect();
        let path = format!("/arvados/v1/logs?filters={filters}");
        fixture.get(person, &path).await.ok()["items_available"].as_i64()
    };
    assert_eq!((logged(&fixture.bob).await, logged(&fixture.ada).await), (Some(1), Some(1)));
    let stranger = fixture.post(&fixture.admin, PATH, named("Elsewhere")).await.ok();
    let moved = json!({"owner_uuid": stranger["uuid"]});
    fixture.put(&fixture.admin, &path, moved).await.ok();
    fixture.get(&fixture.bob, &path).await.refused(404);
    // What happened while it could be seen can still be read, what came after cannot.
    assert_eq!((logged(&fixture.bob).await, logged(&fixture.admin).await), (Some(1), Some(2)));
}
