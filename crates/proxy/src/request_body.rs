//! The body of a request on its way to the app: streamed, and with `Expect: 100-continue` not begun before the app says so.

pub(crate) mod call;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
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
    /// The same, once the app says so or the wait that RFC 9110 §10.1.1 allows is over. Polling the client's body is
    /// what makes hyper send it `100 Continue`.
    Awaited { body: Incoming, wait: Pin<Box<Sleep>> },
}

impl RequestBody {
    /// The client's body; held back where the client waits for `100 Continue`, so that the app decides.
    pub(crate) fn of(headers: &HeaderMap, body: Incoming) -> Self {
        if body.is_end_stream() {
            return Self::Empty;
        }
        let expects = headers.get(EXPECT).map(|value| value.as_bytes());
        if expects.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue")) {
            return Self::Awaited { body, wait: Box::pin(tokio::time::sleep(CONTINUE_WAIT)) };
        }
        Self::Client(body)
    }

    /// Whether the client still waits for the app's word.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self, Self::Awaited { .. })
    }

    /// The app has given its word.
    pub(crate) fn go_on(&mut self) {
        if let Self::Awaited { body, .. } = std::mem::replace(self, Self::Empty) {
            *self = Self::Client(body);
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        if let Self::Awaited { wait, .. } = this {
            ready!(wait.as_mut().poll(cx));
            this.go_on();
        }
        let Self::Client(body) = this else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(cx);
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
