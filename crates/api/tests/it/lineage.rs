//! Where collections come from and what was made of them.

use model::ContainerUuid;
use serde_json::{Value, json};

use crate::fixture::{Fixture, Person};

const COLLECTIONS: &str = "/arvados/v1/collections";

/// The request of a container that read this content and left an output of these bytes.
async fn finished(fixture: &Fixture, person: &Person, input: &str, output: &str) -> Value {
    let body = json!({
        "state": "Committed", "priority": 1, "command": ["run"], "container_image": "demo",
        "output_path": "/out", "use_existing": false, "runtime_constraints": {"ram": 1, "vcpus": 1},
        "mounts": {
            "/out": {"kind": "tmp"},
            "/in": {"kind": "collection", "portable_data_hash": input},
        },
    });
    let path = "/arvados/v1/container_requests";
    let made = fixture.post(person, path, body).await.ok();
    let container = ContainerUuid::parse(made["container_uuid"].as_str().unwrap()).unwrap();
    let store = &fixture.store;
    assert!(store.lock_container(container, "me").await.unwrap());
    assert!(store.start_container(container, store.now(), Default::default()).await.unwrap());
    let locator = fixture.stored(person, output.as_bytes()).await;
    let output = format!(". {} 0:{}:out\n", locator.split("+A").next().unwrap(), output.len());
    let end = model::ContainerEnd {
        outcome: model::Outcome::Exited { code: 0 },
        finished_at: store.now(),
        reason: String::new(),
        oom_killed: false,
    };
    let left = store::Leavings { log: Some(String::new()), output: Some(output) };
    store.end_container(container, &end, left).await.unwrap();
    fixture.get(person, &format!("{path}/{}", made["uuid"].as_str().unwrap())).await.ok()
}

fn keys(answer: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = answer.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

#[tokio::test]
async fn what_a_collection_was_made_of_and_what_was_made_of_it_are_followed_both_ways() {
    let fixture = Fixture::new().await;
    let source = fixture.collection(&fixture.ada, "source", "raw").await;
    let hash = |record: &Value| record["portable_data_hash"].as_str().unwrap().to_owned();
    let first = finished(&fixture, &fixture.ada, &hash(&source), "cooked").await;
    let output_of = async |request: &Value| {
        let path = format!("{COLLECTIONS}/{}", request["output_uuid"].as_str().unwrap());
        fixture.get(&fixture.ada, &path).await.ok()
    };
    let cooked = output_of(&first).await;
    let second = finished(&fixture, &fixture.ada, &hash(&cooked), "served").await;
    let served = output_of(&second).await;
    let ask = async |person: &Person, record: &Value, way: &str| {
        let uuid = record["uuid"].as_str().unwrap();
        fixture.get(person, &format!("{COLLECTIONS}/{uuid}/{way}")).await
    };
    let back = ask(&fixture.ada, &served, "provenance").await.ok();
    let text = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    let mut expected = vec![hash(&source), hash(&cooked), hash(&served)];
    for request in [&first, &second] {
        expected.extend([text(request, "uuid"), text(request, "container_uuid")]);
    }
    expected.sort_unstable();
    assert_eq!(keys(&back), expected);
    assert_eq!(back[hash(&source)]["uuid"], source["uuid"]);
    assert!(back[hash(&source)].get("manifest_text").is_none(), "{back}");
    assert_eq!(back[text(&first, "uuid")]["kind"], "arvados#containerRequest");
    let by_hash = format!("{COLLECTIONS}/{}/used_by", hash(&source).replace('+', "%2B"));
    let forth = fixture.get(&fixture.ada, &by_hash).await.ok();
    let mut expected = vec![hash(&source), hash(&cooked), hash(&served)];
    expected.extend([text(&first, "container_uuid"), text(&second, "container_uuid")]);
    expected.sort_unstable();
    assert_eq!(keys(&forth), expected);
    let alone = ask(&fixture.ada, &source, "provenance").await.ok();
    assert_eq!(keys(&alone), [hash(&source)]);
    // Who may read a result sees no more of its history than what they may read, too.
    ask(&fixture.bob, &served, "provenance").await.refused(404);
    let bob = fixture.bob.user.uuid.as_str();
    fixture.grant(&fixture.ada, bob, "can_read", served["uuid"].as_str().unwrap()).await.ok();
    let seen = ask(&fixture.bob, &served, "provenance").await.ok();
    assert_eq!(keys(&seen), [hash(&served)]);
}
