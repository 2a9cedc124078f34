//! What is known of how containers are used, and their ends.

use std::time::Duration;

use model::{
    ContainerEnd, ContainerRequest, ContainerState, ContainerUuid, LifePolicy, Outcome,
    PublishedPorts, RequestState, Timestamp,
};
use serde_json::{Value, json};
use store::Leavings;

use crate::fixture::{Fixture, object};

const POLICY: LifePolicy =
    LifePolicy { warn_before: Duration::from_secs(60), use_lag: Duration::from_secs(0) };

async fn running(fixture: &Fixture, parameters: Value) -> (ContainerRequest, ContainerUuid) {
    let attributes = json!({ "service": true, "scheduling_parameters": parameters });
    let request = fixture.submit(&fixture.ada, attributes).await;
    let uuid = request.container_uuid.unwrap();
    assert!(fixture.store.lock_container(uuid, "me").await.unwrap());
    let (at, ports) = (fixture.store.now(), PublishedPorts::default());
    assert!(fixture.store.start_container(uuid, at, ports).await.unwrap());
    (request, uuid)
}

async fn used_at(fixture: &Fixture, uuid: ContainerUuid) -> Option<Timestamp> {
    fixture.store.lives(&[uuid]).await.unwrap().get(&uuid).and_then(|notes| notes.used_at)
}

#[tokio::test]
async fn use_only_moves_forward_and_is_no_change_of_the_container() {
    let fixture = Fixture::new().await;
    let (_, uuid) = running(&fixture, json!({})).await;
    let before = fixture.store.container(uuid).await.unwrap().unwrap();
    let early = fixture.store.now();
    fixture.advance(10);
    let late = fixture.store.now();
    assert_eq!(used_at(&fixture, uuid).await, None);
    for (at, known) in [(late, late), (early, late)] {
        fixture.store.note_use(vec![(uuid, at)]).await.unwrap();
        assert_eq!(used_at(&fixture, uuid).await, Some(known));
    }
    assert_eq!(fixture.store.container(uuid).await.unwrap().unwrap(), before);
    // Of one that is not there, or over, nothing is kept.
    let unknown = ContainerUuid::parse("wharf-dz642-zzzzzzzzzzzzzzz").unwrap();
    fixture.store.note_use(vec![(unknown, late)]).await.unwrap();
    assert_eq!(used_at(&fixture, unknown).await, None);
}

#[tokio::test]
async fn an_end_that_has_come_is_a_stop_with_words_of_its_own_and_one_that_has_not_is_none() {
    let fixture = Fixture::new().await;
    let (request, uuid) = running(&fixture, json!({ "idle_time": 100 })).await;
    let store = &fixture.store;
    assert!(!store.end_life(uuid, POLICY).await.unwrap(), "it is young");
    fixture.advance(1000);
    assert!(!store.end_life(uuid, POLICY).await.unwrap(), "nobody was told");
    let status = object(json!({ "warning": "stops at noon if nobody uses it" }));
    store.tell_end(uuid, status, Some(store.now())).await.unwrap();
    fixture.advance(1000);
    // Extended at the last moment.
    let until = store.now();
    fixture.advance(-1);
    store.keep_until(uuid, until).await.unwrap();
    assert!(!store.end_life(uuid, POLICY).await.unwrap());
    fixture.advance(1000);
    store
        .tell_end(uuid, object(json!({ "warning": "stops at one" })), Some(store.now()))
        .await
        .unwrap();
    fixture.advance(1000);
    assert!(store.end_life(uuid, POLICY).await.unwrap());
    assert!(!store.end_life(uuid, POLICY).await.unwrap(), "once");
    assert_eq!(store.request(request.uuid).await.unwrap().unwrap().priority, 0);
    assert!(!store.wanted_containers().await.unwrap().contains(&uuid));

    let reason =
        "stopped on request; it did not end within 10 s of SIGTERM and was killed".to_owned();
    let outcome = Outcome::Stopped { code: None };
    let end = ContainerEnd { outcome, finished_at: store.now(), reason, oom_killed: false };
    assert!(store.end_container(uuid, &end, Leavings::default()).await.unwrap());
    let over = store.container(uuid).await.unwrap().unwrap();
    assert_eq!(over.state, ContainerState::Cancelled);
    let words = "stopped because nobody used it for 1 min 40 s; \
                 it did not end within 10 s of SIGTERM and was killed";
    assert_eq!(Value::Object(over.runtime_status), json!({ "activity": words }));
    assert_eq!(store.request(request.uuid).await.unwrap().unwrap().state, RequestState::Final);
    assert!(store.lives(&[uuid]).await.unwrap().is_empty());
}

#[tokio::test]
async fn limits_that_change_reach_the_container_and_of_several_requests_the_longest() {
    let fixture = Fixture::new().await;
    let (before, uuid) = running(&fixture, json!({ "max_run_time": 100, "idle_time": 7 })).await;
    let limits = async || {
        let container = fixture.store.container(uuid).await.unwrap().unwrap();
        let parameters = container.scheduling_parameters;
        (parameters["max_run_time"].clone(), parameters.get("idle_time").cloned())
    };
    assert_eq!(limits().await, (json!(100), Some(json!(7))));
    // It has a log collection since it runs.
    let before = fixture.store.request(before.uuid).await.unwrap().unwrap();
    let mut after = before.clone();
    after.scheduling_parameters = object(json!({ "max_run_time": 200 }));
    fixture.store.update_request(before, after, None, fixture.ada.uuid).await.unwrap();
    assert_eq!(limits().await, (json!(200), None));
}

#[tokio::test]
async fn who_joins_a_container_gets_as_long_as_they_asked_for() {
    let fixture = Fixture::new().await;
    let asked = |seconds: u64| json!({ "use_existing": true, "scheduling_parameters": { "max_run_time": seconds } });
    let first = fixture.submit(&fixture.ada, asked(10)).await;
    let limit = async || {
        let container = fixture.store.container(first.container_uuid.unwrap()).await.unwrap();
        container.unwrap().scheduling_parameters["max_run_time"].clone()
    };
    for (seconds, longest) in [(5, 10), (20, 20), (0, 0)] {
        let joined = fixture.submit(&fixture.ada, asked(seconds)).await;
        assert_eq!(joined.container_uuid, first.container_uuid);
        assert_eq!(limit().await, json!(longest), "{seconds}");
    }
}
