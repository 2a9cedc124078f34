//! The bytes of one client connection, and what may go wrong with them: heads that never end, clients that take
//! nothing, floods of HTTP/2 frames. For what hyper serves; the proxy's own server watches its bytes itself.

use super::EdgeLimits;
use super::wire::Wire;
use limits::{FrameMeter, Side, Stall, Tick};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection after its TLS.
#[derive(Debug)]
pub(super) struct ClientIo<IO> {
    io: IO,
    limits: Arc<EdgeLimits>,
    wire: Arc<Wire>,
    /// None where it speaks no HTTP/2.
    meter: Option<Box<FrameMeter>>,
    head: Stall,
    writes: Stall,
    /// Where a head over HTTP/1.1 has begun: after how many requests.
    head_begun_after: Option<u32>,
}

impl<IO> ClientIo<IO> {
    pub(super) fn new(io: IO, limits: Arc<EdgeLimits>, wire: Arc<Wire>) -> Self {
        let meter = FrameMeter::new(Side::Client, limits.http2.frames);
        Self {
            io,
            limits,
            wire,
            meter: Some(Box::new(meter)),
            head: Stall::default(),
            writes: Stall::default(),
            head_begun_after: None,
        }
    }

    /// Whether the client is in the middle of a head, which must end in time. What comes after an answer is one: a rest
    /// of a body that nobody reads ends the connection anyway.
    fn is_in_head(&self) -> bool {
        match &self.meter {
            Some(meter) => meter.is_http2().is_none() || meter.is_in_head(),
            None => {
                self.wire.is_idle()
                    && !self.wire.has_switched()
                    && self.head_begun_after == Some(self.wire.n_begun())
            }
        }
    }

    fn take_note(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(meter) = &mut self.meter {
            let knew = meter.is_http2().is_some();
            meter.received(bytes, Tick::now).map_err(io::Error::other)?;
            match meter.is_http2() {
                Some(true) if !knew => self.wire.hear_http2(),
                Some(false) => self.meter = None,
                _ => {}
            }
        }
        if self.meter.is_none() && self.wire.is_idle() {
            self.head_begun_after = Some(self.wire.n_begun());
        }
        Ok(())
    }

    /// Ready where the client has taken nothing for too long.
    fn poll_stalled(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        ready!(self.writes.poll(cx, self.limits.stall_timeout));
        Poll::Ready(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"))
    }

    fn written(&mut self, n: usize) {
        self.writes.clear();
        if let Some(meter) = &mut self.meter {
            meter.sent(n);
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for ClientIo<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let n_before = buffer.filled().len();
        if Pin::new(&mut this.io).poll_read(cx, buffer)?.is_ready() {
            let noted = this.take_note(&buffer.filled()[n_before..]);
            return Poll::Ready(noted);
        }
        if !this.is_in_head() {
            this.head.clear();
            return Poll::Pending;
        }
        ready!(this.head.poll(cx, this.limits.header_timeout));
        let words = "the head of a request did not end in time";
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, words)))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for ClientIo<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.io).poll_write(cx, bytes)? {
            Poll::Ready(n) => {
                this.written(n);
                Poll::Ready(Ok(n))
            }
            Poll::Pending => this.poll_stalled(cx).map(Err),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Pin::new(&mut this.io).poll_write_vectored(cx, slices)? {
            Poll::Ready(n) => {
                this.written(n);
                Poll::Ready(Ok(n))
            }
            Poll::Pending => this.poll_stalled(cx).map(Err),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.io).poll_flush(cx)? {
            Poll::Ready(()) => {
                this.writes.clear();
                Poll::Ready(Ok(()))
            }
            Poll::Pending => this.poll_stalled(cx).map(Err),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match Pin::new(&mut this.io).poll_shutdown(cx)? {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            Poll::Pending => this.poll_stalled(cx).map(Err),
        }
    }
}
