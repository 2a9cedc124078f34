//! A connection of which some bytes were read too early.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A connection whose first bytes were read already. They come first when it is read again.
#[derive(Debug)]
pub struct Rewound<IO> {
    unread: Bytes,
    io: IO,
}

impl<IO> Rewound<IO> {
    pub(super) fn new(unread: Bytes, io: IO) -> Self {
        // An empty rest of a buffer holds all of it: a socket may live for days.
        let unread = if unread.is_empty() { Bytes::new() } else { unread };
        Self { unread, io }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Rewound<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.unread.is_empty() {
            return Pin::new(&mut this.io).poll_read(cx, buffer);
        }
        let n = this.unread.len().min(buffer.remaining());
        buffer.put_slice(&this.unread[..n]);
        this.unread.advance(n);
        if this.unread.is_empty() {
            // Lets go of the buffer.
            this.unread = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Rewound<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[test]
    fn nothing_that_was_read_too_early_holds_no_buffer() {
        let mut input = BytesMut::with_capacity(8192);
        input.extend_from_slice(b"GET / HTTP/1.1\r\n\r\n");
        let head = input.split().freeze();
        let rewound = Rewound::new(input.freeze(), &b""[..]);
        assert!(head.is_unique(), "{rewound:?}");
    }

    #[tokio::test]
    async fn what_was_read_too_early_comes_first() {
        let mut rewound = Rewound::new(Bytes::from_static(b"abcdef"), &b"ghi"[..]);
        let mut few = [0; 4];
        assert_eq!(rewound.read(&mut few).await.unwrap(), 4);
        let mut rest = Vec::new();
        rewound.read_to_end(&mut rest).await.unwrap();
        assert_eq!((&few, &rest[..]), (b"abcd", &b"efghi"[..]));
    }
}
