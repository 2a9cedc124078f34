//! What the edge answers with: a body of either room, without a box around it on the service path.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use proxy::ProxyBody;
use std::pin::Pin;
use std::task::{Context, Poll};

/// Why a body broke off.
pub(super) type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A body of the proxy, or of the API and the pages.
#[derive(Debug)]
pub(super) enum EdgeBody {
    Service(ProxyBody),
    Router(axum::body::Body),
}

impl Body for EdgeBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Service(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Router(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Service(body) => body.is_end_stream(),
            Self::Router(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Service(body) => body.size_hint(),
            Self::Router(body) => body.size_hint(),
        }
    }
}
