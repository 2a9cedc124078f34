//! Commits that several writers share: a disk keeps many records in the time that it keeps one.
//!
//! Writers take turns on the one transaction. Whoever finds others waiting when it is done leaves the transaction open
//! for them and queues again, behind all that wait by then; the first to come who finds nobody waiting, or its own work
//! still uncommitted, commits for all. So nobody waits for a timer, and one writer alone commits at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::{Mutex, MutexGuard};

use super::WriteConnection;
use crate::changes::Pending;
use crate::error::StoreError;
use crate::pools::ACQUIRE_TIMEOUT;

/// Most writers that share a commit.
const SHARING_MAX: usize = 64;

/// Whose turn it is, and what the last one left open.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    left_open: Mutex<Option<Batch>>,
    /// Writers who have not had theirs.
    waiting: AtomicUsize,
}

pub(super) type Turn<'t> = MutexGuard<'t, Option<Batch>>;

impl Turns {
    /// Waits for a turn to write.
    pub(super) async fn next(&self) -> Result<Turn<'_>, StoreError> {
        let _waiting = Waiting::begin(&self.waiting);
        let turn = tokio::time::timeout(ACQUIRE_TIMEOUT, self.left_open.lock()).await;
        turn.map_err(|_elapsed| StoreError::Busy)
    }

    /// Waits for a turn behind all that wait by now, to see what became of a batch.
    pub(super) async fn again(&self) -> Turn<'_> {
        self.left_open.lock().await
    }

    /// Whether a batch is better left open: others wait who can share its commit.
    pub(super) fn is_awaited(&self, batch: &Batch) -> bool {
        batch.n_written < SHARING_MAX && self.waiting.load(Ordering::Acquire) > 0
    }
}

/// Counted among those who wait, until dropped.
struct Waiting<'t>(&'t AtomicUsize);

impl<'t> Waiting<'t> {
    fn begin(waiting: &'t AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// An open transaction, with what was written in it so far.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(super) conn: WriteConnection,
    pub(super) changes: Vec<Pending>,
    pub(super) n_written: usize,
    pub(super) outcome: Outcome,
}

impl Batch {
    pub(super) fn begin(conn: WriteConnection) -> Self {
        Self { conn, changes: Vec::new(), n_written: 0, outcome: Outcome::default() }
    }
}

/// What became of a batch, for all who wrote in it.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome(Arc<OnceLock<Result<(), Failure>>>);

/// Why nothing of a batch was kept; an error itself cannot be told twice.
#[derive(Debug, Clone, Copy)]
enum Failure {
    Full,
    Busy,
    Other,
}

impl Outcome {
    pub(super) fn is_of(&self, batch: &Batch) -> bool {
        Arc::ptr_eq(&self.0, &batch.outcome.0)
    }

    pub(super) fn succeed(&self) {
        // Told once: by who took the batch out.
        let _first = self.0.set(Ok(()));
    }

    pub(super) fn fail(&self, error: &StoreError) {
        let failure = match error {
            StoreError::Full => Failure::Full,
            StoreError::Busy | StoreError::Unreachable(_) => Failure::Busy,
            _ => Failure::Other,
        };
        let _first = self.0.set(Err(failure));
    }

    /// None while the batch is open; interrupted where its writer ended in a panic is for the caller to say.
    pub(super) fn told(&self) -> Option<Result<(), StoreError>> {
        self.0.get().map(|outcome| {
            outcome.map_err(|failure| match failure {
                Failure::Full => StoreError::Full,
                Failure::Busy => StoreError::Busy,
                Failure::Other => StoreError::Interrupted,
            })
        })
    }
}
