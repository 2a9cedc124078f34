//! Users that are deleted, over the database alone.

use std::time::Duration;

use model::ContainerPort;
use serde_json::json;
use store::{NewInvitation, StoreError};

use crate::fixture::Fixture;

/// Why ada cannot be deleted.
async fn refusal(fixture: &Fixture) -> String {
    match fixture.store.delete_user(fixture.ada.uuid).await {
        Err(StoreError::StillUsed(why)) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn who_owns_something_or_has_something_running_stays() {
    let fixture = Fixture::new().await;
    let Fixture { store, ada, bob, .. } = &fixture;
    let theirs = fixture.group(bob, "project", json!({})).await;
    let request = fixture.submit(ada, json!({"owner_uuid": theirs.uuid})).await;
    let why = refusal(&fixture).await;
    assert!(why.contains("has containers that are not over still"), "{why}");
    store.create_link(fixture.hostname(ada, "notebook", &request), ada.uuid).await.unwrap();
    fixture.submit(ada, json!({})).await;
    let why = refusal(&fixture).await;
    let all = "has container requests, host names, containers that are not over still";
    assert!(why.contains(all), "{why}");
    assert!(matches!(store.delete_user(store.system_user()).await, Err(StoreError::StillUsed(_))));
    assert!(store.user(ada.uuid).await.unwrap().is_some());
}

#[tokio::test]
async fn tokens_links_and_invitations_go_with_a_user() {
    let fixture = Fixture::new().await;
    let Fixture { store, ada, bob, .. } = &fixture;
    let token = fixture.token(ada, None).await.token;
    let role = fixture.group(bob, "role", json!({})).await;
    fixture.grant(&ada.uuid, "can_read", &role.uuid).await;
    fixture.grant(&role.uuid, "can_read", &ada.uuid).await;
    let request = fixture.submit(bob, json!({})).await;
    let new = NewInvitation {
        request: request.uuid,
        port: ContainerPort::new(80).unwrap(),
        further_ports: Vec::new(),
        made_by: ada.uuid,
        note: String::new(),
        lifetime: Duration::from_secs(60),
        uses_max: 1,
    };
    store.create_invitation(new).await.unwrap();
    store.set_password_hash(ada.uuid, Some("$argon2id$".to_owned())).await.unwrap();
    assert!(store.delete_user(ada.uuid).await.unwrap());
    assert!(store.user(ada.uuid).await.unwrap().is_none());
    assert!(store.token_by_uuid(token.uuid).await.unwrap().is_none());
    let on_role = store.permissions_on(role.uuid.as_str()).await.unwrap();
    assert!(on_role.iter().all(|link| link.tail_uuid.as_deref() != Some(ada.uuid.as_str())));
    assert!(store.permissions_on(ada.uuid.as_str()).await.unwrap().is_empty());
    assert!(store.invitations_of(request.uuid).await.unwrap().is_empty());
    assert!(!store.delete_user(ada.uuid).await.unwrap());
}
