//! The body of a call, whose client must not go silent in the middle of it.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use limits::Stall;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What a client sends; it breaks off where nothing comes for too long.
#[derive(Debug)]
pub(super) struct Upload {
    body: Incoming,
    stall: Stall,
    stall_timeout: Duration,
}

impl Upload {
    pub(super) fn new(body: Incoming, stall_timeout: Duration) -> Self {
        Self { body, stall: Stall::default(), stall_timeout }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) {
            this.stall.clear();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        ready!(this.stall.poll(cx, this.stall_timeout));
        let words = "the request's body did not go on (Proxy.StallTimeout)";
        Poll::Ready(Some(Err(io::Error::new(io::ErrorKind::TimedOut, words).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
