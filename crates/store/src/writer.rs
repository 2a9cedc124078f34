//! The one writer: a transaction at a time, and a connection that is sound before each.
//!
//! After some errors (a full disk, I/O) SQLite has rolled back by itself, and a connection that
//! is used on regardless fails for ever. So a connection goes back to the pool only after a
//! COMMIT or ROLLBACK that succeeded; any other is closed, and the pool opens a new one.
//! BEGIN and COMMIT are sent as plain statements because sqlx's own transactions count their
//! depth apart from SQLite.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use model::{Timestamp, UserUuid};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{Sqlite, SqliteConnection, SqlitePool};

use crate::changes::{ChangeKind, Pending, merged};
use crate::database::{Store, StoreOptions};
use crate::error::StoreError;
use crate::feed;
use crate::logs;

impl Store {
    /// Runs `work` in the one write transaction there is, commits it, and tells the listeners.
    ///
    /// In a task of its own: a caller that goes away in the middle (a client hangs up) must not
    /// leave a commit without its change event.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>> + Send + 'static,
    {
        let store = self.clone();
        let task = tokio::spawn(async move {
            let answer = store.transact(work).await?;
            store.keep_reserve().await;
            Ok(answer)
        });
        task.await.map_err(|_panicked_or_going_down| StoreError::Interrupted)?
    }

    /// As [`Store::write`], for what ends something (a cancellation, a container's end, a
    /// deletion): on a full disk it is tried again with the reserve's room, a portion at a time, so
    /// that whoever fills the disk can still be stopped.
    pub(crate) async fn write_ending<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>>
            + Clone
            + Send
            + 'static,
    {
        self.write_ending_if(true, work).await
    }

    /// As [`Store::write_ending`] where `ends`, else as [`Store::write`].
    pub(crate) async fn write_ending_if<T, F>(&self, ends: bool, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>>
            + Clone
            + Send
            + 'static,
    {
        if !ends {
            return self.write(work).await;
        }
        let store = self.clone();
        let task = tokio::spawn(async move {
            // Ends at the latest when nothing of the reserve is left.
            let answer = loop {
                match store.transact(work.clone()).await {
                    Err(StoreError::Full) if store.hand_over_reserve().await => {}
                    other => break other?,
                }
            };
            store.keep_reserve().await;
            Ok(answer)
        });
        task.await.map_err(|_panicked_or_going_down| StoreError::Interrupted)?
    }

    async fn transact<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: for<'t> FnOnce(&'t mut Tx) -> BoxFuture<'t, Result<T, StoreError>>,
    {
        let mut tx = Tx {
            conn: WriteConnection::begin(&self.writer).await?,
            pending: Vec::new(),
            options: self.options.clone(),
            now: self.now(),
            deleter: self.deleter,
        };
        let done = match work(&mut tx).await {
            Ok(answer) => self.note_changes(&mut tx).await.map(|changes| (answer, changes)),
            Err(error) => Err(error),
        };
        match done {
            Ok((answer, changes)) => {
                tx.conn.commit().await?;
                if !changes.is_empty() {
                    self.announcer.announce(changes);
                    self.feed.ring();
                }
                Ok(answer)
            }
            Err(error) => {
                tx.conn.roll_back(&error).await;
                Err(error)
            }
        }
    }

    /// Writes what the transaction changed, as log entries and for other processes; our own listeners hear of it after
    /// the commit.
    async fn note_changes(&self, tx: &mut Tx) -> Result<Vec<Pending>, StoreError> {
        logs::write_entries(tx).await?;
        let changes = merged(std::mem::take(&mut tx.pending));
        feed::write(tx, &self.feed, &changes).await?;
        Ok(changes)
    }

    /// Gives SQLite a portion of the reserve; false where there is none.
    async fn hand_over_reserve(&self) -> bool {
        let Some(reserve) = self.reserve.clone() else { return false };
        // Fails only where the runtime is going down.
        tokio::task::spawn_blocking(move || reserve.hand_over()).await.unwrap_or(false)
    }

    /// Makes the reserve whole where a part was given up. Nothing to do on nearly all writes.
    async fn keep_reserve(&self) {
        let Some(reserve) = self.reserve.clone().filter(|reserve| reserve.is_wanted()) else {
            return;
        };
        // Fails only where the runtime is going down: the next start looks at the reserve.
        let _done = tokio::task::spawn_blocking(move || reserve.allocate()).await;
    }
}

/// The write connection, inside a transaction. Dropped midway (a panic), it is closed.
struct WriteConnection(Option<PoolConnection<Sqlite>>);

impl WriteConnection {
    async fn begin(writer: &SqlitePool) -> Result<Self, StoreError> {
        let mut conn = Self(Some(writer.acquire().await?));
        // Takes the write lock at once, so that a later read cannot end in a deadlock.
        match conn.send("BEGIN IMMEDIATE").await {
            Ok(()) => Ok(conn),
            Err(error) => {
                conn.close().await;
                Err(error)
            }
        }
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        match self.send("COMMIT").await {
            Ok(()) => {
                self.give_back();
                Ok(())
            }
            Err(error) => {
                self.close().await;
                Err(error)
            }
        }
    }

    async fn roll_back(mut self, why: &StoreError) {
        // Fails where SQLite rolled back by itself.
        if !why.is_of_the_disk() && self.send("ROLLBACK").await.is_ok() {
            self.give_back();
        } else {
            self.close().await;
        }
    }

    async fn send(&mut self, statement: &'static str) -> Result<(), StoreError> {
        sqlx::query(statement).execute(self.get()).await?;
        Ok(())
    }

    fn get(&mut self) -> &mut SqliteConnection {
        self.0.as_mut().expect("taken only by what consumes self")
    }

    fn give_back(mut self) {
        drop(self.0.take());
    }

    /// Awaited, so that the next writer does not find the old connection's lock.
    async fn close(mut self) {
        if let Some(conn) = self.0.take()
            && let Err(error) = conn.close().await
        {
            tracing::warn!(%error, "closing a broken database connection failed");
        }
    }
}

impl Drop for WriteConnection {
    fn drop(&mut self) {
        if let Some(conn) = &mut self.0 {
            conn.close_on_drop();
        }
    }
}

/// The write transaction: a connection, the time, and what will have changed.
pub(crate) struct Tx {
    conn: WriteConnection,
    pending: Vec<Pending>,
    pub(crate) options: Arc<StoreOptions>,
    /// One time for everything the transaction writes.
    pub(crate) now: Timestamp,
    /// Who deletes, where that is known.
    pub(crate) deleter: Option<UserUuid>,
}

impl Tx {
    /// The connection.
    pub(crate) fn conn(&mut self) -> &mut SqliteConnection {
        self.conn.get()
    }

    /// Notes a change, to be told after commit.
    ///
    /// `owners` are the users, projects and roles it belongs to or belonged to before.
    pub(crate) fn changed(
        &mut self,
        kind: ChangeKind,
        uuid: &impl ToString,
        owners: impl IntoIterator<Item: ToString>,
    ) {
        let owners = owners.into_iter().map(|owner| owner.to_string()).collect();
        self.pending.push(Pending { kind, uuid: uuid.to_string(), owners });
    }
}

#[cfg(test)]
mod tests {
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
        sqlx::query("PRAGMA max_page_count = 1").execute(&store.writer).await.expect("a pragma");
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
                sqlx::query("DELETE FROM users").execute(tx.conn()).await?;
                panic!("on purpose")
            })
        });
        assert!(matches!(panicking.await, Err(StoreError::Interrupted)));
        store.create_user(user(1, "u")).await.expect("writing goes on");
        store.ensure_system_user().await.expect("the system user is still there");
        store.close().await;
    }

    #[tokio::test]
    async fn a_refused_write_keeps_the_connection() {
        let dir = tempfile::tempdir().expect("a directory");
        let store = store(&dir).await;
        store.create_user(user(1, "u")).await.expect("a user");
        sqlx::query("CREATE TEMP TABLE mine (x)").execute(&store.writer).await.expect("a table");
        let taken = store.create_user(user(1, "u")).await;
        assert!(matches!(taken, Err(StoreError::UsernameTaken(_))), "{taken:?}");
        let mine = sqlx::query("SELECT x FROM temp.mine").execute(&store.writer).await;
        assert!(mine.is_ok(), "{mine:?}");
        store.close().await;
    }
}
