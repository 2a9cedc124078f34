//! The body of a request on its way to the app: streamed, with `Expect: 100-continue` not begun before the app says so,
//! and given up where the client falls silent in the middle of it.

pub(crate) mod call;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body, Frame, SizeHint};
use limits::Stall;
use tokio::time::Sleep;

use crate::client_body::{ClientBody, ClientBodyError};
use crate::headers;
use crate::traffic::PortTraffic;

/// How long an app may keep us waiting for `100 Continue`. Many never send it; curl waits this long too.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// What the app reads.
#[derive(Debug)]
pub(crate) struct RequestBody {
    source: Source,
    stall: Stall,
    /// How long the client may send nothing; `None` where that is nobody's concern but the app's.
    stall_timeout: Option<Duration>,
    /// Where its bytes are counted; none where there are none.
    traffic: Option<Arc<PortTraffic>>,
}

#[derive(Debug)]
enum Source {
    /// Nothing.
    Empty,
    /// What the client sends, as it comes.
    Client(ClientBody),
    /// The same, once the app says so or the wait that RFC 9110 §10.1.1 allows is over. Polling the client's body is
    /// what makes the server send it `100 Continue`.
    Awaited { body: ClientBody, wait: Pin<Box<Sleep>> },
}

/// Why the body of a request broke off.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestBodyError {
    #[error("the client broke the request off")]
    Client(#[source] ClientBodyError),
    #[error("the client sent nothing more of the request")]
    Stalled,
}

impl RequestBody {
    /// Nothing.
    pub(crate) fn empty() -> Self {
        Self { source: Source::Empty, stall: Stall::default(), stall_timeout: None, traffic: None }
    }

    /// The client's body; held back where the client waits for `100 Continue`, so that the app decides.
    pub(crate) fn of(
        headers: &HeaderMap,
        body: ClientBody,
        stall_timeout: Duration,
        traffic: &Arc<PortTraffic>,
    ) -> Self {
        if body.is_end_stream() {
            return Self::empty();
        }
        let expects = headers.get(EXPECT).map(|value| value.as_bytes());
        let source = match expects {
            Some(value) if value.eq_ignore_ascii_case(b"100-continue") => {
                Source::Awaited { body, wait: Box::pin(tokio::time::sleep(CONTINUE_WAIT)) }
            }
            _ => Source::Client(body),
        };
        let (stall_timeout, traffic) = (Some(stall_timeout), Some(Arc::clone(traffic)));
        Self { source, stall: Stall::default(), stall_timeout, traffic }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        matches!(self.source, Source::Empty)
    }

    /// Whether the client still waits for the app's word.
    pub(crate) fn is_awaited(&self) -> bool {
        matches!(self.source, Source::Awaited { .. })
    }

    /// The app has given its word.
    pub(crate) fn go_on(&mut self) {
        if let Source::Awaited { body, .. } = std::mem::replace(&mut self.source, Source::Empty) {
            self.source = Source::Client(body);
        }
    }

    /// The app's answer has begun. From now on a body without a length is a stream beside the answer, and may be silent.
    pub(crate) fn may_stream(&mut self) {
        if self.size_hint().exact().is_none() {
            self.stall_timeout = None;
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = self.get_mut();
        if let Source::Awaited { wait, .. } = &mut this.source {
            ready!(wait.as_mut().poll(cx));
            this.go_on();
        }
        let Source::Client(body) = &mut this.source else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                this.stall.clear();
                count(this.traffic.as_deref(), frame.as_ref());
                let frame = frame.map(|frame| frame.map(without_ours));
                Poll::Ready(frame.map(|frame| frame.map_err(RequestBodyError::Client)))
            }
            Poll::Pending => {
                let Some(bound) = this.stall_timeout else { return Poll::Pending };
                ready!(this.stall.poll(cx, bound));
                Poll::Ready(Some(Err(RequestBodyError::Stalled)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Client(body) | Source::Awaited { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Client(body) | Source::Awaited { body, .. } => body.size_hint(),
        }
    }
}

/// Counts the bytes of a frame.
fn count(traffic: Option<&PortTraffic>, frame: Option<&Result<Frame<Bytes>, ClientBodyError>>) {
    if let (Some(traffic), Some(Ok(frame))) = (traffic, frame)
        && let Some(data) = frame.data_ref()
    {
        traffic.add_in(data.len());
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
