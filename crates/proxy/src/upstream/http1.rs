//! One connection to an app, speaking HTTP/1.1, driven by the task of the request that uses it.
//!
//! ```text
//! idle ─send─► request out, head awaited ─┬─► answer: its body is read from the connection ─end─► idle again
//!                                         └─► switched: the bytes belong to both ends from now on
//! ```
//!
//! Strict on what apps send (T21): a head or body that two readers could read differently, an answer before a
//! question, or bytes behind an answer end the connection, and so does a head that is dripped. What an app can make us
//! keep is bounded: [`HEAD_BYTES_MAX`] of a head, and one read of a body, which grows to 256 KiB while reads are filled.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Response, StatusCode};
use http1::response::{Head, read_head};
use http1::{Problem, length};
use limits::Stall;
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::poll_read_buf;

use super::answer::{AnswerBody, Source};
use super::upload::{self, Upload, UploadError};
use crate::dial::Io;
use crate::headers::Vouched;
use crate::request_body::RequestBody;

/// Bytes of an answer's head; nginx and hyper stop near here too.
const HEAD_BYTES_MAX: usize = 64 * 1024;

/// Interim answers (100, 103) before the real one; more is a storm (T21).
const INTERIM_MAX: usize = 16;

/// One read of a head, and what a kept connection holds.
const READ_BYTES_MIN: usize = 8 * 1024;

/// One connection to an app. Dropping it closes it.
pub(crate) struct Connection {
    io: Box<dyn Io>,
    buffer: BytesMut,
    /// It has carried a request before, so it may have died unnoticed.
    is_used: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("is_used", &self.is_used).finish_non_exhaustive()
    }
}

/// What came of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The app's answer.
    Answer(Response<AnswerBody>),
    /// The app switched protocols (101): its head, and the connection.
    Switched(Response<()>, Switched),
}

/// A connection that is not HTTP any more.
pub(crate) struct Switched {
    pub(crate) io: Box<dyn Io>,
    /// What the app sent right behind its head.
    pub(crate) early: Bytes,
}

impl std::fmt::Debug for Switched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Switched(…)")
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct SendError {
    pub(crate) why: WhyNot,
    /// The request's body, where it is whole and the connection, used before, died without a byte of an answer: the
    /// request may be sent again, once, where that does no harm.
    pub(crate) body: Option<RequestBody>,
    /// Nothing of the request has left.
    pub(crate) is_unsent: bool,
}

/// What went wrong.
#[derive(Debug)]
pub(crate) enum WhyNot {
    /// The connection ended or broke.
    Died,
    /// What came is no answer.
    Malformed(Problem),
    /// Interim answers without end.
    Interim,
    /// A switch of protocols that nobody asked for.
    Unasked,
    /// The app's head began and did not end in time.
    SlowHead,
    /// The client broke off its body.
    Client,
    /// The client sent nothing more of its body.
    Stalled,
}

impl Connection {
    /// Over a stream that was just opened.
    pub(crate) fn over(io: Box<dyn Io>) -> Self {
        Self { io, buffer: BytesMut::new(), is_used: false }
    }

    /// A connection whose answer was read to its end.
    pub(super) fn again(io: Box<dyn Io>, mut buffer: BytesMut) -> Self {
        debug_assert!(buffer.is_empty(), "bytes behind an answer end a connection");
        if buffer.capacity() > READ_BYTES_MIN {
            buffer = BytesMut::new();
        }
        Self { io, buffer, is_used: true }
    }

    /// Whether an idle connection can carry a request: the app has neither closed it nor said anything unasked.
    pub(crate) fn is_usable(&mut self) -> bool {
        let mut byte = [0; 1];
        let mut unasked = ReadBuf::new(&mut byte);
        // Nobody waits: a registered wake-up is replaced by the next request's.
        let mut cx = Context::from_waker(Waker::noop());
        Pin::new(&mut *self.io).poll_read(&mut cx, &mut unasked).is_pending()
    }

    /// Sends a request and waits for the head of its answer. The request's head is where it was made: it is moved
    /// nowhere, and may be sent again.
    ///
    /// `wants_switch`: 101 is an answer to it. `head_timeout`: for a head that has begun; until then an app may think
    /// for as long as it likes.
    pub(crate) async fn send(
        mut self,
        parts: &mut Parts,
        vouched: &Vouched,
        body: RequestBody,
        wants_switch: bool,
        head_timeout: Duration,
    ) -> Result<Outcome, SendError> {
        let mut upload = Upload::begin(parts, vouched, body);
        let (mut n_interim, mut stall) = (0, Stall::default());
        let waiting = std::future::poll_fn(|cx| {
            let polled = self.poll_head(cx, &mut upload, &mut n_interim, wants_switch);
            if polled.is_ready() || self.buffer.is_empty() {
                stall.clear();
                return polled;
            }
            stall.poll(cx, head_timeout).map(|()| Err(WhyNot::SlowHead))
        });
        let head = match waiting.await {
            Ok(head) => head,
            Err(why) => return Err(self.send_error(why, upload)),
        };
        if head.status == StatusCode::SWITCHING_PROTOCOLS {
            let switched = Switched { io: self.io, early: self.buffer.freeze() };
            return Ok(Outcome::Switched(response_of(head, ()), switched));
        }
        match self.answer(parts, head, upload) {
            Ok(mut answer) => {
                if wants_switch {
                    // Many servers let go of their HTTP parser at the first word of an upgrade: nothing may follow.
                    answer.body_mut().close_afterwards();
                }
                Ok(Outcome::Answer(answer))
            }
            Err(problem) => {
                let why = WhyNot::Malformed(problem);
                Err(SendError { why, body: None, is_unsent: false })
            }
        }
    }

    /// Sends what there is of the request, and reads until a head that is no interim one is there.
    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        upload: &mut Upload,
        n_interim: &mut usize,
        wants_switch: bool,
    ) -> Poll<Result<Head, WhyNot>> {
        loop {
            let is_broken = self.poll_upload(cx, upload)?;
            let head = match ready!(self.poll_read_head(cx, is_broken)) {
                Ok(head) => head,
                Err(why) => return Poll::Ready(Err(why)),
            };
            let is_switch = head.status == StatusCode::SWITCHING_PROTOCOLS;
            if !head.status.is_informational() || (is_switch && wants_switch) {
                return Poll::Ready(Ok(head));
            }
            if is_switch {
                return Poll::Ready(Err(WhyNot::Unasked));
            }
            *n_interim += 1;
            if *n_interim > INTERIM_MAX {
                return Poll::Ready(Err(WhyNot::Interim));
            }
            if head.status == StatusCode::CONTINUE && upload.is_awaited() {
                upload.go_on();
                let _broken = self.poll_upload(cx, upload)?;
                // The answer may be here as well: the client's side gets a turn to pass the word on before it.
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
    }

    /// Sends what there is of the request. True where the app takes no more: it may have answered before it hung up.
    fn poll_upload(&mut self, cx: &mut Context<'_>, upload: &mut Upload) -> Result<bool, WhyNot> {
        if upload.is_done() {
            return Ok(false);
        }
        match upload.poll(cx, &mut *self.io) {
            Poll::Ready(Ok(())) | Poll::Pending => Ok(false),
            Poll::Ready(Err(UploadError::Client)) => Err(WhyNot::Client),
            Poll::Ready(Err(UploadError::Stalled)) => Err(WhyNot::Stalled),
            Poll::Ready(Err(UploadError::App(error))) => {
                tracing::debug!(error = %error, "the app takes no more of a request");
                Ok(true)
            }
        }
    }

    /// `is_broken`: an app that took no more and has sent nothing will not.
    fn poll_read_head(
        &mut self,
        cx: &mut Context<'_>,
        is_broken: bool,
    ) -> Poll<Result<Head, WhyNot>> {
        loop {
            if !self.buffer.is_empty() {
                match read_head(&mut self.buffer, HEAD_BYTES_MAX) {
                    Ok(Some(head)) => return Poll::Ready(Ok(head)),
                    Ok(None) => {}
                    Err(problem) => return Poll::Ready(Err(WhyNot::Malformed(problem))),
                }
            }
            match poll_read_more(&mut *self.io, cx, &mut self.buffer, READ_BYTES_MIN) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(WhyNot::Died)),
                Poll::Pending if is_broken => return Poll::Ready(Err(WhyNot::Died)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The answer with its body to come.
    fn answer(
        self,
        parts: &Parts,
        head: Head,
        upload: Upload,
    ) -> Result<Response<AnswerBody>, Problem> {
        let length =
            length::of_response(&parts.method, head.status, head.is_http10, &head.headers)?;
        let is_sent = upload.is_done();
        // A client that still waits for a word hears the answer instead, and sends nothing.
        let keeps_alive = head.keeps_alive() && is_sent;
        let source = if is_sent || upload.is_awaited() {
            Source::Whole(self.io)
        } else {
            let (read, write) = tokio::io::split(self.io);
            // Ends with the client's body, or when the app hangs up; nobody waits for it.
            let _rest = tokio::spawn(upload::finish(upload, write));
            Source::ReadHalf(read)
        };
        let body = AnswerBody::new(source, self.buffer, length, keeps_alive);
        Ok(response_of(head, body))
    }

    fn send_error(self, why: WhyNot, upload: Upload) -> SendError {
        let is_silent = matches!(why, WhyNot::Died) && self.buffer.is_empty();
        let was_stale = is_silent && self.is_used;
        let is_unsent = upload.is_unsent();
        let body = upload.into_whole_body().filter(|_| was_stale);
        SendError { why, body, is_unsent }
    }
}

fn response_of<B>(head: Head, body: B) -> Response<B> {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    let is_usual = head.status.canonical_reason().is_some_and(|usual| head.reason == usual);
    if !is_usual
        && !head.reason.is_empty()
        && let Ok(reason) = hyper::ext::ReasonPhrase::try_from(head.reason)
    {
        response.extensions_mut().insert(reason);
    }
    response
}

/// Reads at most about `size` more bytes; 0 is the end.
pub(super) fn poll_read_more<R: AsyncRead + Unpin + ?Sized>(
    io: &mut R,
    cx: &mut Context<'_>,
    buffer: &mut BytesMut,
    size: usize,
) -> Poll<io::Result<usize>> {
    buffer.reserve(size);
    poll_read_buf(Pin::new(io), cx, buffer)
}
