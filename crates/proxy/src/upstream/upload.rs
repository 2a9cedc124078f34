//! A request on its way to the app: its head, then its body as it comes.
//!
//! Head and first bytes of a body leave in one write where they are there together.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, HeaderValue, TRANSFER_ENCODING};
use http::request::Parts;
use http_body::{Body, Frame};
use http1::chunked;
use tokio::io::AsyncWrite;

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
    /// The head, size lines, trailers.
    out: BytesMut,
    /// Bytes of the client's.
    data: Bytes,
    /// What follows them.
    tail: &'static [u8],
    body: RequestBody,
    framing: Framing,
    has_body: bool,
    is_body_over: bool,
    /// Whether a byte has left, or one of the client's was taken.
    has_begun: bool,
}

impl Upload {
    /// Writes the head, with the fields that say how long the body is.
    pub(crate) fn begin(parts: &mut Parts, body: RequestBody) -> Self {
        let is_body_over = body.is_end_stream();
        let framing = frame(&mut parts.headers, &body, is_body_over);
        let mut out = BytesMut::new();
        let target = parts.uri.path_and_query().map_or("/", |text| text.as_str());
        http1::request::write_head(&mut out, &parts.method, target, &parts.headers);
        let data = Bytes::new();
        let has_body = !is_body_over;
        Self { out, data, tail: b"", body, framing, has_body, is_body_over, has_begun: false }
    }

    /// Whether everything was sent.
    pub(crate) fn is_done(&self) -> bool {
        self.is_body_over && !self.has_pending()
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
            let waits = if self.is_body_over || !self.data.is_empty() || !self.tail.is_empty() {
                false
            } else {
                self.poll_body(cx)?.is_pending()
            };
            while self.has_pending() {
                ready!(self.poll_write(cx, io)).map_err(UploadError::App)?;
            }
            if self.is_body_over || waits {
                ready!(Pin::new(&mut *io).poll_flush(cx)).map_err(UploadError::App)?;
                return if waits { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
        }
    }

    fn has_pending(&self) -> bool {
        !self.out.is_empty() || !self.data.is_empty() || !self.tail.is_empty()
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
            Ok(data) => {
                match &mut self.framing {
                    Framing::Exact(left) => {
                        let rest = left.checked_sub(data.len() as u64);
                        *left = rest.ok_or(UploadError::Client)?;
                    }
                    Framing::Chunked => {
                        chunked::write_size(&mut self.out, data.len());
                        self.tail = chunked::CHUNK_END;
                    }
                }
                self.data = data;
            }
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
            (Framing::Chunked, None) => self.tail = chunked::LAST_CHUNK,
            (Framing::Chunked, Some(trailers)) => chunked::write_trailers(&mut self.out, trailers),
        }
        Ok(())
    }

    /// One write of as much as goes.
    fn poll_write<W>(&mut self, cx: &mut Context<'_>, io: &mut W) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let io = Pin::new(io);
        let n = if self.data.is_empty() && self.tail.is_empty() {
            ready!(io.poll_write(cx, &self.out))?
        } else if io.is_write_vectored() {
            let parts = [&self.out[..], &self.data[..], self.tail].map(IoSlice::new);
            ready!(io.poll_write_vectored(cx, &parts))?
        } else {
            let first = [&self.out[..], &self.data[..], self.tail];
            let first = first.into_iter().find(|part| !part.is_empty()).unwrap_or_default();
            ready!(io.poll_write(cx, first))?
        };
        if n == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.has_begun = true;
        self.sent(n);
        Poll::Ready(Ok(()))
    }

    fn sent(&mut self, n: usize) {
        let of_out = n.min(self.out.len());
        self.out.advance(of_out);
        let of_data = (n - of_out).min(self.data.len());
        self.data.advance(of_data);
        if self.data.is_empty() {
            // Lets go of the client's buffer.
            self.data = Bytes::new();
        }
        self.tail = &self.tail[n - of_out - of_data..];
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
