//! Bytes of a message on their way: its head, a piece of its body, and what follows that. What is there together leaves
//! in one write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::AsyncWrite;

/// What is still to be written.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// Heads, size lines, trailers, and pieces that are not worth a place of their own.
    pub(crate) out: BytesMut,
    /// A piece that is not copied.
    data: Bytes,
    /// What follows it.
    tail: &'static [u8],
}

impl Outgoing {
    pub(crate) fn is_empty(&self) -> bool {
        self.out.is_empty() && !self.has_piece()
    }

    /// Whether there is a piece behind which nothing can be put before it has left.
    pub(crate) fn has_piece(&self) -> bool {
        !self.data.is_empty() || !self.tail.is_empty()
    }

    /// Puts a piece and what follows it behind all else.
    pub(crate) fn put_piece(&mut self, data: Bytes, tail: &'static [u8]) {
        debug_assert!(!self.has_piece(), "one piece at a time");
        self.data = data;
        self.tail = tail;
    }

    /// Writes until nothing is left; answers whether anything left, also where not all of it did.
    pub(crate) fn poll_write_all<W>(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut W,
    ) -> (bool, Poll<io::Result<()>>)
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let mut has_moved = false;
        while !self.is_empty() {
            match self.poll_write(cx, io) {
                Poll::Ready(Ok(())) => has_moved = true,
                other => return (has_moved, other),
            }
        }
        (has_moved, Poll::Ready(Ok(())))
    }

    /// One write of as much as goes.
    fn poll_write<W>(&mut self, cx: &mut Context<'_>, io: &mut W) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin + ?Sized,
    {
        let io = Pin::new(io);
        let n = if !self.has_piece() {
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
        self.sent(n);
        Poll::Ready(Ok(()))
    }

    fn sent(&mut self, n: usize) {
        let of_out = n.min(self.out.len());
        self.out.advance(of_out);
        let of_data = (n - of_out).min(self.data.len());
        self.data.advance(of_data);
        if self.data.is_empty() {
            // Lets go of the buffer that it is a part of.
            self.data = Bytes::new();
        }
        self.tail = &self.tail[n - of_out - of_data..];
    }
}
