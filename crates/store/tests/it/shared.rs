//! Two stores on one file, as two controllers have them.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use serde_json::json;
use store::{Change, ChangeKind, Changes, Notice, Store, StoreError, StoreOptions};

use crate::fixture::Fixture;
use crate::place::Place;

const SOON: Duration = Duration::from_secs(20);

/// A second store on the fixture's file; both follow.
async fn second(fixture: &Fixture, options: StoreOptions) -> Store {
    let other = fixture.place.open(options).await;
    for store in [fixture.store.clone(), other.clone()] {
        tokio::spawn(async move { store.follow_changes().await });
    }
    other
}

async fn next(changes: &mut Changes) -> Notice {
    tokio::time::timeout(SOON, changes.next()).await.expect("in time").unwrap()
}

async fn next_change(changes: &mut Changes) -> Change {
    match next(changes).await {
        Notice::Changed(change) => change,
        Notice::Everything => panic!("changes were missed"),
    }
}

#[tokio::test]
async fn a_change_reaches_the_other_process_with_its_owners_within_milliseconds() {
    let fixture = Fixture::new().await;
    let other = second(&fixture, StoreOptions::default()).await;
    let (mut here, mut there) = (fixture.store.changes(), other.changes());
    let mut waits = Vec::new();
    for _again in 0..20 {
        let token = fixture.token(&fixture.ada, None).await;
        let begin = Instant::now();
        let heard = next_change(&mut there).await;
        waits.push(begin.elapsed());
        assert_eq!(
            (heard.kind, heard.uuid.as_str()),
            (ChangeKind::Token, token.token.uuid.as_str())
        );
        assert_eq!(*heard.owners, [fixture.ada.uuid.to_string()]);
        assert_eq!(next_change(&mut here).await.uuid, heard.uuid);
        // What was announced can be read, there too.
        assert!(other.token_by_uuid(token.token.uuid).await.unwrap().is_some());
    }
    // Who waits for the period takes half a second for nearly each; a busy machine delays some.
    waits.sort();
    assert!(waits[10] < Duration::from_millis(100), "{waits:?}");
}

#[tokio::test]
async fn each_process_hears_every_change_once_whoever_wrote_it() {
    let fixture = Fixture::new().await;
    let other = second(&fixture, StoreOptions::default()).await;
    let (mut here, mut there) = (fixture.store.changes(), other.changes());
    let mut uuids = Vec::new();
    for store in [&fixture.store, &other].iter().cycle().take(20) {
        let user =
            store::NewUser { username: format!("user{}", uuids.len()), ..Default::default() };
        uuids.push(store.create_user(user).await.unwrap().uuid.to_string());
    }
    for changes in [&mut here, &mut there] {
        let mut heard = HashMap::<String, usize>::new();
        while heard.len() < uuids.len() {
            *heard.entry(next_change(changes).await.uuid).or_default() += 1;
        }
        assert!(uuids.iter().all(|uuid| heard[uuid] == 1), "{heard:?}");
        assert!(changes.next().now_or_never().is_none(), "something was heard twice");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_claims_through_two_processes_one_wins_and_no_change_is_missed() {
    let fixture = Fixture::new().await;
    let other = second(&fixture, StoreOptions::default()).await;
    let (mut here, mut there) = (fixture.store.changes(), other.changes());
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let stores = [fixture.store.clone(), other];
    let claims = stores.iter().cycle().take(20).map(|store| {
        let link = fixture.hostname(&fixture.ada, "jupyter", &request);
        let (store, by) = (store.clone(), fixture.ada.uuid);
        tokio::spawn(async move { store.create_link(link, by).await })
    });
    let claims: Vec<_> = claims.collect();
    let mut won = Vec::new();
    for claim in claims {
        match claim.await.unwrap() {
            Ok(link) => won.push(link.uuid.to_string()),
            Err(error) => assert!(matches!(error, StoreError::NameTaken(_)), "{error:?}"),
        }
    }
    assert_eq!(won.len(), 1);
    // Through both in turn, so that each commit is another process's for one of them.
    for (number, store) in stores.iter().cycle().take(10).enumerate() {
        let user = store::NewUser { username: format!("user{number}"), ..Default::default() };
        won.push(store.create_user(user).await.unwrap().uuid.to_string());
    }
    won.sort();
    for changes in [&mut here, &mut there] {
        let mut heard = Vec::new();
        while heard.len() < won.len() {
            let change = next_change(changes).await;
            heard.extend(won.contains(&change.uuid).then_some(change.uuid));
        }
        // One's own are heard at their commit, the other's when the bell has rung.
        heard.sort();
        assert_eq!(heard, won);
    }
}

#[tokio::test]
async fn a_process_that_falls_behind_is_told_to_look_at_everything_and_goes_on() {
    let few = StoreOptions { changes_kept: 8, ..StoreOptions::default() };
    let fixture = Fixture::with(few.clone()).await;
    let other = fixture.place.open(few).await;
    let mut there = other.changes();
    let begun = other.heard_at();
    for _token in 0..20 {
        fixture.token(&fixture.ada, None).await;
    }
    assert_eq!(other.heard_at(), begun, "nobody has looked");
    tokio::spawn({
        let other = other.clone();
        async move { other.follow_changes().await }
    });
    assert_eq!(next(&mut there).await, Notice::Everything);
    let request = fixture.submit(&fixture.ada, json!({})).await;
    while next_change(&mut there).await.uuid != request.uuid.as_str() {}
    assert!(other.heard_at() > begun);
}

#[tokio::test]
async fn two_processes_that_start_at_once_make_one_database() {
    let place = Place::new().await;
    let opening = (0..4).map(|_| place.open(StoreOptions::default()));
    for opened in futures_util::future::join_all(opening).await {
        opened.ensure_system_user().await.unwrap();
    }
}
