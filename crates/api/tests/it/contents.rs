//! Contents of homes, projects and filter groups, as Workbench and arv-mount ask for them.

use serde_json::{Value, json};

use crate::fixture::{Fixture, Person};

/// `groups/…` with these parameters; text as it is, all else as JSON.
async fn ask(fixture: &Fixture, person: &Person, path: &str, parameters: Value) -> Value {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in parameters.as_object().unwrap() {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        query.append_pair(name, &text);
    }
    fixture.get(person, &format!("/arvados/v1/groups/{path}?{}", query.finish())).await.ok()
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

/// Ada's project `Lab` with a running service `notebook` and a project `Inner` in it.
async fn lab(fixture: &Fixture) -> (String, Value) {
    let project = fixture.project(&fixture.ada, json!({})).await;
    fixture.project(&fixture.ada, json!({"name": "Inner", "owner_uuid": project})).await;
    let body = crate::fixture::attributes(json!({"owner_uuid": project, "state": "Committed"}));
    let made = fixture.post(&fixture.ada, "/arvados/v1/container_requests", body).await.ok();
    (project, made)
}

#[tokio::test]
async fn a_process_page_gets_request_and_container_in_one_answer() {
    let fixture = Fixture::new().await;
    let (_, made) = lab(&fixture).await;
    let filters =
        json!([["uuid", "is_a", "arvados#containerRequest"], ["uuid", "=", made["uuid"]]]);
    let asked = json!({"filters": filters, "include": ["container_uuid"]});
    let list = ask(&fixture, &fixture.ada, "contents", asked).await;
    assert_eq!(list["kind"], "arvados#objectList");
    assert_eq!((&list["offset"], &list["limit"]), (&json!(0), &json!(100)));
    assert_eq!(list["items_available"], 1);
    let (item, container) = (&list["items"][0], &list["included"][0]);
    let path = format!("/arvados/v1/container_requests/{}", made["uuid"].as_str().unwrap());
    assert_eq!(item, &fixture.get(&fixture.ada, &path).await.ok());
    assert_eq!(
        (&container["uuid"], &container["kind"]),
        (&made["container_uuid"], &json!("arvados#container"))
    );
    assert!(container["runtime_status"].is_object());
    let unknown = json!({"filters": [["uuid", "=", "wharf-xvhdp-000000000000000"]]});
    assert_eq!(names(&ask(&fixture, &fixture.ada, "contents", unknown).await), [""; 0]);
    let stranger = json!({"filters": [["uuid", "=", made["uuid"]]]});
    assert_eq!(names(&ask(&fixture, &fixture.bob, "contents", stranger).await), [""; 0]);
}

#[tokio::test]
async fn where_is_a_filter_of_what_must_be_equal() {
    let fixture = Fixture::new().await;
    let (project, _) = lab(&fixture).await;
    let path = format!("{project}/contents");
    let asked = |filters: Value, equal: Value| json!({"filters": filters, "where": equal});
    let inner = json!({"name": "Inner"});
    let list = ask(&fixture, &fixture.ada, &path, asked(json!([]), inner.clone())).await;
    assert_eq!(names(&list), ["Inner"]);
    let other = json!([["name", "=", "notebook"]]);
    assert_eq!(names(&ask(&fixture, &fixture.ada, &path, asked(other, inner)).await), [""; 0]);
    let wrong = format!("/arvados/v1/groups/{path}?where=[]");
    let refused = fixture.get(&fixture.ada, &wrong).await.refused(422);
    assert_eq!(refused, "where must be an object of attributes and what they must equal");
}

#[tokio::test]
async fn a_data_tab_s_query_is_understood() {
    let fixture = Fixture::new().await;
    let (project, made) = lab(&fixture).await;
    let path = format!("{project}/contents");
    for (name, kind) in [("a log", "log"), ("data", "input")] {
        let collection = json!({"name": name, "owner_uuid": project, "manifest_text": "",
            "properties": {"type": kind}});
        fixture.post(&fixture.ada, "/arvados/v1/collections", collection).await.ok();
    }
    let filters = json!([
        ["uuid", "is_a", ["arvados#collection", "arvados#group", "arvados#containerRequest"]],
        ["collections.properties.type", "not in", ["log", "intermediate"]],
        ["collections.name", "ilike", "%%"],
        ["groups.name", "ilike", "%%"],
        ["container_requests.requesting_container_uuid", "=", null],
    ]);
    let asked = json!({
        "filters": filters, "limit": 50, "offset": 0, "count": "none",
        "order": "collections.name asc,groups.name asc,container_requests.name asc",
        "select": ["uuid", "name", "container_uuid", "runtime_status", "manifest_text", "group_class"],
        "include": ["owner_uuid", "container_uuid"],
    });
    let list = ask(&fixture, &fixture.ada, &path, asked).await;
    assert_eq!(names(&list), ["Inner", "data", "notebook"]);
    assert!(list.get("items_available").is_none());
    let (inner, request) = (&list["items"][0], &list["items"][2]);
    let data = &list["items"][1];
    assert_eq!(data["kind"], "arvados#collection");
    assert!(data.get("manifest_text").is_none());
    assert_eq!(
        (&inner["kind"], &inner["group_class"]),
        (&json!("arvados#group"), &json!("project"))
    );
    assert!(inner.get("owner_uuid").is_none() && request.get("mounts").is_none());
    let included = list["included"].as_array().unwrap();
    let owner = included.iter().find(|record| record["uuid"] == json!(project)).unwrap();
    assert_eq!(owner["name"], "Lab");
    let container = included.iter().find(|record| record["uuid"] == made["container_uuid"]);
    assert!(container.unwrap()["runtime_status"].is_object());
    let counted = json!({"limit": 0, "count": "exact", "filters": []});
    let counted = ask(&fixture, &fixture.ada, &path, counted).await;
    assert_eq!((names(&counted).len(), &counted["items_available"]), (0, &json!(4)));
    let whole = ask(&fixture, &fixture.ada, &path, json!({"filters": [["name", "=", "data"]]}));
    let whole = whole.await["items"][0].clone();
    assert!(whole.get("manifest_text").is_none() && whole["portable_data_hash"].is_string());
}

#[tokio::test]
async fn home_recursion_trash_and_what_is_not_home() {
    let fixture = Fixture::new().await;
    let (project, _) = lab(&fixture).await;
    let home = format!("{}/contents", fixture.ada.user.uuid);
    let order = "name asc";
    assert_eq!(names(&ask(&fixture, &fixture.ada, &home, json!({"order": order})).await), ["Lab"]);
    let all = ask(&fixture, &fixture.ada, &home, json!({"order": order, "recursive": true})).await;
    assert_eq!(names(&all), ["Inner", "Lab", "notebook"]);
    let bob = fixture.bob.user.uuid.to_string();
    fixture.grant(&fixture.ada, &bob, "can_read", &project).await.ok();
    let away = json!({"exclude_home_project": true, "order": order,
        "filters": [["groups.group_class", "=", "project"], ["groups.name", "!=", "Public favorites"]]});
    let shared = ask(&fixture, &fixture.bob, "contents", away.clone()).await;
    assert_eq!(names(&shared), ["Inner", "Lab", "notebook"]);
    assert_eq!(names(&ask(&fixture, &fixture.ada, "contents", away).await), [""; 0]);
    let counted = json!({"exclude_home_project": true, "limit": 0,
        "filters": [["uuid", "is_a", "arvados#containerRequest"], ["container.state", "=", "Queued"]]});
    assert_eq!(ask(&fixture, &fixture.bob, "contents", counted).await["items_available"], 1);
    fixture.delete(&fixture.ada, &format!("/arvados/v1/groups/{project}")).await.ok();
    assert_eq!(names(&ask(&fixture, &fixture.ada, &home, json!({})).await), [""; 0]);
    let trash =
        json!({"include_trash": true, "recursive": true, "filters": [["uuid", "=", project]]});
    assert_eq!(names(&ask(&fixture, &fixture.ada, &home, trash).await), ["Lab"]);
    let trash = json!({"include_trash": true, "filters": [["is_trashed", "=", true]]});
    assert_eq!(names(&ask(&fixture, &fixture.ada, "contents", trash).await), ["Lab"]);
    let path = format!("/arvados/v1/groups/{project}/contents");
    fixture.get(&fixture.ada, &path).await.refused(404);
}

#[tokio::test]
async fn a_filter_group_shows_what_matches_of_what_the_reader_sees() {
    let fixture = Fixture::new().await;
    let (project, _) = lab(&fixture).await;
    let filters = json!([["uuid", "is_a", "arvados#containerRequest"], ["name", "like", "note%"]]);
    let filter =
        json!({"group_class": "filter", "name": "Notebooks", "properties": {"filters": filters}});
    let filter = fixture.post(&fixture.ada, "/arvados/v1/groups", filter).await.ok();
    let uuid = filter["uuid"].as_str().unwrap();
    let path = format!("{uuid}/contents");
    assert_eq!(names(&ask(&fixture, &fixture.ada, &path, json!({})).await), ["notebook"]);
    let bob = fixture.bob.user.uuid.to_string();
    fixture.grant(&fixture.ada, &bob, "can_read", uuid).await.ok();
    assert_eq!(names(&ask(&fixture, &fixture.bob, &path, json!({})).await), [""; 0]);
    fixture.grant(&fixture.ada, &bob, "can_read", &project).await.ok();
    assert_eq!(names(&ask(&fixture, &fixture.bob, &path, json!({})).await), ["notebook"]);
}

#[tokio::test]
async fn shared_groups_come_with_their_owners() {
    let fixture = Fixture::new().await;
    let (project, _) = lab(&fixture).await;
    let bob = fixture.bob.user.uuid.to_string();
    fixture.grant(&fixture.ada, &bob, "can_write", &project).await.ok();
    let asked = json!({"order": "uuid", "include": "owner_uuid", "limit": 10000,
        "filters": [["name", "!=", "Public favorites"]]});
    let list = ask(&fixture, &fixture.bob, "shared", asked).await;
    assert_eq!(names(&list), ["Lab"]);
    assert_eq!(list["items"][0]["can_write"], true);
    assert_eq!(list["included"][0]["uuid"], json!(fixture.ada.user.uuid));
    assert_eq!(list["limit"], 1000);
}

#[tokio::test]
async fn every_bad_parameter_is_named() {
    let fixture = Fixture::new().await;
    let refused = async |path: &str| {
        fixture.get(&fixture.ada, &format!("/arvados/v1/groups/{path}")).await.refused(422)
    };
    for (path, words) in [
        ("contents?include=name", "include holds \"name\""),
        ("contents?order=color", "order names \"color\""),
        ("contents?filters=[[%22color%22,%22=%22,1]]", "filters[0] names \"color\""),
        ("contents?count=some", "count must be exact or none"),
        (
            "contents?exclude_home_project=true&uuid=wharf-tpzed-000000000000000",
            "exclude_home_project cannot be true",
        ),
    ] {
        let problem = refused(path).await;
        assert!(problem.contains(words), "{path}: {problem}");
    }
    fixture.get(&fixture.ada, "/arvados/v1/groups/x/contents").await.refused(404);
}
