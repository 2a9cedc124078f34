//! One stream as a byte pipe: `AsyncRead`, `AsyncBufRead` and `AsyncWrite`.
//!
//! Written bytes go straight into the tunnel's outbox. Read bytes are taken out of the shared
//! state a chunk at a time and the peer is credited as they are passed on, so a handle never
//! holds more than one window.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::queue::{ByteQueue, PIECE_BYTES};
use crate::shared::Shared;

/// Bytes read from the chunk at hand after which the peer is credited in between.
const CREDIT_STEP_BYTES: u32 = 64 * 1024;

/// One end of a stream.
///
/// `shutdown` half-closes: the peer reads to the end, the other direction goes on. Dropping the
/// stream before both directions have ended resets it. Errors are `io::Error`s around a
/// [`crate::StreamError`]: `ConnectionAborted` when the tunnel ended, `ConnectionReset` when the
/// peer dropped its end, `BrokenPipe` for writing after shutdown. What arrived before can still
/// be read. Flushing is not needed: what is written is sent.
pub struct Stream {
    shared: Arc<Shared>,
    id: u32,
    /// Bytes taken out of the shared state and not read yet.
    chunk: ByteQueue,
    /// Bytes read since the peer was last credited.
    read: u32,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Stream {
    pub(crate) fn new(shared: Arc<Shared>, id: u32) -> Self {
        Self { shared, id, chunk: ByteQueue::default(), read: 0 }
    }

    /// Unread bytes, waiting for some if there are none; empty at the end of the stream.
    pub(crate) fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        if self.chunk.is_empty() {
            let read = std::mem::take(&mut self.read);
            let (id, now) = (self.id, || Instant::now().into_std());
            let taken = self.shared.change(|mux| mux.poll_take(id, read, now, cx.waker()));
            self.chunk = ready!(taken)?;
        }
        Poll::Ready(Ok(self.chunk.as_slice()))
    }

    /// Notes that `n` bytes of the chunk were passed on.
    pub(crate) fn consume_chunk(&mut self, n: usize) {
        self.chunk.consume(n);
        #[expect(clippy::cast_possible_truncation, reason = "chunks are at most a window")]
        let n = n as u32;
        self.read += n;
        if self.read >= CREDIT_STEP_BYTES {
            let read = std::mem::take(&mut self.read);
            let now = || Instant::now().into_std();
            self.shared.change(|mux| mux.credit(self.id, read, now));
        }
    }

    /// How many bytes, at most `want`, can be written now.
    pub(crate) fn poll_reserve(
        &mut self,
        cx: &mut Context<'_>,
        want: usize,
    ) -> Poll<io::Result<usize>> {
        let reserved = self.shared.change(|mux| mux.poll_reserve(self.id, want, cx.waker()));
        reserved.map_err(Into::into)
    }

    /// Fails if the stream was reset or the tunnel has ended, and else wakes the task when that
    /// happens. Not to be called while [`Self::poll_reserve`] waits for another task.
    pub(crate) fn check_alive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        self.shared.change(|mux| mux.check_alive(self.id, cx.waker())).map_err(Into::into)
    }

    /// Writes bytes, no more than were just reserved.
    pub(crate) fn send_reserved(&mut self, bytes: &[u8]) {
        self.shared.change(|mux| mux.send(self.id, bytes.len(), std::iter::once(bytes)));
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let chunk = ready!(this.poll_chunk(cx))?;
        let n = chunk.len().min(buf.remaining());
        chunk[..n].chunks(PIECE_BYTES).for_each(|piece| buf.put_slice(piece));
        this.consume_chunk(n);
        Poll::Ready(Ok(()))
    }
}

impl AsyncBufRead for Stream {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        self.get_mut().poll_chunk(cx)
    }

    fn consume(self: Pin<&mut Self>, n: usize) {
        self.get_mut().consume_chunk(n);
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    /// One frame from as much of `bufs` as credit and room allow.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let want = bufs.iter().map(|buf| buf.len()).sum();
        if want == 0 {
            return Poll::Ready(Ok(0));
        }
        let id = self.id;
        let written = self.shared.change(|mux| {
            let len = ready!(mux.poll_reserve(id, want, cx.waker()))?;
            mux.send(id, len, bufs.iter().map(|buf| &**buf));
            Poll::Ready(Ok(len))
        });
        written.map_err(|error: crate::StreamError| error.into())
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shared.change(|mux| mux.finish(self.id)).map_err(Into::into))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.change(|mux| mux.drop_handle(self.id));
    }
}
