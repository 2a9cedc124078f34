//! What cannot be seen from outside: bells that nobody rang, rows of another version.

use super::*;
use crate::connection::query;
use crate::{Notice, StoreOptions};

async fn store(dir: &tempfile::TempDir) -> Store {
    let path = dir.path().join("wharf.db");
    Store::open(&path, StoreOptions::default()).await.expect("opens")
}

async fn writer(store: &Store) -> Connection {
    store.pools.writer().await.expect("a connection")
}

/// A row of another process that died before it rang.
async fn write_unheard(store: &Store, kind: &str) {
    query("INSERT INTO changes (origin, kind, uuid, owners) VALUES (1, $1, 'x', '[]')")
        .bind(kind)
        .execute(&mut writer(store).await)
        .await
        .expect("a row");
}

/// Runs `waiting` while the store follows.
async fn following<T>(store: &Store, waiting: impl Future<Output = T>) -> T {
    let bound = Duration::from_secs(20);
    tokio::select! {
        () = store.follow_changes() => panic!("the store is open"),
        heard = tokio::time::timeout(bound, waiting) => heard.expect("in time"),
    }
}

#[tokio::test]
async fn a_change_whose_bell_was_not_rung_is_heard_at_the_next_look() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(&dir).await;
    let mut changes = store.changes();
    following(&store, async {
        write_unheard(&store, "token").await;
        let Some(Notice::Changed(change)) = changes.next().await else { panic!("no change") };
        assert_eq!((change.kind, change.uuid.as_str()), (ChangeKind::Token, "x"));
        write_unheard(&store, "of a later version").await;
        assert_eq!(changes.next().await, Some(Notice::Everything));
    })
    .await;
}

#[tokio::test]
async fn what_was_heard_goes_on_while_it_follows_and_stands_still_when_it_cannot_read() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(&dir).await;
    let opened_at = store.heard_at();
    following(&store, async {
        while store.heard_at() == opened_at {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        writer(&store).await.batch("ALTER TABLE changes RENAME TO away").await.expect("renamed");
        // A look that began before may still end well.
        let looked = tokio::time::Instant::now() + PERIOD * 2;
        let (mut at, mut same_since) = (store.heard_at(), tokio::time::Instant::now());
        while same_since.elapsed() < PERIOD * 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
            if store.heard_at() != at {
                (at, same_since) = (store.heard_at(), tokio::time::Instant::now());
            }
            assert!(tokio::time::Instant::now() < looked + PERIOD * 10, "it never stood still");
        }
        writer(&store).await.batch("ALTER TABLE away RENAME TO changes").await.expect("back");
        while store.heard_at() == at {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[test]
fn a_follower_knows_whether_it_missed_something() {
    for (last, first, is_whole) in [
        (0, None, true),
        (0, Some(1), true),
        (0, Some(2), false),
        (7, Some(7), true),
        (7, Some(8), false),
        (7, None, false),
    ] {
        assert_eq!(follows(last, first), is_whole, "{last} {first:?}");
    }
}
