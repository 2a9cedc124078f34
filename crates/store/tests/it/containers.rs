//! The steps of a container's life.

use model::{
    Access, ContainerEnd, ContainerPort, ContainerState, ContainerUuid, Outcome, PublishedPort,
    PublishedPorts, RequestState,
};
use serde_json::json;
use store::{Leavings, StoreError, TargetKey};

use crate::fixture::Fixture;

fn port(number: u16) -> ContainerPort {
    ContainerPort::new(number).unwrap()
}

fn ports() -> PublishedPorts {
    let mut entry = PublishedPort::new(Access::Private, "x", "");
    entry.start("http://h/".to_owned(), None);
    let mut ports = PublishedPorts::default();
    ports.insert(port(80), entry);
    ports
}

fn end(fixture: &Fixture, outcome: Outcome, reason: &str) -> ContainerEnd {
    ContainerEnd {
        outcome,
        finished_at: fixture.store.now(),
        reason: reason.to_owned(),
        oom_killed: false,
    }
}

async fn running(fixture: &Fixture) -> ContainerUuid {
    let attributes = json!({
        "service": true,
        "published_ports": {"80": {"access": "private", "label": "x"}},
    });
    let request = fixture.submit(&fixture.ada, attributes).await;
    let uuid = request.container_uuid.unwrap();
    assert!(fixture.store.lock_container(uuid, "me").await.unwrap());
    assert!(fixture.store.start_container(uuid, fixture.store.now(), ports()).await.unwrap());
    uuid
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_20_who_lock_at_once_exactly_one_gets_it() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let uuid = request.container_uuid.unwrap();
    let locks = (0..20).map(|number| {
        let store = fixture.store.clone();
        tokio::spawn(async move { store.lock_container(uuid, &number.to_string()).await })
    });
    let mut got = 0;
    for lock in locks.collect::<Vec<_>>() {
        got += u32::from(lock.await.unwrap().unwrap());
    }
    assert_eq!(got, 1);
    assert!(fixture.store.unlock_container(uuid).await.unwrap());
    assert!(!fixture.store.unlock_container(uuid).await.unwrap());
}

#[tokio::test]
async fn steps_in_the_wrong_state_change_nothing() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let uuid = request.container_uuid.unwrap();
    let store = &fixture.store;
    assert!(!store.start_container(uuid, store.now(), ports()).await.unwrap());
    assert!(!store.set_ready(uuid, port(80), store.now()).await.unwrap());
    assert!(!store.unlock_container(uuid).await.unwrap());
    let state = store.container(uuid).await.unwrap().unwrap().state;
    assert_eq!(state, ContainerState::Queued);
    let none = ContainerUuid::parse("wharf-dz642-000000000000000").unwrap();
    let missing = store.lock_container(none, "me").await;
    assert!(matches!(missing, Err(StoreError::NotFound(_))));
}

#[tokio::test]
async fn a_port_becomes_ready_once() {
    let fixture = Fixture::new().await;
    let uuid = running(&fixture).await;
    let (store, at) = (&fixture.store, fixture.store.now());
    assert!(store.set_ready(uuid, port(80), at).await.unwrap());
    assert!(!store.set_ready(uuid, port(80), store.now()).await.unwrap());
    assert!(!store.set_ready(uuid, port(81), at).await.unwrap());
    let container = store.container(uuid).await.unwrap().unwrap();
    let entry = container.published_ports.get(port(80)).unwrap();
    assert_eq!((entry.ready, entry.ready_at), (Some(true), Some(Some(at))));
    assert_eq!(container.state, ContainerState::Running);
}

#[tokio::test]
async fn ending_twice_changes_nothing_and_finalises_the_requests() {
    let fixture = Fixture::new().await;
    let uuid = running(&fixture).await;
    let first = end(&fixture, Outcome::Exited { code: 3 }, "the program ended with code 3");
    assert!(fixture.store.end_container(uuid, &first, Leavings::default()).await.unwrap());
    let ended = fixture.store.container(uuid).await.unwrap().unwrap();
    let again = end(&fixture, Outcome::Lost, "vanished");
    assert!(!fixture.store.end_container(uuid, &again, Leavings::default()).await.unwrap());
    assert_eq!(fixture.store.container(uuid).await.unwrap().unwrap(), ended);
    assert_eq!((ended.state, ended.exit_code), (ContainerState::Complete, Some(3)));
    assert_eq!(ended.error_words(), Some("the program ended with code 3"));
    let target = fixture.store.find_target(&TargetKey::Container(uuid)).await.unwrap().unwrap();
    assert_eq!(target.request.unwrap().state, RequestState::Final);
    assert_eq!(target.submitters, [fixture.ada.uuid]);
}

#[tokio::test]
async fn each_outcome_has_its_state_and_code() {
    let fixture = Fixture::new().await;
    for (outcome, state, code) in [
        (Outcome::Exited { code: 0 }, ContainerState::Complete, Some(0)),
        (Outcome::Signalled { signal: 9 }, ContainerState::Complete, Some(137)),
        (Outcome::FailedToStart, ContainerState::Cancelled, None),
        (Outcome::Stopped { code: Some(0) }, ContainerState::Cancelled, None),
        (Outcome::Lost, ContainerState::Cancelled, None),
    ] {
        let uuid = running(&fixture).await;
        fixture
            .store
            .end_container(uuid, &end(&fixture, outcome, ""), Leavings::default())
            .await
            .unwrap();
        let container = fixture.store.container(uuid).await.unwrap().unwrap();
        assert_eq!((container.state, container.exit_code), (state, code), "{outcome:?}");
        assert!(container.runtime_status.is_empty());
    }
}

#[tokio::test]
async fn external_ports_are_given_once_and_taken_back_at_the_end() {
    let fixture = Fixture::new().await;
    let (one, two) = (running(&fixture).await, running(&fixture).await);
    let store = &fixture.store;
    let assign = async |uuid, ports: &[u16]| {
        let ports = ports.iter().map(|number| port(*number)).collect();
        store.assign_external_ports(uuid, ports, 9000..=9002).await.unwrap()
    };
    let first = assign(one, &[80, 81]).await;
    assert_eq!(first.values().copied().collect::<Vec<_>>(), [9000, 9001]);
    assert_eq!(assign(one, &[80, 81]).await, first);
    assert_eq!(assign(two, &[80, 81]).await.values().copied().collect::<Vec<_>>(), [9002]);
    let target = store.find_target(&TargetKey::ExternalPort(9001)).await.unwrap().unwrap();
    assert_eq!((target.container.unwrap().uuid, target.port), (one, Some(port(81))));
    store.end_container(one, &end(&fixture, Outcome::Lost, ""), Leavings::default()).await.unwrap();
    assert!(store.find_target(&TargetKey::ExternalPort(9001)).await.unwrap().is_none());
    assert!(assign(one, &[80]).await.is_empty(), "one that is over would never give it back");
    assert_eq!(assign(two, &[80, 81]).await.values().copied().collect::<Vec<_>>(), [9002, 9000]);
}

#[tokio::test]
async fn the_words_why_it_waits_are_kept_and_told() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let uuid = request.container_uuid.unwrap();
    let mut changes = fixture.store.changes();
    for _ in 0..2 {
        fixture.store.set_scheduling_status(uuid, "needs 1 GiB more").await.unwrap();
    }
    fixture.store.lock_container(uuid, "me").await.unwrap();
    let queue_words = fixture.store.scheduling_status(uuid).await.unwrap();
    assert_eq!(queue_words, "needs 1 GiB more");
    // Once for the words, once for the lock: saying the same again is no change.
    let mut seqs = Vec::new();
    for _ in 0..2 {
        let Some(store::Notice::Changed(change)) = changes.next().await else { panic!() };
        seqs.push(change.seq);
    }
    assert_eq!(seqs[1], seqs[0] + 1);
    assert!(fixture.store.queue().await.unwrap().is_empty());
}
