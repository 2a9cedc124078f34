//! The end of a grant, and the streams that wait for it.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use slab::Slab;

use super::Grant;

/// Comes once, for all who wait.
#[derive(Debug, Default)]
pub(super) struct End {
    has_come: AtomicBool,
    waiting: Mutex<Slab<Waker>>,
}

impl End {
    pub(super) fn has_come(&self) -> bool {
        self.has_come.load(Ordering::Acquire)
    }

    pub(super) fn come(&self) {
        self.has_come.store(true, Ordering::Release);
        let waiting: Vec<Waker> = self.waiting().drain().collect();
        waiting.into_iter().for_each(Waker::wake);
    }

    /// A poisoned lock is taken as is: wakers cannot be half there.
    fn waiting(&self) -> MutexGuard<'_, Slab<Waker>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Resolves when the stream that holds it may not go on. Costs nothing until it is polled.
#[derive(Debug)]
pub(crate) struct Revoked {
    grant: Arc<Grant>,
    /// Its place among those who wait, and the waker there.
    place: Option<(usize, Waker)>,
}

impl Revoked {
    pub(crate) fn of(grant: &Arc<Grant>) -> Self {
        Self { grant: Arc::clone(grant), place: None }
    }
}

impl Future for Revoked {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Some((_, waker)) = &this.place
            && waker.will_wake(cx.waker())
        {
            return if this.grant.end.has_come() { Poll::Ready(()) } else { Poll::Pending };
        }
        let mut waiting = this.grant.end.waiting();
        // Looked at under the lock: the end comes before it, or finds the waker.
        if this.grant.end.has_come() {
            return Poll::Ready(());
        }
        let waker = cx.waker().clone();
        let at = match &this.place {
            Some((at, _)) => {
                waiting[*at] = waker.clone();
                *at
            }
            None => waiting.insert(waker.clone()),
        };
        drop(waiting);
        this.place = Some((at, waker));
        Poll::Pending
    }
}

impl Drop for Revoked {
    fn drop(&mut self) {
        if let Some((at, _)) = self.place {
            // Gone already where the end has come.
            let _waker = self.grant.end.waiting().try_remove(at);
        }
    }
}
