//! What a connection's bytes and its requests know of each other.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use tokio::sync::Notify;

/// One connection, as seen from both ends: whoever moves its bytes, and whoever answers its requests.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// Whether it speaks HTTP/2, which can be told that the connection is to end; HTTP/1.1 only hears it with an answer.
    is_http2: AtomicBool,
    heard_http2: Notify,
    /// Whether it speaks no HTTP any more.
    has_switched: AtomicBool,
    n_begun: AtomicU32,
    n_open: AtomicU32,
}

impl Wire {
    /// Its preface came.
    pub(super) fn hear_http2(&self) {
        self.is_http2.store(true, Ordering::Relaxed);
        self.heard_http2.notify_waiters();
    }

    /// Waits for the preface of HTTP/2.
    pub(super) async fn http2(&self) {
        let mut heard = pin!(self.heard_http2.notified());
        // Before the look, so that nothing is missed in between.
        heard.as_mut().enable();
        if !self.is_http2.load(Ordering::Relaxed) {
            heard.await;
        }
    }

    /// The head of a request is there whole.
    pub(super) fn begin_request(&self) {
        self.n_begun.fetch_add(1, Ordering::Relaxed);
        self.n_open.fetch_add(1, Ordering::Relaxed);
    }

    /// The answer has ended.
    pub(super) fn end_request(&self) {
        self.n_open.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many requests there were; where it is the same as before, there was none.
    pub(super) fn n_begun(&self) -> u32 {
        self.n_begun.load(Ordering::Relaxed)
    }

    /// Whether no request waits for the end of its answer.
    pub(super) fn is_idle(&self) -> bool {
        self.n_open.load(Ordering::Relaxed) == 0
    }

    /// The answer is that of a switch.
    pub(super) fn switch(&self) {
        self.has_switched.store(true, Ordering::Relaxed);
    }

    pub(super) fn has_switched(&self) -> bool {
        self.has_switched.load(Ordering::Relaxed)
    }
}
