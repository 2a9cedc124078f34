//! One stream of HTTP/2: ended alone where its client takes nothing of it.
//!
//! A client opens and closes the window of each stream as it likes (RFC 9113 section 5.2), so a stream can stand still
//! while its connection is in good order. What then waits is the task that hyper runs for the stream. It is wrapped
//! here: it ends when the body has given data, and nobody came for more in time. Its end resets the stream.

use hyper::rt::Executor;
use hyper_util::rt::TokioExecutor;
use limits::Stall;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

tokio::task_local! {
    /// The stream that the current task is for.
    static STREAM: Arc<Stream>;
}

/// How far the body of a stream's answer is.
#[derive(Debug, Default)]
pub(super) struct Stream {
    n_given: AtomicU32,
    is_given: AtomicBool,
}

impl Stream {
    /// The stream of the task that is running, where it is one's.
    pub(super) fn current() -> Option<Arc<Self>> {
        STREAM.try_with(Arc::clone).ok()
    }

    /// The body gave data, which is on its way until somebody comes for more.
    pub(super) fn give(&self) {
        self.n_given.fetch_add(1, Ordering::Relaxed);
        self.is_given.store(true, Ordering::Relaxed);
    }

    /// Somebody came for more.
    pub(super) fn come(&self) {
        self.is_given.store(false, Ordering::Relaxed);
    }
}

/// Runs the tasks of one connection's streams.
#[derive(Debug, Clone)]
pub(super) struct StreamExecutor {
    pub(super) stall_timeout: Duration,
}

impl<F> Executor<F> for StreamExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, work: F) {
        let stream = Arc::<Stream>::default();
        let watched = Watched {
            work: Box::pin(STREAM.scope(Arc::clone(&stream), work)),
            stream,
            n_given_seen: 0,
            stall: Stall::default(),
            stall_timeout: self.stall_timeout,
        };
        TokioExecutor::new().execute(watched);
    }
}

/// A stream's task, until it is done or its client stalls.
struct Watched<F> {
    work: Pin<Box<F>>,
    stream: Arc<Stream>,
    n_given_seen: u32,
    stall: Stall,
    stall_timeout: Duration,
}

impl<F: Future<Output = ()>> Future for Watched<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if this.work.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let n_given = this.stream.n_given.load(Ordering::Relaxed);
        let is_given = this.stream.is_given.load(Ordering::Relaxed);
        if !is_given || n_given != this.n_given_seen {
            this.stall.clear();
            this.n_given_seen = n_given;
        }
        if is_given && this.stall.poll(cx, this.stall_timeout).is_ready() {
            tracing::debug!("a stream was reset: its client takes nothing");
            return Poll::Ready(());
        }
        Poll::Pending
    }
}
