//! The bytes of one client: heads and bodies as they come, until one is whole or somebody has waited too long.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderMap, Response};
use http_body::Frame;
use http1::length::BodyLength;
use http1::request::{self, Head};
use limits::Stall;
use tokio_util::io::poll_read_buf;

use super::DownstreamLimits;
use super::reading::{Body, Reading, Rest, Taken};
use super::rewound::Rewound;
use crate::body::ProxyBody;
use crate::client_body::pipe::{Room, pipe};
use crate::client_body::{ClientBody, ClientBodyError};
use crate::dial::Io;
use crate::outgoing::Outgoing;

/// One read, and what an idle connection holds.
const READ_BYTES_MIN: usize = 8 * 1024;
/// Room for what comes before its turn.
const READ_BYTES_AHEAD: usize = 256;
/// One read of a body that keeps filling them.
const READ_BYTES_MAX: usize = 256 * 1024;
/// Turns that a request and its body may take before other tasks get theirs.
const TURNS_MAX: usize = 16;
/// What a client that sent too much may still send before its connection is let go of: closed with bytes unread, it
/// would be reset, and the answer lost that says why.
const LINGER: Duration = Duration::from_secs(1);

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A connection of a client.
pub(super) struct Wire<IO> {
    pub(super) io: IO,
    /// What was read and belongs to nobody yet.
    input: BytesMut,
    pub(super) outgoing: Outgoing,
    pub(super) reading: Reading,
    /// Whether there was a request.
    is_used: bool,
    /// An empty map with room for the fields of a head.
    pub(super) spare: HeaderMap,
    read_size: usize,
    limits: DownstreamLimits,
    idle: Stall,
    head: Stall,
    writes: Stall,
}

/// What comes next over a connection.
#[expect(
    clippy::large_enum_variant,
    reason = "made once for each request: a box would be an allocation"
)]
pub(super) enum Next {
    /// A request.
    Head(Head),
    /// Something that is not read here; it stays in the connection.
    Foreign,
    /// Nothing: the client has ended, or waited for too long.
    End,
}

/// What a look at the client's side came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fed {
    /// Nothing can be done before somebody is woken.
    Waits,
    /// A piece of the body was passed on.
    Passed,
    /// The client has ended in the middle of its request's answer.
    Gone,
}

impl<IO: Io> Wire<IO> {
    pub(super) fn new(io: IO, limits: DownstreamLimits) -> Self {
        Self {
            io,
            input: BytesMut::new(),
            outgoing: Outgoing::default(),
            reading: Reading::Over,
            is_used: false,
            spare: HeaderMap::new(),
            read_size: READ_BYTES_MIN,
            limits,
            idle: Stall::default(),
            head: Stall::default(),
            writes: Stall::default(),
        }
    }

    /// The connection, with all that was not served.
    pub(super) fn into_unread(self) -> Rewound<IO> {
        Rewound::new(self.input.freeze(), self.io)
    }

    /// Waits for a head. `is_ours`: whether a host's requests are served here. `is_ending`: whether an idle connection
    /// is to end; it is asked when nothing has come, and wakes the task.
    pub(super) async fn next_head(
        &mut self,
        mut is_ours: impl FnMut(&[u8]) -> bool,
        mut is_ending: impl FnMut(&mut Context<'_>) -> bool,
    ) -> Next {
        self.idle.clear();
        self.head.clear();
        std::future::poll_fn(|cx| self.poll_head(cx, &mut is_ours, &mut is_ending)).await
    }

    fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        is_ours: &mut impl FnMut(&[u8]) -> bool,
        is_ending: &mut impl FnMut(&mut Context<'_>) -> bool,
    ) -> Poll<Next> {
        loop {
            if !self.input.is_empty() {
                match request::read_head(
                    &mut self.input,
                    self.limits.head_bytes_max,
                    &mut self.spare,
                ) {
                    Ok(Some(head)) if is_ours(head.host()) => {
                        self.is_used = true;
                        return Poll::Ready(Next::Head(head));
                    }
                    Ok(Some(head)) => {
                        request::put_back(&mut self.input, &head.raw);
                        return Poll::Ready(Next::Foreign);
                    }
                    Ok(None) => {}
                    // The preface of HTTP/2 (RFC 9113 section 3.4) begins a connection, or is nothing at all.
                    Err(_) if self.is_used && self.input.starts_with(b"PRI ") => {
                        return Poll::Ready(Next::End);
                    }
                    Err(_problem) => return Poll::Ready(Next::Foreign),
                }
            }
            match self.poll_read(cx, READ_BYTES_MIN) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Next::End),
                Poll::Pending => {
                    let is_idle = self.input.is_empty();
                    if is_idle && is_ending(cx) {
                        return Poll::Ready(Next::End);
                    }
                    // The first head is late from the beginning.
                    ready!(if is_idle && self.is_used {
                        self.idle.poll(cx, self.limits.idle_timeout)
                    } else {
                        self.head.poll(cx, self.limits.head_timeout)
                    });
                    tracing::debug!("a connection was closed: no request came in time");
                    return Poll::Ready(Next::End);
                }
            }
        }
    }

    /// The body of a request whose head was just taken. `expects`: the client waits for a word before it sends it.
    pub(super) fn begin_body(&mut self, length: BodyLength, expects: bool) -> ClientBody {
        let (length, rest) = match length {
            BodyLength::Exact(n) if n <= self.input.len() as u64 => {
                let n = usize::try_from(n).unwrap_or_default();
                return ClientBody::whole(self.input.split_to(n).freeze());
            }
            BodyLength::Exact(n) => (Some(n), Rest::Exact(n)),
            BodyLength::Chunked | BodyLength::UntilClose => {
                (None, Rest::Chunked(Default::default()))
            }
        };
        let (inlet, outlet) = pipe(length);
        self.read_size = READ_BYTES_MIN;
        self.reading = Reading::Body(Body { inlet, rest, expects });
        ClientBody::piped(outlet)
    }

    /// Drives a request until its answer begins, and passes its body on meanwhile; `None` where the client has ended.
    pub(super) async fn serve(
        &mut self,
        mut serving: Pin<&mut impl Future<Output = Response<ProxyBody>>>,
    ) -> Option<Response<ProxyBody>> {
        std::future::poll_fn(|cx| {
            for _turn in 0..TURNS_MAX {
                if let Poll::Ready(response) = serving.as_mut().poll(cx) {
                    return Poll::Ready(Some(response));
                }
                match self.poll_feed(cx) {
                    Fed::Passed => {}
                    Fed::Gone => return Poll::Ready(None),
                    Fed::Waits => {
                        // A word to go on, perhaps.
                        return match self.poll_write(cx) {
                            Poll::Ready(Err(_gone)) => Poll::Ready(None),
                            _ => Poll::Pending,
                        };
                    }
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// Passes on what there is of a body, or looks whether the client is still there.
    pub(super) fn poll_feed(&mut self, cx: &mut Context<'_>) -> Fed {
        loop {
            let Reading::Body(body) = &mut self.reading else { return self.poll_gone(cx) };
            match body.inlet.poll_room(cx) {
                Poll::Pending => return Fed::Waits,
                Poll::Ready(Room::Gone) => {
                    self.reading.skip(&mut self.input);
                    return if self.reading.is_over() { self.poll_gone(cx) } else { Fed::Waits };
                }
                Poll::Ready(Room::Free) => {}
            }
            if std::mem::take(&mut body.expects) {
                self.outgoing.out.extend_from_slice(CONTINUE);
            }
            let is_over = match body.rest.take(&mut self.input) {
                Ok(Taken::Data(data, is_last)) => {
                    body.inlet.give(Frame::data(data), is_last);
                    is_last
                }
                Ok(Taken::Trailers(trailers)) => {
                    body.inlet.give(Frame::trailers(trailers), false);
                    false
                }
                Ok(Taken::End) => {
                    body.inlet.end();
                    true
                }
                Ok(Taken::Nothing) => match self.poll_read_body(cx) {
                    Poll::Ready(Ok(1..)) => continue,
                    Poll::Ready(Ok(0) | Err(_)) => {
                        return self.break_off(ClientBodyError::BrokenOff);
                    }
                    Poll::Pending => return Fed::Waits,
                },
                Err(problem) => return self.break_off(ClientBodyError::Malformed(problem)),
            };
            if is_over {
                self.reading = Reading::Over;
            }
            return Fed::Passed;
        }
    }

    fn break_off(&mut self, error: ClientBodyError) -> Fed {
        if let Reading::Body(body) = std::mem::replace(&mut self.reading, Reading::Broken) {
            body.inlet.fail(error);
        }
        Fed::Passed
    }

    /// A client that sends its next request early is there, and not listened to before its turn.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Fed {
        if self.reading.is_broken() || !self.input.is_empty() {
            return Fed::Waits;
        }
        // Into what is left of the buffer: its beginning is lent to the head.
        match self.poll_read(cx, READ_BYTES_AHEAD) {
            Poll::Ready(Ok(0) | Err(_)) => Fed::Gone,
            Poll::Ready(Ok(_)) | Poll::Pending => Fed::Waits,
        }
    }

    /// The answer begins. Whether the request may still be read to its end, so that another can follow.
    pub(super) fn settle_request(&mut self) -> bool {
        if let Reading::Body(body) = &mut self.reading {
            // Nothing may come between head and body of an answer.
            body.expects = false;
            if body.inlet.is_unwanted() {
                self.reading.skip(&mut self.input);
                return self.reading.is_over();
            }
        }
        !self.reading.is_broken()
    }

    /// Lets the rest of a request arrive whose answer has ended, as long as somebody takes it. Whether it did.
    pub(super) async fn finish_request(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            for _turn in 0..TURNS_MAX {
                if !self.settle_request() {
                    return Poll::Ready(false);
                }
                if self.reading.is_over() {
                    return Poll::Ready(true);
                }
                if self.poll_feed(cx) == Fed::Waits && !self.reading.is_unwanted() {
                    return Poll::Pending;
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, size: usize) -> Poll<io::Result<usize>> {
        self.input.reserve(size);
        poll_read_buf(Pin::new(&mut self.io), cx, &mut self.input)
    }

    /// Reads grow while they are filled.
    fn poll_read_body(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let size = self.read_size;
        let n = ready!(self.poll_read(cx, size))?;
        if n >= size {
            self.read_size = (size * 2).min(READ_BYTES_MAX);
        } else if n < size / 4 {
            self.read_size = (size / 2).max(READ_BYTES_MIN);
        }
        Poll::Ready(Ok(n))
    }

    /// Writes all there is to write. An error where the client takes nothing of it for too long.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (has_moved, written) = self.outgoing.poll_write_all(cx, &mut self.io);
        if has_moved || written.is_ready() {
            self.writes.clear();
        }
        if written.is_ready() { written } else { self.poll_stalled(cx) }
    }

    /// The same, as far as the client.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_write(cx))?;
        match Pin::new(&mut self.io).poll_flush(cx) {
            Poll::Pending => self.poll_stalled(cx),
            flushed => flushed,
        }
    }

    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.writes.poll(cx, self.limits.stall_timeout));
        tracing::debug!("a connection was closed: its client takes nothing");
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Ends the connection. What the client still sends of a request that nobody reads is let pass for a while.
    pub(super) async fn close(mut self) {
        self.writes.clear();
        let shut = std::future::poll_fn(|cx| match Pin::new(&mut self.io).poll_shutdown(cx) {
            Poll::Pending => self.poll_stalled(cx),
            shut => shut,
        });
        if shut.await.is_err() || self.reading.is_over() {
            return;
        }
        let passing = std::future::poll_fn(|cx| {
            loop {
                self.input.clear();
                match ready!(self.poll_read(cx, READ_BYTES_MIN)) {
                    Ok(1..) => {}
                    Ok(0) | Err(_) => return Poll::Ready(()),
                }
            }
        });
        let _ended_or_not = tokio::time::timeout(LINGER, passing).await;
    }
}
