//! From the task of a connection to whoever sends its request on: one frame of a body at a time.
//!
//! Nothing is read before somebody wants it, and no more than one frame waits: what an app does not take stays with
//! the client. Both ends may live in one task, or the outlet in another, where an answer began before its request ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::Frame;

use super::ClientBodyError;

type Item = Result<Frame<Bytes>, ClientBodyError>;

/// A pipe for a body; `length` where it is known.
pub(crate) fn pipe(length: Option<u64>) -> (Inlet, Outlet) {
    let shared = Arc::<Shared>::default();
    (Inlet(Arc::clone(&shared)), Outlet { shared, n_left: length, is_over: false })
}

/// Owner of all state; a short lock, never held across an await.
#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    waiting: Option<Item>,
    /// Nothing follows what waits.
    is_over: bool,
    /// Somebody has asked for the body.
    is_wanted: bool,
    is_outlet_gone: bool,
    /// Who waits for room, for the wish, or for the outlet's end.
    giver: Option<Waker>,
    /// Who waits for a frame.
    taker: Option<Waker>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where frames go in. Dropped early, it breaks the body off.
#[derive(Debug)]
pub(crate) struct Inlet(Arc<Shared>);

/// Where frames come out.
#[derive(Debug)]
pub(crate) struct Outlet {
    shared: Arc<Shared>,
    /// Bytes that were not given yet, where their number is known.
    n_left: Option<u64>,
    is_over: bool,
}

/// What becomes of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    Free,
    /// Nobody will ever take it.
    Gone,
}

impl Inlet {
    /// Waits until a frame is wanted and finds room.
    pub(crate) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Room> {
        let mut state = self.0.state();
        if state.is_outlet_gone {
            return Poll::Ready(Room::Gone);
        }
        if state.is_wanted && state.waiting.is_none() {
            return Poll::Ready(Room::Free);
        }
        register(&mut state.giver, cx);
        Poll::Pending
    }

    /// Whether nobody will ever take anything more.
    pub(crate) fn is_unwanted(&self) -> bool {
        self.0.state().is_outlet_gone
    }

    /// Gives a frame to a pipe with room. `is_last`: nothing follows it.
    pub(crate) fn give(&self, frame: Frame<Bytes>, is_last: bool) {
        self.put(Some(Ok(frame)), is_last);
    }

    /// The body is over.
    pub(crate) fn end(&self) {
        self.put(None, true);
    }

    /// The body broke off.
    pub(crate) fn fail(&self, error: ClientBodyError) {
        self.put(Some(Err(error)), true);
    }

    fn put(&self, item: Option<Item>, is_last: bool) {
        let mut state = self.0.state();
        if item.is_some() {
            state.waiting = item;
        }
        state.is_over |= is_last;
        let taker = state.taker.take();
        drop(state);
        wake(taker);
    }
}

impl Drop for Inlet {
    fn drop(&mut self) {
        if !self.0.state().is_over {
            self.fail(ClientBodyError::BrokenOff);
        }
    }
}

impl Outlet {
    pub(crate) fn is_over(&self) -> bool {
        self.is_over
    }

    pub(crate) fn n_left(&self) -> Option<u64> {
        self.n_left
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        let mut state = self.shared.state();
        let item = state.waiting.take();
        self.is_over = state.is_over;
        let was_wanted = std::mem::replace(&mut state.is_wanted, true);
        if item.is_none() && !self.is_over {
            register(&mut state.taker, cx);
        }
        let giver = if item.is_some() || !was_wanted { state.giver.take() } else { None };
        drop(state);
        wake(giver);
        match item {
            None if self.is_over => Poll::Ready(None),
            None => Poll::Pending,
            Some(item) => {
                if let (Some(left), Ok(frame)) = (&mut self.n_left, &item) {
                    *left =
                        left.saturating_sub(frame.data_ref().map_or(0, |data| data.len() as u64));
                }
                Poll::Ready(Some(item))
            }
        }
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.is_outlet_gone = true;
        state.waiting = None;
        let giver = state.giver.take();
        drop(state);
        wake(giver);
    }
}

fn register(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

/// Outside the lock: whoever is woken may look at once.
fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn data(text: &'static str) -> Frame<Bytes> {
        Frame::data(Bytes::from_static(text.as_bytes()))
    }

    fn text(item: Option<Item>) -> Option<Bytes> {
        item.map(|item| item.unwrap().into_data().unwrap())
    }

    #[tokio::test]
    async fn a_frame_waits_until_it_is_wanted_and_taken() {
        let (inlet, mut outlet) = pipe(Some(5));
        let mut nobody = Context::from_waker(Waker::noop());
        assert!(inlet.poll_room(&mut nobody).is_pending(), "nobody has asked");
        assert!(outlet.poll_frame(&mut nobody).is_pending());
        assert_eq!(inlet.poll_room(&mut nobody), Poll::Ready(Room::Free));
        inlet.give(data("abc"), false);
        assert!(inlet.poll_room(&mut nobody).is_pending(), "one at a time");
        let taking = tokio::spawn(async move {
            let mut got = Vec::new();
            while let Some(data) = text(poll_fn(|cx| outlet.poll_frame(cx)).await) {
                got.push((data, outlet.n_left(), outlet.is_over()));
            }
            got
        });
        assert_eq!(poll_fn(|cx| inlet.poll_room(cx)).await, Room::Free);
        inlet.give(data("de"), true);
        let got = taking.await.unwrap();
        assert_eq!(got[0], (Bytes::from("abc"), Some(2), false));
        assert_eq!(got[1], (Bytes::from("de"), Some(0), true));
        assert_eq!(poll_fn(|cx| inlet.poll_room(cx)).await, Room::Gone);
    }

    #[tokio::test]
    async fn an_inlet_that_goes_before_the_end_breaks_the_body_off() {
        let (inlet, mut outlet) = pipe(None);
        drop(inlet);
        let broken = poll_fn(|cx| outlet.poll_frame(cx)).await;
        assert!(matches!(broken, Some(Err(ClientBodyError::BrokenOff))));
        assert!(poll_fn(|cx| outlet.poll_frame(cx)).await.is_none());
        let (inlet, mut outlet) = pipe(None);
        inlet.end();
        drop(inlet);
        assert!(poll_fn(|cx| outlet.poll_frame(cx)).await.is_none());
    }
}
