//! Requests: committing, cancelling, sharing a container, who may open it.

use model::{ContainerRequest, ContainerState, RequestState};
use serde_json::json;
use store::{ChangeKind, Notice, StoreError, TargetKey};

use crate::fixture::Fixture;

pub(crate) async fn set_priority(
    fixture: &Fixture,
    request: &ContainerRequest,
    priority: i64,
) -> ContainerRequest {
    let before = fixture.store.request(request.uuid).await.unwrap().unwrap();
    let after = ContainerRequest { priority, ..before.clone() };
    fixture.store.update_request(before, after, None, fixture.ada.uuid).await.unwrap()
}

#[tokio::test]
async fn a_draft_has_no_container_and_committing_it_makes_one() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let draft = fixture.submit(&fixture.ada, json!({"state": "Uncommitted"})).await;
    assert_eq!((draft.state, draft.container_uuid), (RequestState::Uncommitted, None));
    assert!(store.live_containers().await.unwrap().is_empty());
    let after = ContainerRequest { state: RequestState::Committed, ..draft.clone() };
    let request = store.update_request(draft, after, None, fixture.ada.uuid).await.unwrap();
    let live = store.live_containers().await.unwrap();
    assert_eq!(request.container_uuid, Some(live[0].uuid));
    assert_eq!((live[0].state, live.len()), (ContainerState::Queued, 1));
    assert_eq!(live[0].command, request.command);
    assert!(live[0].priority > 0);
}

#[tokio::test]
async fn a_write_over_a_stale_read_is_refused() {
    let fixture = Fixture::new().await;
    let stale = fixture.submit(&fixture.ada, json!({})).await;
    set_priority(&fixture, &stale, 7).await;
    let after = ContainerRequest { priority: 8, ..stale.clone() };
    let refused = fixture.store.update_request(stale, after, None, fixture.ada.uuid).await;
    assert!(matches!(refused, Err(StoreError::Changed(_))), "{refused:?}");
}

#[tokio::test]
async fn cancelling_a_queued_request_ends_it_at_once() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({"service": true})).await;
    let cancelled = set_priority(&fixture, &request, 0).await;
    assert_eq!(cancelled.state, RequestState::Final);
    let uuid = cancelled.container_uuid.unwrap();
    let container = fixture.store.container(uuid).await.unwrap().unwrap();
    assert_eq!((container.state, container.priority), (ContainerState::Cancelled, 0));
    assert_eq!(container.exit_code, None);
    assert!(container.finished_at.is_some());
    let words = container.runtime_status.get("activity").unwrap();
    assert_eq!(words, "cancelled before it was started");
}

#[tokio::test]
async fn a_request_committed_with_priority_0_waits_for_more() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({"priority": 0})).await;
    assert_eq!(request.state, RequestState::Committed);
    assert!(fixture.store.live_containers().await.unwrap().is_empty());
    set_priority(&fixture, &request, 1).await;
    assert_eq!(fixture.store.live_containers().await.unwrap().len(), 1);
}

#[tokio::test]
async fn cancelling_a_running_request_leaves_the_end_to_the_dispatcher() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let uuid = request.container_uuid.unwrap();
    assert!(fixture.store.lock_container(uuid, "me").await.unwrap());
    let cancelled = set_priority(&fixture, &request, 0).await;
    assert_eq!(cancelled.state, RequestState::Committed);
    let live = fixture.store.live_containers().await.unwrap();
    assert_eq!((live[0].uuid, live[0].priority), (uuid, 0));
}

#[tokio::test]
async fn a_service_is_never_shared_and_a_batch_run_only_with_oneself() {
    let fixture = Fixture::new().await;
    let batch = json!({"use_existing": true});
    let first = fixture.submit(&fixture.ada, batch.clone()).await;
    let second = fixture.submit(&fixture.ada, batch.clone()).await;
    let others = fixture.submit(&fixture.bob, batch).await;
    let different =
        fixture.submit(&fixture.ada, json!({"use_existing": true, "command": ["false"]})).await;
    assert_eq!(first.container_uuid, second.container_uuid);
    assert_ne!(first.container_uuid, others.container_uuid);
    assert_ne!(first.container_uuid, different.container_uuid);
    let service = json!({"service": true});
    let one = fixture.submit(&fixture.ada, service.clone()).await;
    let two = fixture.submit(&fixture.ada, service).await;
    assert_ne!(one.container_uuid, two.container_uuid);
}

#[tokio::test]
async fn a_request_whose_time_is_over_ends_as_if_it_were_cancelled_unless_it_is_renewed() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let over = json!({"service": true, "expires_at": "2020-01-01T00:00:00Z"});
    let later = json!({"service": true, "expires_at": "2099-01-01T00:00:00Z"});
    let ended = fixture.submit(&fixture.ada, over).await;
    let goes_on = fixture.submit(&fixture.ada, later).await;
    let for_ever = fixture.submit(&fixture.ada, json!({"service": true})).await;
    assert_eq!(store.end_expired_requests().await.unwrap(), 1);
    assert_eq!(store.end_expired_requests().await.unwrap(), 0);
    let state = async |uuid| store.request(uuid).await.unwrap().unwrap().state;
    assert_eq!(state(ended.uuid).await, RequestState::Final);
    assert_eq!(state(goes_on.uuid).await, RequestState::Committed);
    assert_eq!(state(for_ever.uuid).await, RequestState::Committed);
}

#[tokio::test]
async fn a_shared_container_lives_while_one_request_wants_it() {
    let fixture = Fixture::new().await;
    let batch = json!({"use_existing": true});
    let first = fixture.submit(&fixture.ada, batch.clone()).await;
    let second = fixture.submit(&fixture.ada, batch).await;
    set_priority(&fixture, &first, 0).await;
    assert_eq!(fixture.store.live_containers().await.unwrap().len(), 1);
    assert_eq!(set_priority(&fixture, &second, 0).await.state, RequestState::Final);
    assert!(fixture.store.live_containers().await.unwrap().is_empty());
}

#[tokio::test]
async fn the_more_urgent_and_then_the_older_goes_first() {
    let fixture = Fixture::new().await;
    let mut expected = Vec::new();
    for priority in [1, 500, 1, 1000] {
        let request = fixture.submit(&fixture.ada, json!({"priority": priority})).await;
        expected.push((-priority, expected.len(), request.container_uuid.unwrap()));
        fixture.advance(1);
    }
    expected.sort();
    let expected: Vec<_> = expected.into_iter().map(|(_, _, uuid)| uuid).collect();
    let live = fixture.store.live_containers().await.unwrap();
    assert_eq!(live.iter().map(|container| container.uuid).collect::<Vec<_>>(), expected);
    let third = fixture.store.find_target(&TargetKey::Container(expected[2])).await.unwrap();
    assert_eq!(third.unwrap().queue_place, Some(3));
}

#[tokio::test]
async fn only_the_submitter_who_still_owns_a_request_may_open_it() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({"service": true})).await;
    let key = TargetKey::Request(request.uuid);
    let find = async || fixture.store.find_target(&key).await.unwrap().unwrap();
    assert_eq!(find().await.submitters, [fixture.ada.uuid]);
    let mut changes = fixture.store.changes();
    let after = ContainerRequest { owner_uuid: fixture.bob.uuid.to_string(), ..request.clone() };
    fixture.store.update_request(request, after, None, fixture.ada.uuid).await.unwrap();
    assert!(find().await.submitters.is_empty());
    let Some(Notice::Changed(change)) = changes.next().await else { panic!("no change") };
    assert_eq!(change.kind, ChangeKind::Request);
    // The old owner hears of it too: it left their lists.
    let mut both = [fixture.ada.uuid.to_string(), fixture.bob.uuid.to_string()];
    both.sort();
    assert_eq!(&*change.owners, both);
}

#[tokio::test]
async fn secret_mounts_are_kept_for_drafts_and_never_listed() {
    let fixture = Fixture::new().await;
    let secret = json!({"/s": {"kind": "text", "content": "hush"}});
    let draft = fixture
        .submit(&fixture.ada, json!({"state": "Uncommitted", "secret_mounts": secret}))
        .await;
    let read = fixture.store.request(draft.uuid).await.unwrap().unwrap();
    assert_eq!(read.secret_mounts.len(), 1);
    assert!(!serde_json::to_string(&read).unwrap().contains("hush"));
}
