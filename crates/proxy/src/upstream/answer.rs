//! The body of an app's answer, read from its connection as it is asked for.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use http1::Problem;
use http1::chunked::{Decoder, Piece};
use http1::length::BodyLength;
use tokio::io::{AsyncRead, ReadBuf, ReadHalf};

use super::http1::{Connection, poll_read_more};
use crate::dial::Io;

/// One read at first; answers are mostly small.
const READ_BYTES_MIN: usize = 8 * 1024;

/// One read of a body that keeps filling them.
const READ_BYTES_MAX: usize = 256 * 1024;

/// Where the bytes come from.
pub(super) enum Source {
    /// The connection.
    Whole(Box<dyn Io>),
    /// Its reading half, while the rest of the request is still being sent.
    ReadHalf(ReadHalf<Box<dyn Io>>),
    /// Broken, or given back.
    Gone,
}

impl AsyncRead for Source {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Whole(io) => Pin::new(io).poll_read(cx, buf),
            Self::ReadHalf(io) => Pin::new(io).poll_read(cx, buf),
            Self::Gone => Poll::Ready(Err(std::io::ErrorKind::NotConnected.into())),
        }
    }
}

/// Why an answer's body broke off.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// The connection ended or broke before the body did.
    #[error("the connection to the app broke off")]
    Broken(#[source] std::io::Error),
    /// It breaks the rules of HTTP/1.1.
    #[error("the app's answer breaks the rules of HTTP")]
    Malformed(#[source] Problem),
}

/// What is left of a body.
#[derive(Debug)]
enum Rest {
    Exact(u64),
    Chunked(Decoder),
    UntilClose,
    Over,
}

/// An answer's body. Dropped before its end, it closes the connection.
pub(crate) struct AnswerBody {
    source: Source,
    buffer: BytesMut,
    rest: Rest,
    read_size: usize,
    keeps_alive: bool,
    /// Told once what came before it has left.
    broken: Option<AnswerError>,
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody").field("rest", &self.rest).finish_non_exhaustive()
    }
}

impl AnswerBody {
    pub(super) fn new(
        source: Source,
        buffer: BytesMut,
        length: BodyLength,
        keeps_alive: bool,
    ) -> Self {
        let rest = match length {
            BodyLength::Exact(0) => Rest::Over,
            BodyLength::Exact(length) => Rest::Exact(length),
            BodyLength::Chunked => Rest::Chunked(Decoder::default()),
            BodyLength::UntilClose => Rest::UntilClose,
        };
        let read_size = READ_BYTES_MIN;
        Self { source, buffer, rest, read_size, keeps_alive, broken: None }
    }

    /// Has the connection end with this answer.
    pub(super) fn close_afterwards(&mut self) {
        self.keeps_alive = false;
    }

    /// The connection, where the body was read to its end and nothing speaks against using it again.
    pub(crate) fn take_connection(&mut self) -> Option<Connection> {
        let is_clean =
            matches!(self.rest, Rest::Over) && self.keeps_alive && self.buffer.is_empty();
        if !is_clean {
            return None;
        }
        match std::mem::replace(&mut self.source, Source::Gone) {
            Source::Whole(io) => Some(Connection::again(io, std::mem::take(&mut self.buffer))),
            Source::ReadHalf(_) | Source::Gone => None,
        }
    }

    /// Reads more; false at the end of the connection. Reads grow while they are filled.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, AnswerError>> {
        let size = self.read_size;
        let read = ready!(poll_read_more(&mut self.source, cx, &mut self.buffer, size));
        let n = read.map_err(AnswerError::Broken)?;
        if n >= size {
            self.read_size = (size * 2).min(READ_BYTES_MAX);
        } else if n < size / 4 {
            self.read_size = (size / 2).max(READ_BYTES_MIN);
        }
        Poll::Ready(Ok(n > 0))
    }

    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        loop {
            match &mut self.rest {
                Rest::Over => return Poll::Ready(None),
                Rest::Exact(left) if !self.buffer.is_empty() => {
                    let here = self.buffer.len();
                    let n = usize::try_from(*left).map_or(here, |left| left.min(here));
                    *left -= n as u64;
                    if *left == 0 {
                        self.rest = Rest::Over;
                    }
                    return Poll::Ready(Some(Ok(Frame::data(self.buffer.split_to(n).freeze()))));
                }
                Rest::UntilClose if !self.buffer.is_empty() => {
                    return Poll::Ready(Some(Ok(Frame::data(self.buffer.split().freeze()))));
                }
                Rest::Chunked(decoder) => {
                    match decoder.next(&mut self.buffer).map_err(AnswerError::Malformed)? {
                        Some(Piece::Data(data)) => {
                            return Poll::Ready(Some(Ok(Frame::data(data))));
                        }
                        Some(Piece::Trailers(trailers)) => {
                            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                        }
                        Some(Piece::End) => {
                            self.rest = Rest::Over;
                            continue;
                        }
                        None => {}
                    }
                }
                Rest::Exact(_) | Rest::UntilClose => {}
            }
            if !ready!(self.poll_read(cx))? {
                if matches!(self.rest, Rest::UntilClose) {
                    self.rest = Rest::Over;
                    self.keeps_alive = false;
                    continue;
                }
                let early = std::io::ErrorKind::UnexpectedEof.into();
                return Poll::Ready(Some(Err(AnswerError::Broken(early))));
            }
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = AnswerError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, AnswerError>>> {
        let this = self.get_mut();
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match this.poll_piece(cx) {
            Poll::Ready(Some(Err(error))) => {
                this.source = Source::Gone;
                this.keeps_alive = false;
                // Hyper throws away what it has not written when a body fails: it gets a turn to write first.
                this.broken = Some(error);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            polled => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.rest, Rest::Over)
    }

    fn size_hint(&self) -> SizeHint {
        match self.rest {
            Rest::Over => SizeHint::with_exact(0),
            Rest::Exact(left) => SizeHint::with_exact(left),
            Rest::Chunked(_) | Rest::UntilClose => SizeHint::default(),
        }
    }
}
