//! The body of a gRPC call on its way to the app: ends when the call's answer does.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};

use super::{count, without_ours};
use crate::client_body::{ClientBody, ClientBodyError};
use crate::traffic::PortTraffic;

/// What the app reads of a call.
#[derive(Debug)]
pub(crate) enum CallBody {
    /// Nothing.
    Empty,
    /// What the client sends, until the gate says that the answer is over.
    Client { body: ClientBody, over: Gate, traffic: Arc<PortTraffic> },
}

/// Why the body of a call broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallBodyError {
    #[error("the client broke the request off")]
    Client(#[source] ClientBodyError),
    /// The reset code that the app gets is in the source.
    #[error("the answer was over before the request")]
    Over(#[source] h2::Error),
}

impl CallBody {
    pub(crate) fn of(body: ClientBody, traffic: &Arc<PortTraffic>) -> Self {
        if body.is_end_stream() {
            Self::Empty
        } else {
            Self::Client { body, over: Gate::default(), traffic: Arc::clone(traffic) }
        }
    }
}

/// Opened once, by the end of a call's answer.
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

impl Body for CallBody {
    type Data = Bytes;
    type Error = CallBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CallBodyError>>> {
        let Self::Client { body, over, traffic } = self.get_mut() else {
            return Poll::Ready(None);
        };
        if over.poll_open(cx).is_ready() {
            let reason = h2::Error::from(h2::Reason::CANCEL);
            return Poll::Ready(Some(Err(CallBodyError::Over(reason))));
        }
        let polled = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(frame) = &polled {
            count(Some(traffic), frame.as_ref());
        }
        polled
            .map(|frame| frame.map(|frame| frame.map(without_ours).map_err(CallBodyError::Client)))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client { body, .. } => body.size_hint(),
        }
    }
}
