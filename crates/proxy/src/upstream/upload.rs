//! A request on its way to the app: its head, then its body as it comes.
//!
//! Head and first bytes of a body leave in one write where they are there together.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http_body::{Body, Frame};
use http1::chunked;
use tokio::io::AsyncWrite;

use crate::headers::Vouched;
use crate::outgoing::Outgoing;
use crate::request_body::{RequestBody, RequestBodyError};

/// Why a request could not be sent whole.
#[derive(Debug)]
pub(crate) enum UploadError {
    /// The app's side of the connection broke.
    App(io::Error),
    /// The client broke off its body, or sent less than it had promised.
    Client,
    /// The client sent nothing more.
    Stalled,
}

/// How the app is told where the body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// There is none, or so many bytes of it are left.
    Exact(u64),
    Chunked,
}

/// What is still to be sent.
#[derive(Debug)]
pub(crate) struct Upload {
    outgoing: Outgoing,
    body: RequestBody,
    framing: Framing,
    has_body: bool,
    is_body_over: bool,
    /// Whether a byte has left, or one of the client's was taken.
    has_begun: bool,
}

impl Upload {
    /// Writes the head, with the fields that say how long the body is.
    pub(crate) fn begin(parts: &mut Parts, vouched: &Vouched, body: RequestBody) -> Self {
        let is_body_over = body.is_end_stream();
        let framing = frame(&mut parts.headers, &body, is_body_over);
        let mut outgoing = Outgoing::default();
        let target = parts.uri.path_and_query().map_or("/", |text| text.as_str());
        let (out, ours) = (&mut outgoing.out, vouched.fields());
        http1::request::write_head(out, &parts.method, target, &parts.headers, &ours);
        let has_body = !is_body_over;
        Self { outgoing, body, framing, has_body, is_body_over, has_begun: false }
    }

    /// Whether everything was sent.
    pub(crate) fn is_done(&self) -> bool {
        self.is_body_over && self.outgoing.is_empty()
    }

    /// Whether the client waits for the app's word before it sends its body.
    pub(crate) fn is_awaited(&self) -> bool {
        self.body.is_awaited()
    }

    /// The app wants the body.
    pub(crate) fn go_on(&mut self) {
        self.body.go_on();
    }

    /// Whether nothing has left and none of the client's bytes was taken.
    pub(crate) fn is_unsent(&self) -> bool {
        !self.has_begun
    }

    /// The body for another try, where it is whole.
    pub(crate) fn into_whole_body(self) -> Option<RequestBody> {
        (!self.has_begun || !self.has_body).then_some(self.body)
    }

    /// Sends what there is to send; ready once that is everything.
    pub(crate) fn poll<W>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> Poll<Result<(), UploadError>>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        loop {
            let waits = if self.is_body_over || self.outgoing.has_piece() {
                false
            } else {
                self.poll_body(cx)?.is_pending()
            };
            let (has_moved, written) = self.outgoing.poll_write_all(cx, io);
            self.has_begun |= has_moved;
            ready!(written).map_err(UploadError::App)?;
            if self.is_body_over || waits {
                ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(UploadError::App)?;
                return if waits { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
        }
    }

    /// Takes one frame of the client's body.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, UploadError> {
        let frame = match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(frame) => frame,
        };
        self.has_begun = true;
        match frame {
            Some(Ok(frame)) => self.take(frame)?,
            Some(Err(RequestBodyError::Stalled)) => return Err(UploadError::Stalled),
            Some(Err(error)) => {
                tracing::debug!(error = %error, "the client's body broke off");
                return Err(UploadError::Client);
            }
            None => self.finish(None)?,
        }
        Ok(Poll::Ready(()))
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<(), UploadError> {
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => match &mut self.framing {
                Framing::Exact(left) => {
                    let rest = left.checked_sub(data.len() as u64);
                    *left = rest.ok_or(UploadError::Client)?;
                    self.outgoing.put_piece(data, b"");
                }
                Framing::Chunked => {
                    chunked::write_size(&mut self.outgoing.out, data.len());
                    self.outgoing.put_piece(data, chunked::CHUNK_END);
                }
            },
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    self.finish(Some(&trailers))?;
                }
            }
        }
        if self.framing == Framing::Exact(0) {
            self.is_body_over = true;
        }
        Ok(())
    }

    /// The body is over. A length that was promised and not kept leaves the app waiting, so it is an error.
    fn finish(&mut self, trailers: Option<&HeaderMap>) -> Result<(), UploadError> {
        self.is_body_over = true;
        match (self.framing, trailers) {
            (Framing::Exact(0), _) => {}
            (Framing::Exact(_), _) => return Err(UploadError::Client),
            (Framing::Chunked, None) => {
                self.outgoing.out.extend_from_slice(chunked::LAST_CHUNK);
            }
            (Framing::Chunked, Some(trailers)) => {
                chunked::write_trailers(&mut self.outgoing.out, trailers);
            }
        }
        Ok(())
    }
}

/// Makes the fields say what the body will be.
fn frame(headers: &mut HeaderMap, body: &RequestBody, is_body_over: bool) -> Framing {
    if is_body_over {
        headers.remove(TRANSFER_ENCODING);
        if headers.contains_key(CONTENT_LENGTH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        return Framing::Exact(0);
    }
    match body.size_hint().exact() {
        Some(length) => {
            headers.remove(TRANSFER_ENCODING);
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
            Framing::Exact(length)
        }
        None => {
            headers.remove(CONTENT_LENGTH);
            headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
            Framing::Chunked
        }
    }
}

/// Sends the rest of a request whose answer has begun already.
pub(crate) async fn finish<W: AsyncWrite + Unpin>(mut upload: Upload, mut io: W) {
    upload.body.may_stream();
    let sent = std::future::poll_fn(|cx| upload.poll(cx, &mut io)).await;
    if let Err(error) = sent {
        tracing::debug!(?error, "the rest of a request was not wanted");
    }
}
