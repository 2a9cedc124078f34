//! The bytes of one client connection, and what may go wrong with them: heads that never end, clients that take
//! nothing, floods of HTTP/2 frames. For what hyper serves; the proxy's own server watches its bytes itself.

use super::EdgeLimits;
use super::gathered::Gathered;
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
    /// Over HTTP/2, what leaves at the connection's next turn, which comes after that of all who are ready now.
    gathered: Gathered,
    is_turn_asked_for: bool,
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
            gathered: Gathered::default(),
            is_turn_asked_for: false,
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
        self.count_sent(n);
    }

    fn count_sent(&mut self, n: usize) {
        if let Some(meter) = &mut self.meter {
            meter.sent(n);
        }
    }

    fn is_http2(&self) -> bool {
        self.meter.as_ref().is_some_and(|meter| meter.is_http2() == Some(true))
    }
}

impl<IO: AsyncWrite + Unpin> ClientIo<IO> {
    /// Takes a small write over HTTP/2; `None` where it is to be made at once, behind which nothing waits.
    fn poll_gather(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<Option<usize>>> {
        if !self.is_http2() {
            return Poll::Ready(Ok(None));
        }
        let n = slices.iter().map(|slice| slice.len()).sum();
        if !self.gathered.has_room(n) {
            ready!(self.poll_gathered(cx))?;
        }
        if !self.gathered.has_room(n) {
            return Poll::Ready(Ok(None));
        }
        self.gathered.put(slices);
        self.count_sent(n);
        Poll::Ready(Ok(Some(n)))
    }

    /// Sends what was gathered as far as the client.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.gathered.is_empty() && !self.is_turn_asked_for {
            return Poll::Ready(Ok(()));
        }
        let n_before = self.gathered.len();
        let written = self.gathered.poll_write(cx, &mut self.io)?;
        if self.gathered.len() < n_before {
            self.writes.clear();
        }
        if written.is_ready() && Pin::new(&mut self.io).poll_flush(cx)?.is_ready() {
            self.is_turn_asked_for = false;
            self.writes.clear();
            return Poll::Ready(Ok(()));
        }
        self.poll_stalled(cx).map(Err)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for ClientIo<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // A client that takes nothing may still send, until it has stalled for too long.
        let _waits = this.poll_gathered(cx)?;
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
        if let Some(n) = ready!(this.poll_gather(cx, &[IoSlice::new(bytes)]))? {
            return Poll::Ready(Ok(n));
        }
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
        if let Some(n) = ready!(this.poll_gather(cx, slices))? {
            return Poll::Ready(Ok(n));
        }
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
        if !this.gathered.is_empty() {
            // Not at once: hyper flushes behind each answer. Reading, which each turn begins with, sends it.
            if !std::mem::replace(&mut this.is_turn_asked_for, true) {
                cx.waker().wake_by_ref();
            }
            return Poll::Ready(Ok(()));
        }
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
        ready!(this.poll_gathered(cx))?;
        match Pin::new(&mut this.io).poll_shutdown(cx)? {
            Poll::Ready(()) => Poll::Ready(Ok(())),
            Poll::Pending => this.poll_stalled(cx).map(Err),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::limits;
    use super::*;
    use std::future::poll_fn;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    /// Counts how often it is written to.
    struct Counting {
        io: DuplexStream,
        n_writes: usize,
    }

    impl AsyncRead for Counting {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_read(cx, buffer)
        }
    }

    impl AsyncWrite for Counting {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bytes: &[u8],
        ) -> Poll<io::Result<usize>> {
            self.n_writes += 1;
            Pin::new(&mut self.io).poll_write(cx, bytes)
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_flush(cx)
        }

        fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.io).poll_shutdown(cx)
        }
    }

    /// A connection on which a client has said this.
    async fn heard(first: &[u8]) -> (ClientIo<Counting>, DuplexStream) {
        let (io, mut client) = duplex(1 << 20);
        let io = Counting { io, n_writes: 0 };
        let mut ours = ClientIo::new(io, Arc::new(limits()), Arc::default());
        client.write_all(first).await.unwrap();
        ours.read_exact(&mut vec![0; first.len()]).await.unwrap();
        (ours, client)
    }

    /// A turn that finds nothing to read.
    async fn turn(ours: &mut ClientIo<Counting>) {
        let mut byte = [0];
        let looked = poll_fn(|cx| {
            Poll::Ready(Pin::new(&mut *ours).poll_read(cx, &mut ReadBuf::new(&mut byte)))
        });
        assert!(looked.await.is_pending());
    }

    #[tokio::test]
    async fn small_writes_over_http2_leave_together_at_the_next_turn_and_large_ones_at_once() {
        let (mut ours, mut client) = heard(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        for answer in [b"one", b"two", b"six"] {
            ours.write_all(answer).await.unwrap();
            ours.flush().await.unwrap();
        }
        assert_eq!(ours.io.n_writes, 0);
        turn(&mut ours).await;
        assert_eq!(ours.io.n_writes, 1);
        ours.write_all(b"end").await.unwrap();
        let large = vec![b'x'; 20_000];
        ours.write_all(&large).await.unwrap();
        assert_eq!(ours.io.n_writes, 3, "what waited goes before it");
        ours.write_all(b"bye").await.unwrap();
        ours.shutdown().await.unwrap();
        let mut got = Vec::new();
        client.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, [&b"onetwosixend"[..], &large, b"bye"].concat());
    }

    #[tokio::test]
    async fn other_protocols_write_at_once() {
        let (mut ours, mut client) = heard(b"GET / HTTP/1.1\r\n").await;
        ours.write_all(b"one").await.unwrap();
        assert_eq!(ours.io.n_writes, 1);
        client.read_exact(&mut [0; 3]).await.unwrap();
    }
}
