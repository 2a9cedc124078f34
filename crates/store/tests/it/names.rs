//! Host names: one name space, one owner, whoever asks first.

use std::time::Duration;

use serde_json::json;
use store::{StoreError, StoreOptions, TargetKey};

use crate::fixture::Fixture;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_50_claims_at_once_exactly_one_wins() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let claims = (0..50).map(|number| {
        let mut link = fixture.hostname(&fixture.ada, "jupyter", &request);
        // Both words for the same thing share the name space.
        link.link_class = if number % 2 == 0 { "hostname" } else { "published_port" }.to_owned();
        let (store, by) = (fixture.store.clone(), fixture.ada.uuid);
        tokio::spawn(async move { store.create_link(link, by).await })
    });
    let (mut won, mut lost) = (0, 0);
    for claim in claims.collect::<Vec<_>>() {
        match claim.await.unwrap() {
            Ok(_) => won += 1,
            Err(StoreError::NameTaken(name)) if name == "jupyter" => lost += 1,
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((won, lost), (1, 49));
}

#[tokio::test]
async fn links_of_other_classes_share_names() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    for _ in 0..2 {
        let mut tag = fixture.hostname(&fixture.ada, "", &request);
        tag.link_class = "tag".to_owned();
        fixture.store.create_link(tag, fixture.ada.uuid).await.unwrap();
    }
}

#[tokio::test]
async fn deleting_the_request_frees_its_names() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let link = fixture.hostname(&fixture.ada, "lab", &request);
    fixture.store.create_link(link, fixture.ada.uuid).await.unwrap();
    let key = TargetKey::Name("lab".to_owned());
    assert!(fixture.store.find_target(&key).await.unwrap().is_some());
    assert!(fixture.store.delete_request(request.uuid).await.unwrap());
    assert!(fixture.store.find_target(&key).await.unwrap().is_none());
    let other = fixture.submit(&fixture.bob, json!({})).await;
    let link = fixture.hostname(&fixture.bob, "lab", &other);
    fixture.store.create_link(link, fixture.bob.uuid).await.unwrap();
}

#[tokio::test]
async fn a_name_cannot_lead_to_a_request_that_is_gone() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    fixture.store.delete_request(request.uuid).await.unwrap();
    let link = fixture.hostname(&fixture.ada, "lab", &request);
    let refused = fixture.store.create_link(link, fixture.ada.uuid).await;
    assert!(matches!(refused, Err(StoreError::NotFound(_))), "{refused:?}");
}

#[tokio::test]
async fn t25_a_released_name_rests_for_others_but_not_for_its_owner() {
    let options = StoreOptions { tombstone: Duration::from_secs(3600), ..StoreOptions::default() };
    let fixture = Fixture::with(options).await;
    let store = &fixture.store;
    let (ada, bob) = (&fixture.ada, &fixture.bob);
    let (hers, his) = (fixture.submit(ada, json!({})).await, fixture.submit(bob, json!({})).await);
    for _ in 0..2 {
        let link = fixture.hostname(ada, "lab", &hers);
        let link = store.create_link(link, ada.uuid).await.unwrap();
        assert!(store.delete_link(link.uuid).await.unwrap());
    }
    let refused = store.create_link(fixture.hostname(bob, "lab", &his), bob.uuid).await;
    assert!(matches!(refused, Err(StoreError::NameResting(..))), "{refused:?}");
    fixture.advance(3601);
    store.create_link(fixture.hostname(bob, "lab", &his), bob.uuid).await.unwrap();
}

#[tokio::test]
async fn an_owner_has_no_more_names_than_the_limit() {
    let options = StoreOptions { names_per_user_max: 2, ..StoreOptions::default() };
    let fixture = Fixture::with(options).await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    for (name, fits) in [("a", true), ("b", true), ("c", false)] {
        let link = fixture.hostname(&fixture.ada, name, &request);
        let claimed = fixture.store.create_link(link, fixture.ada.uuid).await;
        assert_eq!(claimed.is_ok(), fits, "{claimed:?}");
    }
}
