//! Container requests over the wire.

use api::{ApiConfig, BindMounts};
use http::Method;
use serde_json::{Value, json};

use crate::fixture::{Fixture, IMAGE_ID, attributes, request};

const PATH: &str = "/arvados/v1/container_requests";

fn path(record: &Value) -> String {
    format!("{PATH}/{}", record["uuid"].as_str().unwrap())
}

#[tokio::test]
async fn a_service_is_submitted_read_listed_and_cancelled() {
    let fixture = Fixture::new().await;
    let ada = &fixture.ada;
    let made = fixture.service(ada).await;
    assert_eq!(made["kind"], "arvados#containerRequest");
    assert!(made["etag"].as_str().unwrap().len() > 10);
    assert_eq!(made["container_image"], "demo", "as it was sent");
    assert_eq!((&made["use_existing"], &made["state"]), (&json!(false), &json!("Committed")));
    assert!(made.get("secret_mounts").is_none());
    assert_eq!(fixture.get(ada, &path(&made)).await.ok(), made);
    let container = format!("/arvados/v1/containers/{}", made["container_uuid"].as_str().unwrap());
    let queued = fixture.get(ada, &container).await.ok();
    assert_eq!(
        (&queued["state"], &queued["kind"]),
        (&json!("Queued"), &json!("arvados#container"))
    );
    assert_eq!(queued["published_ports"], made["published_ports"]);
    assert_eq!(queued["container_image"], IMAGE_ID);
    let list = fixture.get(ada, PATH).await.ok();
    assert_eq!(list["kind"], "arvados#containerRequestList");
    assert_eq!(
        (&list["offset"], &list["limit"], &list["items_available"]),
        (&json!(0), &json!(100), &json!(1))
    );
    assert_eq!(list["items"], json!([made]));
    // Text for a number is how the official runner cancels.
    let cancelled = fixture.put(ada, &path(&made), json!({"priority": "0"})).await.ok();
    assert_eq!(cancelled["state"], "Final");
    assert_eq!(fixture.get(ada, &container).await.ok()["state"], "Cancelled");
}

#[tokio::test]
async fn a_whole_record_can_be_sent_back() {
    let fixture = Fixture::new().await;
    let draft = attributes(json!({"state": "Uncommitted", "owner_uuid": null}));
    let made = fixture.post(&fixture.ada, PATH, draft).await.ok();
    assert_eq!((&made["state"], &made["container_uuid"]), (&json!("Uncommitted"), &Value::Null));
    let mut commit = made.clone();
    commit["state"] = "Committed".into();
    let body = json!({"container_request": commit});
    let committed = fixture.put(&fixture.ada, &path(&made), body).await.ok();
    assert!(committed["container_uuid"].is_string());
    // Nothing new: nothing changes, not even the time.
    assert_eq!(fixture.put(&fixture.ada, &path(&made), committed.clone()).await.ok(), committed);
    let words = fixture
        .put(&fixture.ada, &path(&made), json!({"command": ["other"], "published_ports": {}}))
        .await
        .refused(422);
    assert!(words.contains("command cannot be changed once the request is Committed"), "{words}");
    assert!(words.contains("published_ports cannot be changed"), "{words}");
    let patch =
        fixture.call(Method::PATCH, &fixture.ada, &path(&made), json!({"name": "new"})).await.ok();
    assert_eq!(patch["name"], "new");
}

#[tokio::test]
async fn every_bad_attribute_is_named() {
    let fixture = Fixture::new().await;
    for (over, words) in [
        (json!({"command": "ls"}), "command must be a list of text"),
        (json!({"command": ["ls", 1]}), "member 1 is 1"),
        (json!({"container_image": ""}), "container_image must not be empty"),
        (
            json!({"container_image": "other"}),
            "docker image \"other\" not found; import it with `wharf image import`",
        ),
        (json!({"output_path": "/else"}), "output_path must be the target of a mount"),
        (json!({"output_path": "out"}), "output_path must be an absolute path"),
        (json!({"cwd": "x"}), "cwd must be"),
        (json!({"priority": 1001}), "priority must be an integer from 0 to 1000, is 1001"),
        (json!({"priority": "high"}), "priority must be an integer"),
        (json!({"priority": -1}), "priority must be"),
        (json!({"use_existing": true}), "use_existing must be false where service is true"),
        (json!({"service": "maybe"}), "service must be true or false"),
        (json!({"state": "Final"}), "state of a new request"),
        (json!({"state": "Done"}), "state must be Uncommitted, Committed or Final"),
        (json!({"environment": {"A=B": "x"}}), "environment[\"A=B\"]"),
        (json!({"environment": {"A": 1}}), "environment[\"A\"] must be text, is 1"),
        (
            json!({"runtime_constraints": {"ram": 1}}),
            "runtime_constraints.vcpus must be a positive number",
        ),
        (
            json!({"runtime_constraints": {"vcpus": 1, "ram": "much"}}),
            "runtime_constraints.ram must be",
        ),
        (
            json!({"runtime_constraints": {"ram": 1, "vcpus": 1, "disk": 1}}),
            "runtime_constraints.disk is not known",
        ),
        (
            json!({"runtime_constraints": {"ram": 1, "vcpus": 1, "gpu": {"device_count": 1}}}),
            "GPUs, which are not supported yet",
        ),
        (
            json!({"scheduling_parameters": {"partition": "x"}}),
            "scheduling_parameters.partition is not known",
        ),
        (json!({"published_ports": {"0": {}}}), "published_ports[\"0\"] is no port"),
        (
            json!({"published_ports": {"80": {"access": "open", "label": "x"}}}),
            "published_ports[\"80\"].access must be",
        ),
        (json!({"mounts": {"out": {"kind": "tmp"}}}), "mounts[\"out\"] must be an absolute path"),
        (
            json!({"mounts": {"/a/../b": {"kind": "tmp"}}}),
            "mounts[\"/a/../b\"] must be an absolute path",
        ),
        (json!({"mounts": {"/out": {"kind": "nfs"}}}), "mounts[\"/out\"].kind must be one of"),
        (
            json!({"mounts": {"/out": {"kind": "tmp", "path": "/x"}}}),
            "mounts[\"/out\"].path is no field",
        ),
        (
            json!({"mounts": {"/out": {"kind": "tmp"}, "/c": {"kind": "collection", "portable_data_hash": "x"}}}),
            "mounts[\"/c\"] there is no collection",
        ),
        (
            json!({"mounts": {"/out": {"kind": "tmp"}, "/h": {"kind": "bind", "path": "/etc"}}}),
            "only administrators may mount paths of the host",
        ),
        (json!({"output_ttl": -1}), "output_ttl must be an integer of at least 0"),
        (
            json!({"owner_uuid": "wharf-j7d0g-000000000000000"}),
            "is a role: only users and projects own",
        ),
        (json!({"nonsense": 1}), "nonsense is no attribute of container requests"),
        (json!({"name": ["x"]}), "name must be text"),
        (json!({"name": "x".repeat(2000)}), "name is longer than"),
    ] {
        let mut all = attributes(json!({"state": "Committed"}));
        for (name, value) in over.as_object().unwrap() {
            all[name] = value.clone();
        }
        let refused = fixture.post(&fixture.ada, PATH, all).await.refused(422);
        assert!(refused.contains(words), "{over}: {refused}");
    }
    assert_eq!(fixture.get(&fixture.admin, PATH).await.ok()["items_available"], 0);
}

#[tokio::test]
async fn all_problems_are_told_at_once_one_text_each() {
    let fixture = Fixture::new().await;
    let answer = fixture.post(&fixture.ada, PATH, json!({"priority": 9999, "cwd": ""})).await;
    let errors = answer.json()["errors"].as_array().unwrap().len();
    assert!(errors >= 3, "{}", answer.text);
}

/// A commit that shows this path of the host.
fn binding(path: &std::path::Path) -> Value {
    attributes(json!({
        "state": "Committed",
        "mounts": {"/out": {"kind": "tmp"}, "/h": {"kind": "bind", "path": path, "writable": true}},
    }))
}

#[tokio::test]
async fn paths_of_the_host_are_for_those_the_site_lets() {
    let dir = tempfile::tempdir().unwrap();
    for (setting, admin, user) in [
        (BindMounts::AdminsOnly, 200, 422),
        (BindMounts::Everyone, 200, 200),
        (BindMounts::Nobody, 422, 422),
    ] {
        let fixture = Fixture::with(|config| ApiConfig { bind_mounts: setting, ..config }).await;
        let body = binding(dir.path());
        assert_eq!(fixture.post(&fixture.admin, PATH, body.clone()).await.status.as_u16(), admin);
        assert_eq!(fixture.post(&fixture.ada, PATH, body).await.status.as_u16(), user);
    }
}

#[tokio::test]
async fn only_allowed_directories_are_mounted_whatever_links_say() {
    let (allowed, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let real = allowed.path().canonicalize().unwrap();
    std::fs::create_dir(real.join("data")).unwrap();
    std::os::unix::fs::symlink(real.join("data"), real.join("inside")).unwrap();
    std::os::unix::fs::symlink(other.path(), real.join("outside")).unwrap();
    let directories = vec![real.clone()];
    let fixture =
        Fixture::with(|config| ApiConfig { bind_directories: directories, ..config }).await;
    let post =
        async |path: &std::path::Path| fixture.post(&fixture.admin, PATH, binding(path)).await;
    let made = post(&real.join("inside")).await.ok();
    assert_eq!(made["mounts"]["/h"]["path"], json!(real.join("data")));
    for (path, words) in [
        (real.join("outside"), "leads out of the directories"),
        (other.path().to_owned(), "which is not below"),
        (real.join("missing"), "cannot be used on this machine"),
    ] {
        let refused = post(&path).await.refused(422);
        assert!(refused.contains(words), "{refused}");
    }
}

#[tokio::test]
async fn another_user_s_records_do_not_exist() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let container = format!("/arvados/v1/containers/{}", made["container_uuid"].as_str().unwrap());
    let bob = &fixture.bob;
    fixture.get(bob, &path(&made)).await.refused(404);
    fixture.put(bob, &path(&made), json!({"priority": 0})).await.refused(404);
    fixture.delete(bob, &path(&made)).await.refused(404);
    fixture.get(bob, &container).await.refused(404);
    fixture
        .get(bob, &format!("/wharf/v1/logs/{}", made["uuid"].as_str().unwrap()))
        .await
        .refused(404);
    assert_eq!(fixture.get(bob, PATH).await.ok()["items"], json!([]));
    let stolen = attributes(json!({"owner_uuid": fixture.ada.user.uuid}));
    fixture.post(bob, PATH, stolen).await.refused(403);
    fixture.get(&fixture.admin, &path(&made)).await.ok();
    fixture.get(&fixture.ada, &format!("{PATH}/not-a-uuid")).await.refused(404);
}

#[tokio::test]
async fn a_user_cannot_finish_a_request_and_a_final_one_keeps_its_priority() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let words =
        fixture.put(&fixture.ada, &path(&made), json!({"state": "Final"})).await.refused(422);
    assert!(words.contains("set priority to 0"), "{words}");
    let words = fixture.put(&fixture.ada, &path(&made), json!({"state": "Uncommitted"})).await;
    assert!(words.refused(422).contains("cannot go from Committed to Uncommitted"));
    fixture.put(&fixture.ada, &path(&made), json!({"priority": 0})).await.ok();
    let words = fixture.put(&fixture.ada, &path(&made), json!({"priority": 1})).await.refused(422);
    assert!(words.contains("priority cannot be changed once the request is Final"), "{words}");
    let kept = json!({"properties": {"cwl_output": {}}, "description": ""});
    fixture.put(&fixture.ada, &path(&made), kept).await.ok();
    fixture.delete(&fixture.ada, &path(&made)).await.ok();
    fixture.get(&fixture.ada, &path(&made)).await.refused(404);
}

#[tokio::test]
async fn lists_take_what_arvados_clients_send() {
    let fixture = Fixture::new().await;
    let (one, _two) = (fixture.service(&fixture.ada).await, fixture.service(&fixture.ada).await);
    let uuid = one["uuid"].as_str().unwrap();
    let encode = |text: &str| percent(text);
    let list = async |query: String| fixture.get(&fixture.ada, &format!("{PATH}?{query}")).await;
    let filters = encode(&json!([["uuid", "=", uuid]]).to_string());
    let found = list(format!("filters={filters}&count=none&alt=json")).await.ok();
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    assert!(found.get("items_available").is_none());
    let select = encode("[\"uuid\",\"state\"]");
    let found = list(format!("filters={filters}&select={select}")).await.ok();
    let keys: Vec<&String> = found["items"][0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["kind", "etag", "uuid", "state"]);
    assert_eq!(list("limit=0".to_owned()).await.ok()["items_available"], 2);
    assert_eq!(list("limit=99999".to_owned()).await.ok()["limit"], 1000);
    assert_eq!(list("limit=null&order=".to_owned()).await.ok()["limit"], 100);
    let oldest = list("order=created_at%20asc,uuid%20asc&limit=1".to_owned()).await.ok();
    assert_eq!(oldest["items"][0]["uuid"], uuid);
    let state = encode(
        &json!([["container.state", "in", ["Queued"]], ["priority", "!=", "0"]]).to_string(),
    );
    assert_eq!(list(format!("filters={state}")).await.ok()["items_available"], 2);
    for (query, words) in [
        ("limit=-1", "limit must be a number"),
        ("limit=x", "limit must be a number"),
        ("count=maybe", "count must be exact or none"),
        ("filters=x", "filters is no JSON"),
        ("filters=%7B%7D", "filters must be a list"),
        ("filters=%5B%5B%22colour%22,%22=%22,1%5D%5D", "filters[0] names the attribute \"colour\""),
        ("filters=%5B%5B%22name%22,%22~%22,1%5D%5D", "filters[0] has the operator \"~\""),
        ("select=%5B%22secret_mounts%22%5D", "select names \"secret_mounts\""),
        ("order=command", "order names \"command\""),
        ("order=name%20up", "order has the direction \"up\""),
    ] {
        let refused = list(query.to_owned()).await.refused(422);
        assert!(refused.contains(words), "{query}: {refused}");
    }
}

#[tokio::test]
async fn a_list_can_be_posted_as_a_form() {
    let fixture = Fixture::new().await;
    let made = fixture.service(&fixture.ada).await;
    let mut uuids: Vec<String> = (0..3000).map(|n| format!("wharf-xvhdp-{n:015}")).collect();
    uuids.push(made["uuid"].as_str().unwrap().to_owned());
    let filters = json!([["uuid", "in", uuids]]).to_string();
    // Far beyond what a URL holds.
    let form = format!("filters={}&count=none", percent(&filters));
    assert!(form.len() > 65_536);
    let send = async |path: &str, header: bool, body: String, content_type: &str| {
        let mut request = request(Method::POST, path, Some(&fixture.ada.token), body);
        let headers = request.headers_mut();
        headers.insert("content-type", content_type.parse().unwrap());
        if header {
            headers.insert("x-http-method-override", "GET".parse().unwrap());
        }
        fixture.exchange(request).await.ok()["items"].as_array().unwrap().len()
    };
    let urlencoded = "application/x-www-form-urlencoded";
    assert_eq!(send(PATH, true, form.clone(), urlencoded).await, 1);
    assert_eq!(send(&format!("{PATH}?_method=GET"), false, form.clone(), urlencoded).await, 1);
    assert_eq!(send(PATH, false, format!("_method=GET&{form}"), urlencoded).await, 1);
    let body = json!({"_method": "GET", "filters": [["uuid", "=", made["uuid"]]]}).to_string();
    assert_eq!(send(PATH, false, body, "application/json").await, 1);
}

#[tokio::test]
async fn a_body_that_is_no_object_or_too_large_is_refused_by_name() {
    let fixture = Fixture::with(|config| ApiConfig { request_bytes_max: 1000, ..config }).await;
    let post = async |body: String| {
        fixture.exchange(request(Method::POST, PATH, Some(&fixture.ada.token), body)).await
    };
    assert!(post("[]".to_owned()).await.refused(422).contains("body must be a JSON object"));
    assert!(post("{".to_owned()).await.refused(422).contains("body is no JSON"));
    let words = post(json!({"name": "x".repeat(2000)}).to_string()).await.refused(413);
    assert!(words.contains("request_bytes_max (1000 bytes)"), "{words}");
    let words = post(json!({"container_request": 1}).to_string()).await.refused(422);
    assert!(words.contains("container_request must be an object"), "{words}");
}

/// Everything but letters and digits, as clients encode it.
fn percent(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}
