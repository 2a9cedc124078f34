//! What a client sends behind the head of a request: read by hyper, or by our own server.

pub(crate) mod pipe;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http1::Problem;
use hyper::body::Incoming;

use pipe::Outlet;

/// The body of a client's request.
#[derive(Debug, Default)]
pub struct ClientBody(Kind);

#[derive(Debug, Default)]
enum Kind {
    /// None, or all of it was given.
    #[default]
    Empty,
    /// All of it came with the head.
    Whole(Bytes),
    /// Still to come.
    Piped(Outlet),
    Hyper(Incoming),
}

/// Why a client's body broke off.
#[derive(Debug, thiserror::Error)]
pub enum ClientBodyError {
    /// The connection ended before the body did.
    #[error("the connection ended in the middle of the body")]
    BrokenOff,
    /// It is no chunked body.
    #[error("the body breaks the rules of HTTP")]
    Malformed(#[source] Problem),
    /// As hyper says.
    #[error("the body cannot be read")]
    Hyper(#[source] hyper::Error),
}

impl ClientBody {
    pub(crate) fn whole(bytes: Bytes) -> Self {
        if bytes.is_empty() { Self::default() } else { Self(Kind::Whole(bytes)) }
    }

    pub(crate) fn piped(outlet: Outlet) -> Self {
        Self(Kind::Piped(outlet))
    }
}

impl From<Incoming> for ClientBody {
    fn from(body: Incoming) -> Self {
        Self(Kind::Hyper(body))
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = ClientBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ClientBodyError>>> {
        let this = self.get_mut();
        match &mut this.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Whole(bytes) => {
                let bytes = std::mem::take(bytes);
                this.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Piped(outlet) => outlet.poll_frame(cx),
            Kind::Hyper(body) => Pin::new(body)
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(ClientBodyError::Hyper))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Whole(_) => false,
            Kind::Piped(outlet) => outlet.is_over(),
            Kind::Hyper(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Piped(outlet) => {
                outlet.n_left().map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Kind::Hyper(body) => body.size_hint(),
        }
    }
}
