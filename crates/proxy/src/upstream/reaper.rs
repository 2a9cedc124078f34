//! The task that closes what a pool has kept idle for too long. It runs while anything is in the pool.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use super::Task;

/// Idle connections are looked at this often at most.
const PERIOD_MIN: Duration = Duration::from_millis(10);

/// Sees to it that a task calls `prune` twice in every `idle_timeout` until nothing is left; false outside a runtime.
///
/// The task holds no pool alive.
pub(super) fn ensure<P: Send + Sync + 'static>(
    reaper: &mut Option<Task>,
    pool: &Arc<P>,
    idle_timeout: Duration,
    prune: fn(&P) -> bool,
) -> bool {
    if reaper.as_ref().is_some_and(|task| !task.0.is_finished()) {
        return true;
    }
    let Ok(runtime) = Handle::try_current() else { return false };
    let pool = Arc::downgrade(pool);
    let period = (idle_timeout / 2).max(PERIOD_MIN);
    *reaper = Some(Task(runtime.spawn(async move {
        loop {
            tokio::time::sleep(period).await;
            if !pool.upgrade().is_some_and(|pool| prune(&pool)) {
                break;
            }
        }
    })));
    true
}
