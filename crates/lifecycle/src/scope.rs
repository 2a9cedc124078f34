//! The owner of tasks: names them, reports their panics, cancels and joins them.
//!
//! Invariant: a task counts in its own scope and in every ancestor from the moment `spawn` returns
//! until its future is dropped, so "empty" means that nothing of the scope runs any more.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::Instrument;

/// Owns a group of tasks; clones are handles to the same group.
///
/// Dropping the last handle neither cancels nor waits: call [`TaskScope::shutdown`].
#[derive(Clone)]
pub struct TaskScope {
    group: Arc<Group>,
    cancel: CancellationToken,
}

struct Group {
    /// Names from the root to here, joined by dots: `controller.tunnels`.
    path: String,
    tracker: TaskTracker,
    live: Mutex<BTreeMap<u64, Arc<str>>>,
    n_spawned: AtomicU64,
    n_panicked: AtomicU64,
    parent: Option<Arc<Group>>,
}

/// What a scope still held when its time was up; empty after a clean shutdown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TasksLeft {
    /// Full names (`scope.task`) of tasks that had not ended.
    pub names: Vec<String>,
    /// How many tasks of the scope panicked during its whole life.
    pub n_panicked: u64,
}

impl TasksLeft {
    /// True if every task ended and none panicked.
    pub fn is_clean(&self) -> bool {
        self.names.is_empty() && self.n_panicked == 0
    }
}

impl TaskScope {
    /// A root scope, one per process or per test.
    pub fn new(name: &str) -> Self {
        Self { group: Group::new(name.to_owned(), None), cancel: CancellationToken::new() }
    }

    /// A scope below this one: cancelled with it, waited for by it, and it can be shut down alone.
    pub fn child(&self, name: &str) -> Self {
        let path = format!("{}.{name}", self.group.path);
        Self {
            group: Group::new(path, Some(Arc::clone(&self.group))),
            cancel: self.cancel.child_token(),
        }
    }

    /// Starts a task that ends by itself, or watches [`TaskScope::token`] to end when asked.
    ///
    /// A panic is logged as an error with the task's name and counted; it does not spread.
    /// The handle is only needed to wait for this one task; dropping it changes nothing.
    pub fn spawn<F>(&self, name: &str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.start(name, Box::pin(task))
    }

    /// Starts a task that may be dropped at any await point once the scope is cancelled.
    pub fn spawn_cancellable<F>(&self, name: &str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let token = self.cancel.clone();
        let task = Box::pin(task);
        self.start(name, async move {
            token.run_until_cancelled_owned(task).await;
        })
    }

    /// The future is a small one: each that it is wrapped in here keeps room for it twice.
    fn start<F>(&self, name: &str, task: F) -> JoinHandle<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let membership = Membership::enter(&self.group, name);
        // Entered and left at every poll, which a busy connection would pay for in each log of the usual level.
        let span = tracing::debug_span!("task", task.name = %membership.name);
        tokio::spawn(
            async move {
                if let Err(panic) = AssertUnwindSafe(task).catch_unwind().await {
                    membership.report_panic(&panic_text(panic.as_ref()));
                }
            }
            .instrument(span),
        )
    }

    /// The token that is cancelled when this scope or an ancestor is.
    pub fn token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Asks every task below to end; returns at once.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// True once this scope or an ancestor was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancel.is_cancelled()
    }

    /// Number of tasks that have not ended, of this scope and those below.
    pub fn n_live(&self) -> usize {
        self.group.live().len()
    }

    /// Waits until no task is left, at most `bound`, without cancelling anything.
    ///
    /// New tasks may still be spawned meanwhile. Cancel-safe.
    pub async fn idle(&self, bound: Duration) -> TasksLeft {
        self.group.tracker.close();
        let ended = tokio::time::timeout(bound, self.group.tracker.wait()).await.is_ok();
        let names = if ended {
            Vec::new()
        } else {
            self.group.live().values().map(|name| name.to_string()).collect()
        };
        TasksLeft { names, n_panicked: self.group.n_panicked.load(Ordering::Relaxed) }
    }

    /// Cancels everything below, waits at most `bound`, and says what was left.
    pub async fn shutdown(&self, bound: Duration) -> TasksLeft {
        self.cancel();
        self.idle(bound).await
    }
}

impl fmt::Debug for TaskScope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskScope")
            .field("path", &self.group.path)
            .field("n_live", &self.n_live())
            .field("is_cancelled", &self.is_cancelled())
            .finish()
    }
}

impl Group {
    fn new(path: String, parent: Option<Arc<Self>>) -> Arc<Self> {
        Arc::new(Self {
            path,
            tracker: TaskTracker::new(),
            live: Mutex::default(),
            n_spawned: AtomicU64::new(0),
            n_panicked: AtomicU64::new(0),
            parent,
        })
    }

    /// A poisoned lock is taken as is: the map holds only names for reports.
    fn live(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<str>>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One task's place in its scope and in every ancestor; gives all of them up when dropped.
struct Membership {
    name: Arc<str>,
    /// Own group first, root last, each with the number the task has there.
    places: Vec<(Arc<Group>, u64, TaskTrackerToken)>,
}

impl Membership {
    fn enter(group: &Arc<Group>, task: &str) -> Self {
        let name: Arc<str> = format!("{}.{task}", group.path).into();
        let mut places = Vec::new();
        let mut next = Some(Arc::clone(group));
        while let Some(group) = next {
            let number = group.n_spawned.fetch_add(1, Ordering::Relaxed);
            group.live().insert(number, Arc::clone(&name));
            let token = group.tracker.token();
            next = group.parent.clone();
            places.push((group, number, token));
        }
        Self { name, places }
    }

    fn report_panic(&self, text: &str) {
        for (group, _, _) in &self.places {
            group.n_panicked.fetch_add(1, Ordering::Relaxed);
        }
        tracing::error!(task.name = %self.name, panic = text, "task panicked");
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        for (group, number, _) in &self.places {
            group.live().remove(number);
        }
    }
}

/// The message of a panic, which is a string in all but hand-made cases.
fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "panic without a message".to_owned()
    }
}

#[cfg(test)]
mod tests;
