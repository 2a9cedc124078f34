//! Writers beside each other, and what one that fails leaves.

use crate::users::NewUser;
use crate::{Store, StoreError, StoreOptions};

fn user(number: usize, prefix: &str) -> NewUser {
    NewUser { username: format!("{prefix}{number}"), ..NewUser::default() }
}

async fn store(dir: &tempfile::TempDir) -> Store {
    let path = dir.path().join("wharf.db");
    let store = Store::open(&path, StoreOptions::default()).await.expect("opens");
    store.ensure_system_user().await.expect("a user");
    store
}

/// Allows the write connection no page more than there are.
async fn forbid_growth(store: &Store) {
    let mut conn = store.pools.writer().await.expect("a connection");
    conn.batch("PRAGMA max_page_count = 1").await.expect("a pragma");
}

#[tokio::test]
async fn a_write_that_found_no_room_breaks_none_that_follows() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(&dir).await;
    for round in ["a", "b"] {
        forbid_growth(&store).await;
        let mut kept = 0;
        let error = loop {
            match store.create_user(user(kept, round)).await {
                Ok(_) => kept += 1,
                Err(error) => break error,
            }
            assert!(kept < 10_000, "SQLite never said that it was full");
        };
        assert!(matches!(error, StoreError::Full), "{error:?}");
        // The limit was the connection's, and went with it: there is room again.
        store.create_user(user(kept, round)).await.expect("writing goes on");
    }
    store.close().await;
}

#[tokio::test]
async fn a_write_that_panicked_leaves_nothing_and_breaks_none_that_follows() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(&dir).await;
    let panicking = store.write::<(), _>(|tx| {
        Box::pin(async move {
            tx.conn().batch("DELETE FROM users").await?;
            panic!("on purpose")
        })
    });
    assert!(matches!(panicking.await, Err(StoreError::Interrupted)));
    store.create_user(user(1, "u")).await.expect("writing goes on");
    store.ensure_system_user().await.expect("the system user is still there");
    store.close().await;
}

/// As many at once as share several commits.
const N_WRITERS: usize = 200;

/// Writers of users `u0` to `u199` at once, each twice: one of two is refused.
async fn write_at_once(store: &Store) -> Vec<Result<String, StoreError>> {
    let writing: Vec<_> = (0..2 * N_WRITERS)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                store.create_user(user(number % N_WRITERS, "u")).await.map(|it| it.username)
            })
        })
        .collect();
    let mut told = Vec::new();
    for one in writing {
        told.push(one.await.expect("no panic"));
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_who_share_commits_are_refused_one_by_one() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(&dir).await;
    let told = write_at_once(&store).await;
    assert_eq!(told.iter().filter(|it| it.is_ok()).count(), N_WRITERS);
    for refused in told.iter().filter_map(|it| it.as_ref().err()) {
        assert!(matches!(refused, StoreError::UsernameTaken(_)), "{refused:?}");
    }
    // Root is one more.
    assert_eq!(count_of_users(&store).await, N_WRITERS + 1);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_there_whoever_panics_beside_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(&dir).await;
    let panicking: Vec<_> = (0..20)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                let work = store.write::<(), _>(|tx| {
                    Box::pin(async move {
                        tx.conn().batch("DELETE FROM users").await?;
                        panic!("on purpose")
                    })
                });
                work.await
            })
        })
        .collect();
    let told = write_at_once(&store).await;
    for one in panicking {
        let told = one.await.expect("told, not panicking");
        assert!(matches!(told, Err(StoreError::Interrupted)), "{told:?}");
    }
    let n_kept = told.iter().filter(|it| it.is_ok()).count();
    assert_eq!(count_of_users(&store).await, n_kept + 1);
    let unexpected = told
        .iter()
        .filter_map(|it| it.as_ref().err())
        .find(|error| !matches!(error, StoreError::UsernameTaken(_) | StoreError::Interrupted));
    assert!(unexpected.is_none(), "{unexpected:?}");
    store.create_user(user(0, "later")).await.expect("writing goes on");
    store.close().await;
}

async fn count_of_users(store: &Store) -> usize {
    let query = crate::connection::query("SELECT COUNT(*) FROM users");
    let mut conn = store.reader().await.expect("a connection");
    let rows = query.fetch_all(&mut conn).await.expect("a count");
    usize::try_from(rows[0].try_get::<i64, _>(0).expect("a number")).expect("no less than 0")
}

#[tokio::test]
async fn a_refused_write_keeps_the_connection() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = store(&dir).await;
    store.create_user(user(1, "u")).await.expect("a user");
    let mut conn = store.pools.writer().await.expect("a connection");
    conn.batch("CREATE TEMP TABLE mine (x)").await.expect("a table");
    drop(conn);
    let taken = store.create_user(user(1, "u")).await;
    assert!(matches!(taken, Err(StoreError::UsernameTaken(_))), "{taken:?}");
    let mut conn = store.pools.writer().await.expect("a connection");
    let mine = conn.batch("SELECT x FROM temp.mine").await;
    drop(conn);
    assert!(mine.is_ok(), "{mine:?}");
    store.close().await;
}
