//! The shutdown ladder: stop accepting, drain for the grace period, cancel, report what was left.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::scope::{TaskScope, TasksLeft};

/// One process's way down. Clones are handles to the same ladder.
///
/// Listeners watch [`Ladder::accepting`]; work in progress watches the scope's own token.
#[derive(Clone, Debug)]
pub struct Ladder {
    work: TaskScope,
    accepting: CancellationToken,
}

/// How a descent ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LadderReport {
    /// True if all work ended within the grace period, before anything was cancelled.
    pub drained: bool,
    /// What was left at the very end.
    pub left: TasksLeft,
}

impl Ladder {
    /// A ladder for the work in `work`, which is cancelled on the last rung.
    pub fn new(work: TaskScope) -> Self {
        // Below the scope's token: cancelling the scope outright also stops the listeners.
        let accepting = work.token().child_token();
        Self { work, accepting }
    }

    /// Cancelled on the first rung: listeners stop, keep-alive connections finish their request.
    pub fn accepting(&self) -> CancellationToken {
        self.accepting.clone()
    }

    /// False from the first rung on; the health page answers 503 then.
    pub fn is_ready(&self) -> bool {
        !self.accepting.is_cancelled()
    }

    /// Goes down: drains for at most `grace`, then cancels and waits at most `bound`.
    ///
    /// `hurry` ends the draining early (a second Ctrl-C).
    pub async fn descend(
        &self,
        grace: Duration,
        bound: Duration,
        hurry: impl Future<Output = ()>,
    ) -> LadderReport {
        self.accepting.cancel();
        let drained = tokio::select! {
            left = self.work.idle(grace) => left.names.is_empty(),
            () = hurry => false,
        };
        let left = self.work.shutdown(bound).await;
        if !left.names.is_empty() {
            tracing::warn!(tasks = ?left.names, "tasks did not end in time");
        }
        LadderReport { drained, left }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn work_that_ends_in_the_grace_period_is_not_cancelled() {
        let scope = TaskScope::new("test");
        let ladder = Ladder::new(scope.clone());
        let accepting = ladder.accepting();
        scope.spawn("listener", async move { accepting.cancelled().await });
        assert!(ladder.is_ready());
        let report = ladder.descend(LONG, LONG, std::future::pending()).await;
        assert!(report.drained && report.left.is_clean() && !ladder.is_ready());
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_outlives_the_grace_period_is_cancelled() {
        let scope = TaskScope::new("test");
        scope.spawn_cancellable("stream", std::future::pending());
        let report = Ladder::new(scope).descend(LONG, LONG, std::future::pending()).await;
        assert!(!report.drained && report.left.is_clean());
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_the_grace_period() {
        let scope = TaskScope::new("test");
        scope.spawn_cancellable("stream", std::future::pending());
        let before = tokio::time::Instant::now();
        Ladder::new(scope).descend(LONG, LONG, std::future::ready(())).await;
        assert!(before.elapsed() < LONG);
    }
}
