//! How far the request of a connection was read.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http1::Problem;
use http1::chunked::{Decoder, Piece};

use crate::client_body::pipe::Inlet;

/// How far a request was read.
#[derive(Debug)]
pub(super) enum Reading {
    /// To its end; what follows is another's.
    Over,
    /// Up to the middle of its body.
    Body(Body),
    /// No further, and nothing can be read behind it: it broke off, or makes no sense.
    Broken,
}

/// A body that is being read.
#[derive(Debug)]
pub(super) struct Body {
    pub(super) inlet: Inlet,
    pub(super) rest: Rest,
    /// Whether the client must be told to send it.
    pub(super) expects: bool,
}

/// What is left of it.
#[derive(Debug)]
pub(super) enum Rest {
    Exact(u64),
    Chunked(Decoder),
}

/// A piece of a body.
#[derive(Debug)]
pub(super) enum Taken {
    Data(Bytes, IsLast),
    Trailers(HeaderMap),
    End,
    /// More bytes are needed.
    Nothing,
}

/// Whether it is known that nothing follows.
pub(super) type IsLast = bool;

impl Rest {
    /// Takes what there is of the body from the front of `buffer`.
    pub(super) fn take(&mut self, buffer: &mut BytesMut) -> Result<Taken, Problem> {
        match self {
            Self::Exact(left) if buffer.is_empty() && *left > 0 => Ok(Taken::Nothing),
            Self::Exact(left) => {
                let here = buffer.len();
                let n = usize::try_from(*left).map_or(here, |left| left.min(here));
                *left -= n as u64;
                Ok(Taken::Data(buffer.split_to(n).freeze(), *left == 0))
            }
            Self::Chunked(decoder) => Ok(match decoder.next(buffer)? {
                None => Taken::Nothing,
                Some(Piece::Data(data)) => Taken::Data(data, false),
                Some(Piece::Trailers(trailers)) => Taken::Trailers(trailers),
                Some(Piece::End) => Taken::End,
            }),
        }
    }
}

impl Reading {
    pub(super) fn is_over(&self) -> bool {
        matches!(self, Self::Over)
    }

    pub(super) fn is_broken(&self) -> bool {
        matches!(self, Self::Broken)
    }

    /// Reads over what is here already of a body that nobody wants.
    pub(super) fn skip(&mut self, buffer: &mut BytesMut) {
        let Self::Body(body) = self else { return };
        loop {
            match body.rest.take(buffer) {
                Ok(Taken::Data(_, true) | Taken::End) => {
                    *self = Self::Over;
                    return;
                }
                Ok(Taken::Data(..) | Taken::Trailers(_)) => {}
                Ok(Taken::Nothing) => return,
                Err(_problem) => {
                    *self = Self::Broken;
                    return;
                }
            }
        }
    }

    /// Whether there is a body to come that nobody will take.
    pub(super) fn is_unwanted(&self) -> bool {
        matches!(self, Self::Body(body) if body.inlet.is_unwanted())
    }
}
