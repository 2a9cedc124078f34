//! What the handles and the driver share, and the handles that open and accept streams.
//!
//! The lock is held for short, await-free sections; wakers are called after it is released. On a
//! current-thread runtime it is never contended.

use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::mux::{Mux, set_waker};
use crate::stream::Stream;
use crate::{CloseReason, GoAway, Limits, OpenError, RefuseReason, StreamKind};

/// Called once when the tunnel has ended.
type EndHook = Box<dyn FnOnce() + Send>;

pub(crate) struct Shared {
    state: Mutex<State>,
    ended: watch::Sender<Option<CloseReason>>,
    hooks: Mutex<Vec<EndHook>>,
    limits: Limits,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) mux: Mux,
    driver: Option<Waker>,
    /// The driver was woken and has not run since.
    driver_notified: bool,
}

impl State {
    /// Notes that the driver runs, so that later changes wake it again.
    pub(crate) fn driver_runs(&mut self, waker: &Waker) {
        self.driver_notified = false;
        set_waker(&mut self.driver, waker);
    }

    /// The waker to call if the driver has something to do that it does not know of.
    fn driver_to_wake(&mut self) -> Option<Waker> {
        if self.driver_notified {
            return None;
        }
        self.driver_notified = true;
        self.driver.clone()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("ended", &*self.ended.borrow()).finish_non_exhaustive()
    }
}

impl Shared {
    pub(crate) fn new(mux: Mux, limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(State { mux, driver: None, driver_notified: false }),
            ended: watch::Sender::new(None),
            hooks: Mutex::default(),
            limits,
        })
    }

    /// A panic elsewhere must not take every stream's task with it: the state is kept consistent
    /// by its own methods, so a poisoned lock is used all the same.
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state from a handle, then wakes the driver if there is something to send.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Mux) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state.mux);
        let send = !state.mux.outbox.is_empty() || state.mux.has_waiting();
        let driver = if send { state.driver_to_wake() } else { None };
        drop(state);
        if let Some(driver) = driver {
            driver.wake();
        }
        result
    }

    pub(crate) fn close(&self, reason: CloseReason, goodbye: GoAway) {
        let mut woken = Vec::new();
        self.change(|mux| {
            mux.close(reason, goodbye);
            mux.take_woken(&mut woken);
        });
        woken.into_iter().for_each(Waker::wake);
        self.announce_end();
    }

    /// Tells everybody outside the lock that the tunnel has ended, if it has; once.
    pub(crate) fn announce_end(&self) {
        let Some(reason) = self.lock().mux.end() else { return };
        self.ended.send_if_modified(|ended| ended.replace(reason).is_none());
        let hooks = std::mem::take(&mut *self.hooks.lock().unwrap_or_else(PoisonError::into_inner));
        for hook in hooks {
            hook();
        }
    }

    /// Calls `hook` once the tunnel has ended, at once if it has already.
    pub(crate) fn on_end(&self, hook: EndHook) {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner).push(hook);
        self.announce_end();
    }
}

/// A handle to one end of a tunnel. Clones are the same tunnel; dropping them ends nothing.
#[derive(Debug, Clone)]
pub struct Tunnel {
    pub(crate) shared: Arc<Shared>,
}

impl Tunnel {
    /// Opens a stream; resolves when the peer has accepted it. Dropping the future takes the open
    /// back.
    ///
    /// # Errors
    /// See [`OpenError`]. The wait is bounded by `Limits::open_deadline`.
    pub async fn open(&self, kind: StreamKind) -> Result<Stream, OpenError> {
        let id = self.shared.change(|mux| mux.open(&kind))?;
        // From here on the stream's drop resets it.
        let stream = Stream::new(Arc::clone(&self.shared), id);
        let answer = poll_fn(|cx| self.shared.lock().mux.poll_opened(id, cx.waker()));
        match timeout(self.shared.limits.open_deadline, answer).await {
            Ok(Ok(())) => Ok(stream),
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Err(OpenError::TimedOut),
        }
    }

    /// True once the tunnel has ended, however it did.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.shared.lock().mux.end().is_some()
    }

    /// Why the tunnel ended, once it has.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared.lock().mux.end()
    }

    /// Whether the peer is still there: asks it, and waits for `Limits::life_deadline` at most.
    pub async fn is_answering(&self) -> bool {
        let asked = self.shared.change(|mux| mux.ask_for_life(Instant::now().into_std()));
        let life = poll_fn(|cx| self.shared.lock().mux.poll_life(asked, cx.waker()));
        timeout(self.shared.limits.life_deadline, life).await.unwrap_or(false)
    }

    /// Resolves when the tunnel has ended. Cancel-safe.
    pub async fn closed(&self) -> CloseReason {
        let mut ended = self.shared.ended.subscribe();
        let ended = ended.wait_for(Option::is_some).await;
        // The sender lives in `self.shared`, so the wait cannot fail.
        ended.ok().and_then(|reason| *reason).unwrap_or(CloseReason::DriverStopped)
    }

    /// Ends the tunnel and fails all its streams at once. What was queued is still sent.
    pub fn close(&self) {
        self.close_with(GoAway::Normal);
    }

    /// Like [`Self::close`], telling the peer why.
    pub fn close_with(&self, goodbye: GoAway) {
        self.shared.close(CloseReason::Closed, goodbye);
    }

    /// Streams open now, in both directions.
    #[must_use]
    pub fn n_streams(&self) -> usize {
        self.shared.lock().mux.n_streams()
    }

    /// True if both are handles to the same end of the same tunnel.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

/// The streams the peer asks for. Dropping it refuses those and all later ones.
#[derive(Debug)]
pub struct Incoming {
    pub(crate) shared: Arc<Shared>,
}

impl Incoming {
    /// The next stream the peer asks for; `None` once the tunnel has ended. Cancel-safe.
    pub async fn next(&mut self) -> Option<Request> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Poll form of [`Self::next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Request>> {
        let next = self.shared.lock().mux.poll_incoming(cx.waker());
        next.map(|found| {
            found.map(|(id, kind)| Request { kind, shared: Some(Arc::clone(&self.shared)), id })
        })
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.shared.change(Mux::stop_accepting);
    }
}

/// A stream the peer asks for. Dropped without an answer, it is refused as `Gone`.
#[derive(Debug)]
pub struct Request {
    /// What the peer wants.
    pub kind: StreamKind,
    /// Taken when the request is answered.
    shared: Option<Arc<Shared>>,
    id: u32,
}

impl Request {
    /// Accepts. If the peer has taken the open back meanwhile, the stream is reset already.
    ///
    /// # Panics
    /// Never: a request is answered once, as answering consumes it.
    #[must_use]
    pub fn accept(mut self) -> Stream {
        let shared = self.shared.take().expect("a request is answered once");
        shared.change(|mux| mux.accept(self.id));
        Stream::new(shared, self.id)
    }

    /// Refuses, telling the peer why.
    pub fn refuse(mut self, reason: RefuseReason) {
        self.answer(reason);
    }

    fn answer(&mut self, reason: RefuseReason) {
        if let Some(shared) = self.shared.take() {
            shared.change(|mux| mux.refuse(self.id, reason));
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.answer(RefuseReason::Gone);
    }
}
