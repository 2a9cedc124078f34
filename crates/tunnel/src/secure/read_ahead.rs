//! Large reads for a TLS session, which by itself asks the kernel for 4 KiB at a time.
//!
//! What was read and not yet taken lies in a buffer that belongs to the thread and is lent out for
//! as long as something is in it. So thousands of idle tunnels hold no buffers.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes of one read at most: some sixteen full TLS records.
const READ_BYTES: usize = 256 * 1024;

thread_local! {
    /// One buffer that is not lent out, for the next who needs one.
    static SPARE: RefCell<Option<Box<[u8]>>> = const { RefCell::new(None) };
}

/// A connection whose reads are large, however small the reader's are.
#[derive(Debug)]
pub struct ReadAhead<IO> {
    io: IO,
    held: Option<Held>,
}

/// Bytes read ahead.
#[derive(Debug)]
struct Held {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<IO> ReadAhead<IO> {
    pub(super) fn new(io: IO) -> Self {
        Self { io, held: None }
    }

    /// Moves held bytes to a reader; gives the buffer back with the last of them.
    fn take(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let Some(held) = &mut self.held else { return false };
        let n = buf.remaining().min(held.end - held.start);
        buf.put_slice(&held.buffer[held.start..held.start + n]);
        held.start += n;
        if held.start == held.end
            && let Some(held) = self.held.take()
        {
            give_back(held.buffer);
        }
        true
    }
}

impl<IO> Drop for ReadAhead<IO> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            give_back(held.buffer);
        }
    }
}

fn borrow() -> Box<[u8]> {
    let spare = SPARE.with_borrow_mut(Option::take);
    spare.unwrap_or_else(|| vec![0; READ_BYTES].into_boxed_slice())
}

fn give_back(buffer: Box<[u8]>) {
    // The thread is ending where its storage is gone, and the buffer with it.
    let _kept = SPARE.try_with(|spare| spare.replace(Some(buffer)));
}

impl<IO: AsyncRead + Unpin> AsyncRead for ReadAhead<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buf.remaining() == 0 || this.take(buf) {
            return Poll::Ready(Ok(()));
        }
        let mut buffer = borrow();
        let mut ahead = ReadBuf::new(&mut buffer);
        let read = Pin::new(&mut this.io).poll_read(cx, &mut ahead);
        let end = ahead.filled().len();
        if end == 0 || !matches!(read, Poll::Ready(Ok(()))) {
            give_back(buffer);
            ready!(read)?;
            return Poll::Ready(Ok(()));
        }
        this.held = Some(Held { buffer, start: 0, end });
        this.take(buf);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for ReadAhead<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_pass_whole_and_in_order_however_small_the_reads() {
        let (near, mut far) = tokio::io::duplex(64 * 1024);
        let mut near = ReadAhead::new(near);
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let expected = sent.clone();
        let writing = tokio::spawn(async move {
            far.write_all(&sent).await.unwrap();
        });
        let mut got = Vec::new();
        let mut piece = [0; 777];
        loop {
            match near.read(&mut piece).await.unwrap() {
                0 => break,
                n => got.extend_from_slice(&piece[..n]),
            }
        }
        writing.await.unwrap();
        assert!(got == expected);
        assert!(near.held.is_none(), "a drained connection holds no buffer");
    }
}
