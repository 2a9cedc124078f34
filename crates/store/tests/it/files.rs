//! What only a database file has; and what is the same whatever the database, and writes much.

use serde_json::json;
use store::{Notice, Store, StoreOptions};

use crate::fixture::Fixture;
use crate::requests::set_priority;

#[tokio::test]
async fn what_was_acknowledged_is_there_for_whoever_opens_the_file_next() {
    let fixture = Fixture::new().await;
    let request = fixture.submit(&fixture.ada, json!({})).await;
    // As after kill -9: nobody closes anything; the file and its log are taken as they are.
    let copy = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(fixture.place.folder()).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), copy.path().join(file.file_name())).unwrap();
    }
    let path = copy.path().join("wharf.db");
    let next = Store::open(&path, StoreOptions::default()).await.unwrap();
    assert_eq!(next.request(request.uuid).await.unwrap(), Some(request));
    next.close().await;
}

#[tokio::test]
async fn the_file_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let fixture = Fixture::new().await;
    for file in std::fs::read_dir(fixture.place.folder()).unwrap() {
        let mode = file.unwrap().metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
    }
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_named() {
    let path = std::path::Path::new("/nonexistent/wharf.db");
    let error = Store::open(path, StoreOptions::default()).await.unwrap_err();
    assert!(error.to_string().contains("/nonexistent/wharf.db"), "{error}");
}

#[tokio::test]
async fn changes_come_after_commit_and_a_slow_listener_is_told_to_look_at_everything() {
    let fixture = Fixture::in_memory().await;
    let (mut quick, mut slow) = (fixture.store.changes(), fixture.store.changes());
    let request = fixture.submit(&fixture.ada, json!({})).await;
    let Some(Notice::Changed(first)) = quick.next().await else { panic!("no change") };
    assert!(fixture.store.request(request.uuid).await.unwrap().is_some());
    let Some(Notice::Changed(second)) = quick.next().await else { panic!("no change") };
    assert!(second.seq > first.seq);
    let mut last = request;
    for priority in (1..=600).rev() {
        last = set_priority(&fixture, &last, priority).await;
    }
    assert_eq!(slow.next().await, Some(Notice::Everything));
}
