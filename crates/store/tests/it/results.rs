//! What containers leave: collections of their requests, other containers, nothing secret.

use model::{ContainerEnd, ContainerState, ContainerUuid, Outcome, RequestState};
use serde_json::json;
use store::{Leavings, NewImage, Reader};

use crate::fixture::{Fixture, contains};

const BLOCK: &str = "900150983cd24fb0d6963f7d28e17f72+3";

fn end(fixture: &Fixture, outcome: Outcome) -> ContainerEnd {
    let finished_at = fixture.store.now();
    ContainerEnd { outcome, finished_at, reason: String::new(), oom_killed: false }
}

fn leavings() -> Leavings {
    Leavings {
        log: Some(format!(". {BLOCK} 0:1:stderr.txt\n")),
        output: Some(format!(". {BLOCK} 0:3:result.txt\n")),
    }
}

async fn run(fixture: &Fixture, uuid: ContainerUuid) {
    assert!(fixture.store.lock_container(uuid, "me").await.unwrap());
    let ports = Default::default();
    assert!(fixture.store.start_container(uuid, fixture.store.now(), ports).await.unwrap());
}

#[tokio::test]
async fn logs_have_a_collection_from_the_start_and_outputs_one_at_the_end() {
    let fixture = Fixture::new().await;
    let attributes = json!({
        "output_name": "a/b", "output_ttl": 60, "output_properties": {"mine": 1},
        "service": false,
    });
    let request = fixture.submit(&fixture.ada, attributes).await;
    let container = request.container_uuid.unwrap();
    run(&fixture, container).await;
    let running = fixture.store.request(request.uuid).await.unwrap().unwrap();
    let log_uuid = running.log_uuid.expect("a collection for the logs");
    let exited = end(&fixture, Outcome::Exited { code: 0 });
    assert!(fixture.store.end_container(container, &exited, leavings()).await.unwrap());
    let done = fixture.store.request(request.uuid).await.unwrap().unwrap();
    assert_eq!((done.state, done.log_uuid.as_ref()), (RequestState::Final, Some(&log_uuid)));
    let collection = async |uuid: &str| {
        let uuid = model::CollectionUuid::parse(uuid).unwrap();
        fixture.store.collection(uuid).await.unwrap().unwrap()
    };
    let log = collection(&log_uuid).await;
    assert_eq!(log.file_count, 2, "{}", log.manifest_text);
    let output = collection(&done.output_uuid.unwrap()).await;
    assert_eq!(
        (output.name.as_str(), output.owner_uuid.as_str()),
        ("a b", fixture.ada.uuid.as_str())
    );
    let properties = json!({"type": "output", "container_request": request.uuid, "mine": 1});
    assert_eq!(serde_json::Value::Object(output.properties), properties);
    assert!(output.trash_at.is_some() && output.delete_at > output.trash_at);
    let record = fixture.store.container(container).await.unwrap().unwrap();
    assert_eq!(record.output.as_deref(), Some(output.portable_data_hash.as_str()));
    let found = fixture.store.manifest_by_hash(&output.portable_data_hash).await.unwrap();
    assert_eq!(found, leavings().output);
}

#[tokio::test]
async fn a_lost_container_is_tried_again_as_often_as_it_may_be_with_its_ports_and_secrets() {
    let fixture = Fixture::new().await;
    let attributes = json!({
        "service": true, "published_ports": {"80": {"access": "private", "label": "x"}},
        "container_count_max": 2,
        "secret_mounts": {"/s": {"kind": "text", "content": "opensesame"}},
    });
    let request = fixture.submit(&fixture.ada, attributes).await;
    let first = request.container_uuid.unwrap();
    run(&fixture, first).await;
    let lost = end(&fixture, Outcome::Lost);
    let log_only = Leavings { output: None, ..leavings() };
    fixture.store.end_container(first, &lost, log_only).await.unwrap();
    let again = fixture.store.request(request.uuid).await.unwrap().unwrap();
    assert_eq!((again.state, again.container_count), (RequestState::Committed, 2));
    let second = again.container_uuid.unwrap();
    assert_ne!(second, first);
    let container = fixture.store.container(second).await.unwrap().unwrap();
    assert_eq!(container.state, ContainerState::Queued);
    assert!(container.priority > 0 && container.service);
    assert_eq!(container.published_ports, request.published_ports);
    let secrets = fixture.store.secret_mounts(second).await.unwrap();
    assert_eq!(secrets.contents[0].text, "opensesame");
    run(&fixture, second).await;
    fixture.store.end_container(second, &lost, leavings()).await.unwrap();
    let over = fixture.store.request(request.uuid).await.unwrap().unwrap();
    assert_eq!((over.state, over.container_count), (RequestState::Final, 2));
    assert!(over.secret_mounts.is_empty());
    let log = model::CollectionUuid::parse(&over.log_uuid.unwrap()).unwrap();
    let log = fixture.store.collection(log).await.unwrap().unwrap();
    for container in [first, second] {
        let folder = format!("./log\\040for\\040container\\040{container} ");
        assert!(log.manifest_text.contains(&folder), "{}", log.manifest_text);
    }
}

#[tokio::test]
async fn what_the_program_did_or_its_user_wanted_is_not_tried_again() {
    let fixture = Fixture::new().await;
    for outcome in
        [Outcome::Exited { code: 1 }, Outcome::FailedToStart, Outcome::Stopped { code: None }]
    {
        let request = fixture.submit(&fixture.ada, json!({})).await;
        let container = request.container_uuid.unwrap();
        run(&fixture, container).await;
        fixture.store.end_container(container, &end(&fixture, outcome), leavings()).await.unwrap();
        let over = fixture.store.request(request.uuid).await.unwrap().unwrap();
        assert_eq!((over.state, over.container_count), (RequestState::Final, 1), "{outcome:?}");
    }
    let cancelled = fixture.submit(&fixture.ada, json!({})).await;
    let container = cancelled.container_uuid.unwrap();
    run(&fixture, container).await;
    let mut after = fixture.store.request(cancelled.uuid).await.unwrap().unwrap();
    let before = after.clone();
    after.priority = 0;
    fixture.store.update_request(before, after, None, fixture.ada.uuid).await.unwrap();
    let lost = end(&fixture, Outcome::Lost);
    fixture.store.end_container(container, &lost, Leavings::default()).await.unwrap();
    let over = fixture.store.request(cancelled.uuid).await.unwrap().unwrap();
    assert_eq!((over.state, over.container_count), (RequestState::Final, 1));
}

#[tokio::test]
async fn a_finished_container_is_used_again_while_its_collections_are_there() {
    let fixture = Fixture::new().await;
    let reusing = || json!({"use_existing": true});
    let first = fixture.submit(&fixture.ada, reusing()).await;
    let container = first.container_uuid.unwrap();
    run(&fixture, container).await;
    let exited = end(&fixture, Outcome::Exited { code: 0 });
    fixture.store.end_container(container, &exited, leavings()).await.unwrap();
    let second = fixture.submit(&fixture.ada, reusing()).await;
    assert_eq!((second.state, second.container_uuid), (RequestState::Final, Some(container)));
    assert!(second.output_uuid.is_some() && second.log_uuid.is_some());
    let firsts = fixture.store.request(first.uuid).await.unwrap().unwrap();
    assert_ne!(second.output_uuid, firsts.output_uuid);
    let secret = json!({
        "use_existing": true, "secret_mounts": {"/s": {"kind": "text", "content": "a"}},
    });
    let other = fixture.submit(&fixture.ada, secret.clone()).await;
    assert_ne!(other.container_uuid, Some(container));
    let same = fixture.submit(&fixture.ada, secret).await;
    assert_eq!(same.container_uuid, other.container_uuid, "equal secrets, and it still waits");
    let bobs = fixture.submit(&fixture.bob, reusing()).await;
    assert_ne!(bobs.container_uuid, Some(container));
}

#[tokio::test]
async fn secrets_leave_the_records_with_the_end() {
    let fixture = Fixture::new().await;
    let attributes = json!({
        "secret_mounts": {"/s": {"kind": "text", "content": "opensesame"}},
        "runtime_token": "v2/wharf-gj3su-000000000000000/abcdefghijklmnopqrstuvwxyz",
    });
    let request = fixture.submit(&fixture.ada, attributes).await;
    let container = request.container_uuid.unwrap();
    run(&fixture, container).await;
    let exited = end(&fixture, Outcome::Exited { code: 0 });
    fixture.store.end_container(container, &exited, leavings()).await.unwrap();
    let over = fixture.store.request(request.uuid).await.unwrap().unwrap();
    assert!(over.secret_mounts.is_empty() && over.runtime_token.is_none());
    assert!(
        contains(&fixture.bytes_on_disk().await, "container_requests"),
        "the files are looked at"
    );
}

#[tokio::test]
async fn images_are_found_by_name_id_collection_and_content() {
    let fixture = Fixture::new().await;
    let id = |digit: &str| format!("sha256:{}", digit.repeat(64));
    let new = |digit: &str, names: &[&str], created: &str| NewImage {
        id: id(digit),
        names: names.iter().map(|&name| name.to_owned()).collect(),
        created: Some(created.to_owned()),
        manifest: format!(". {BLOCK} 0:3:sha256\\072{}.tar\n", digit.repeat(64)),
        owner: fixture.ada.uuid,
        is_for_all: false,
    };
    let store = &fixture.store;
    let old = store.record_image(new("a", &["app:1", "app:latest"], "2026-01-01")).await.unwrap();
    let young = store.record_image(new("b", &["app:latest"], "2026-02-01")).await.unwrap();
    let again = store.record_image(new("a", &["other:1"], "2026-01-01")).await.unwrap();
    assert_eq!(again, old);
    let ada = Reader::new(fixture.ada.uuid, false);
    let find = async |name: &str| store.find_image(name, &ada).await.unwrap().map(|image| image.id);
    for (name, expected) in [
        ("app:1", Some(id("a"))),
        ("app", Some(id("b"))),
        ("other:1", Some(id("a"))),
        (&id("b"), Some(id("b"))),
        ("bbbbbbbbbbbb", Some(id("b"))),
        (&old.portable_data_hash, Some(id("a"))),
        ("other", None),
        ("cccccccc", None),
    ] {
        assert_eq!(find(name).await, expected, "{name}");
    }
    let bob = Reader::new(fixture.bob.uuid, false);
    assert!(store.find_image("app", &bob).await.unwrap().is_none());
    assert!(store.find_image(&young.portable_data_hash, &bob).await.unwrap().is_none());
    // For all: one that is somebody's own already is no help.
    let for_all = NewImage { is_for_all: true, ..new("b", &["app:latest"], "2026-02-01") };
    store.record_image(for_all.clone()).await.unwrap();
    store.record_image(for_all).await.unwrap();
    let found = store.find_image("app", &bob).await.unwrap().unwrap();
    assert_eq!(found.id, id("b"));
    assert!(store.find_image("app:1", &bob).await.unwrap().is_none());
    assert!(store.is_content_readable(&found.portable_data_hash, &bob).await.unwrap());
}
