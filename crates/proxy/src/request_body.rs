//! The body of a request on its way to the app: streamed, and with `Expect: 100-continue` not begun before the app says so.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Sleep;

use crate::headers;

/// How long an app may keep us waiting for `100 Continue`. Many never send it; curl waits this long too.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// What the app reads.
#[derive(Debug)]
pub(crate) enum RequestBody {
    /// Nothing.
    Empty,
    /// What the client sends, as it comes.
    Client(Incoming),
    /// The same, once the gate opens. Polling the client's body is what makes hyper send it `100 Continue`.
    Awaited { body: Incoming, gate: Gate, wait: Pin<Box<Sleep>> },
}

impl RequestBody {
    /// A body that begins when `gate` opens, or after the wait that RFC 9110 §10.1.1 allows.
    pub(crate) fn awaited(body: Incoming, gate: Gate) -> Self {
        Self::Awaited { body, gate, wait: Box::pin(tokio::time::sleep(CONTINUE_WAIT)) }
    }
}

/// Opened once, by the app's `100 Continue`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gate(Arc<GateState>);

#[derive(Debug, Default)]
struct GateState {
    is_open: AtomicBool,
    waker: AtomicWaker,
}

impl Gate {
    pub(crate) fn open(&self) {
        self.0.is_open.store(true, Ordering::Release);
        self.0.waker.wake();
    }

    fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        self.0.waker.register(cx.waker());
        if self.0.is_open.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let polled = match self.get_mut() {
            Self::Empty => return Poll::Ready(None),
            Self::Client(body) => Pin::new(body).poll_frame(cx),
            Self::Awaited { body, gate, wait } => {
                if gate.poll_open(cx).is_pending() {
                    std::task::ready!(wait.as_mut().poll(cx));
                    gate.open();
                }
                Pin::new(body).poll_frame(cx)
            }
        };
        polled.map(|frame| frame.map(|frame| frame.map(without_ours)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(body) | Self::Awaited { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(body) | Self::Awaited { body, .. } => body.size_hint(),
        }
    }
}

/// Trailers are headers that come late, and get the same treatment.
fn without_ours(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_trailers() {
        Ok(mut trailers) => {
            headers::prepare_trailers(&mut trailers);
            Frame::trailers(trailers)
        }
        Err(data) => data,
    }
}
