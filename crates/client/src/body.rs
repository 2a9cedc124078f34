//! Bodies both ways: whole ones that can be sent again, and streams that cannot.

use std::pin::Pin;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};

use crate::error::ClientError;

/// Anything that can go wrong under a body.
pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// The one body type of both transports.
pub(crate) type BoxBody = UnsyncBoxBody<Bytes, BoxError>;
/// Bytes as they arrive; ends early with one error when the connection breaks.
pub type BodyStream = Pin<Box<dyn Stream<Item = Result<Bytes, ClientError>> + Send>>;

/// A body on its way out.
pub type Pieces = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// What a call sends.
pub enum RequestBody {
    /// Nothing.
    Empty,
    /// All at once; can be sent again when a kept connection turns out to be closed.
    Json(Bytes),
    /// Piece by piece, once.
    Stream(Pieces),
}

impl std::fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Empty => "Empty",
            Self::Json(_) => "Json",
            Self::Stream(_) => "Stream",
        })
    }
}

impl RequestBody {
    pub(crate) fn content_type(&self) -> Option<&'static str> {
        match self {
            Self::Empty => None,
            Self::Json(_) => Some("application/json"),
            Self::Stream(_) => Some("application/octet-stream"),
        }
    }

    pub(crate) fn into_body(self) -> BoxBody {
        match self {
            Self::Empty => whole(Bytes::new()),
            Self::Json(bytes) => whole(bytes),
            Self::Stream(pieces) => {
                let frames = pieces.map(|piece| piece.map(Frame::data).map_err(BoxError::from));
                StreamBody::new(frames).boxed_unsync()
            }
        }
    }
}

fn whole(bytes: Bytes) -> BoxBody {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
