//! A deadline that runs while somebody is waited for.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How long a peer has been waited for without any progress. Small while nobody waits; one timer is kept and moved.
#[derive(Debug, Default)]
pub struct Stall {
    timer: Option<Pin<Box<Sleep>>>,
    since: Option<Instant>,
}

impl Stall {
    /// There is progress, or nothing to wait for.
    pub fn clear(&mut self) {
        self.since = None;
    }

    /// There is something to wait for. Ready once that has been so for `bound`, counted from the first call after
    /// [`Stall::clear`]; until then the task is woken in time.
    pub fn poll(&mut self, cx: &mut Context<'_>, bound: Duration) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        let ends = since + bound;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends)));
        // Left as it is where it comes too early, for an earlier wait: it is moved when it has come.
        while timer.as_mut().poll(cx).is_ready() {
            if timer.deadline() >= ends {
                return Poll::Ready(());
            }
            timer.as_mut().reset(ends);
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn only_a_wait_without_progress_is_a_stall() {
        let mut stall = Stall::default();
        let begin = Instant::now();
        for _ in 0..5 {
            let waiting =
                tokio::time::timeout(Duration::from_secs(9), poll_fn(|cx| stall.poll(cx, BOUND)));
            assert!(waiting.await.is_err());
            stall.clear();
        }
        // Nobody waits for a while.
        tokio::time::sleep(Duration::from_secs(100)).await;
        poll_fn(|cx| stall.poll(cx, BOUND)).await;
        assert_eq!(begin.elapsed(), Duration::from_secs(5 * 9 + 100 + 10));
    }
}
