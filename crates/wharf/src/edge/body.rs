//! What the edge answers with: a body of either room, without a box around it on the service path.

use super::callers::OpenCall;
use super::connection::OpenRequest;
use super::stream::Stream;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use proxy::ProxyBody;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Over HTTP/2, what is given at once: a frame's usual size. A client that takes this much is no slow one, and one that
/// goes away leaves no more behind.
const STREAM_CHUNK_BYTES: usize = 16 * 1024;

/// Why a body broke off.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// An answer's body, open until it ends.
#[derive(Debug)]
pub(super) struct EdgeBody {
    content: Content,
    stream: Option<Pieces>,
    _open: Option<OpenRequest>,
}

/// A body of the proxy, or of the API and the pages.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most answers are services': a box would be an allocation for each"
)]
pub(super) enum Content {
    Service(ProxyBody),
    Router(RouterBody),
}

/// A body of the API or the pages, whose call is open until it ends.
#[derive(Debug)]
pub(super) struct RouterBody {
    pub(super) body: axum::body::Body,
    pub(super) _open: Option<OpenCall>,
}

/// A body that is given in pieces over HTTP/2.
#[derive(Debug)]
struct Pieces {
    stream: Arc<Stream>,
    rest: Bytes,
}

impl EdgeBody {
    /// `stream`: the stream of HTTP/2 that carries it.
    pub(super) fn new(content: Content, stream: Option<Arc<Stream>>, open: OpenRequest) -> Self {
        let stream = stream.map(|stream| Pieces { stream, rest: Bytes::new() });
        Self { content, stream, _open: Some(open) }
    }
}

impl Content {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Service(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Router(router) => Pin::new(&mut router.body).poll_frame(cx).map_err(Into::into),
        }
    }
}

impl Pieces {
    fn poll(
        &mut self,
        content: &mut Content,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.stream.come();
        if self.rest.is_empty() {
            match ready!(content.poll(cx)).transpose()?.map(Frame::into_data) {
                None => return Poll::Ready(None),
                Some(Err(other)) => return Poll::Ready(Some(Ok(other))),
                Some(Ok(data)) => self.rest = data,
            }
        }
        self.stream.give();
        let piece = self.rest.split_to(self.rest.len().min(STREAM_CHUNK_BYTES));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        match &mut this.stream {
            Some(pieces) => pieces.poll(&mut this.content, cx),
            None => this.content.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        let has_rest = self.stream.as_ref().is_some_and(|pieces| !pieces.rest.is_empty());
        !has_rest
            && match &self.content {
                Content::Service(body) => body.is_end_stream(),
                Content::Router(router) => router.body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let hint = match &self.content {
            Content::Service(body) => body.size_hint(),
            Content::Router(router) => router.body.size_hint(),
        };
        let n_rest = self.stream.as_ref().map_or(0, |pieces| pieces.rest.len() as u64);
        match hint.exact() {
            Some(n) => SizeHint::with_exact(n + n_rest),
            None => hint,
        }
    }
}
