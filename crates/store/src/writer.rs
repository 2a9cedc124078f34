//! The one writer: a transaction at a time, and a connection that is sound before each. Writers who wait for each other
//! share a transaction, each behind a savepoint of its own ([`batch`]).
//!
//! One writes at a time in the whole database, on PostgreSQL too, where a lock that ends with the transaction sees to it.
//! So a step reads what it decides by after every other step was committed, and the order of commits is that of the
//! numbers of changes and log entries.
//!
//! After some errors (a full disk, I/O) SQLite has rolled back by itself, and a connection that
//! is used on regardless fails for ever. So a connection goes back to the pool only after a
//! COMMIT or ROLLBACK that succeeded; any other is closed, and the pool opens a new one.
//! BEGIN and COMMIT are sent as plain statements because sqlx's own transactions count their
//! depth apart from SQLite.

mod batch;
mod counted;

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use model::{Timestamp, UserUuid};

use crate::changes::{ChangeKind, Pending, merged};
use crate::connection::Connection;
use crate::database::{Store, StoreOptions};
use crate::error::StoreError;
use crate::feed;
use crate::logs;
use crate::pools::Pools;
use crate::postgres;

pub(crate) use batch::Turns;
use batch::{Batch, Outcome};
pub(crate) use counted::Counted;
pub use counted::WritesCounted;

impl Store {
    /// How writing went, in this process.
    pub fn writes_counted(&self) -> WritesCounted {
        self.counted.get()
    }

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
        let begin = Instant::now();
        let turn = self.turns.next().await;
        if turn.is_err() {
            self.counted.gave_up();
        }
        let mut turn = turn?;
        let mut batch = match turn.take() {
            Some(batch) => batch,
            None => Batch::begin(WriteConnection::begin(&self.pools).await?),
        };
        self.counted.waited(begin);
        let begin = Instant::now();
        // The first has nothing of others to keep apart from.
        let is_first = batch.n_written == 0;
        if !is_first && let Err(error) = batch.conn.send("SAVEPOINT own").await {
            batch.outcome.fail(&error);
            batch.conn.close().await;
            return Err(error);
        }
        let Batch { conn, mut changes, n_written, outcome } = batch;
        let (options, now) = (self.options.clone(), self.now());
        let deleter = self.deleter;
        let mut tx = Tx { conn, pending: Vec::new(), options, now, deleter };
        let done = match work(&mut tx).await {
            Ok(answer) => self.note_changes(&mut tx).await.map(|changes| (answer, changes)),
            Err(error) => Err(error),
        };
        self.counted.worked(begin);
        let mut conn = tx.conn;
        let (answer, changed) = match done {
            Ok(done) => done,
            Err(error) if is_first => {
                conn.roll_back(&error).await;
                return Err(error);
            }
            Err(error) => {
                match conn.undo_own(&error).await {
                    // Those before commit it, when their turn comes.
                    Ok(()) => *turn = Some(Batch { conn, changes, n_written, outcome }),
                    Err(_lost) => {
                        outcome.fail(&error);
                        conn.close().await;
                    }
                }
                return Err(error);
            }
        };
        changes.extend(changed);
        let batch = Batch { conn, changes, n_written: n_written + 1, outcome };
        if self.turns.is_awaited(&batch) {
            let outcome = batch.outcome.clone();
            *turn = Some(batch);
            drop(turn);
            self.settle(&outcome).await?;
        } else {
            self.commit(batch).await?;
        }
        Ok(answer)
    }

    /// Waits until a batch that was left open is committed, or commits it.
    async fn settle(&self, outcome: &Outcome) -> Result<(), StoreError> {
        let mut turn = self.turns.again().await;
        if let Some(told) = outcome.told() {
            return told;
        }
        match turn.take() {
            Some(batch) if outcome.is_of(&batch) => self.commit(batch).await,
            other => {
                // Somebody's work ended in a panic, and the transaction with it.
                *turn = other;
                Err(StoreError::Interrupted)
            }
        }
    }

    async fn commit(&self, batch: Batch) -> Result<(), StoreError> {
        let Batch { conn, changes, outcome, .. } = batch;
        let begin = Instant::now();
        let committed = conn.commit().await;
        self.counted.committed(begin, committed.is_ok());
        if let Err(error) = committed {
            // It may be committed all the same, where the server went before it said so. Nobody tells us again
            // what we wrote ourselves.
            self.announcer.announce_everything();
            outcome.fail(&error);
            return Err(error);
        }
        outcome.succeed();
        if !changes.is_empty() {
            self.announcer.announce(changes);
            self.feed.ring();
        }
        Ok(())
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
#[derive(Debug)]
struct WriteConnection(Option<Connection>);

impl WriteConnection {
    async fn begin(pools: &Pools) -> Result<Self, StoreError> {
        let mut conn = Self(Some(pools.writer().await?));
        // Takes the write lock at once, so that a later read cannot end in a deadlock.
        let begin = conn.get().dialect().pick("BEGIN IMMEDIATE", postgres::BEGIN);
        match conn.send(begin).await {
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

    /// Undoes what was done since the savepoint.
    async fn undo_own(&mut self, why: &StoreError) -> Result<(), StoreError> {
        if why.is_of_the_disk() {
            // SQLite may have rolled back all of it.
            return Err(StoreError::Interrupted);
        }
        self.send("ROLLBACK TO own").await
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
        self.get().batch(statement).await
    }

    fn get(&mut self) -> &mut Connection {
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
    pub(crate) fn conn(&mut self) -> &mut Connection {
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
mod tests;
