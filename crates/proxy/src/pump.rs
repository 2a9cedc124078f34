//! Bytes both ways between two streams, with half-close, holding no buffer while nothing moves.
//!
//! Thousands of idle WebSockets are the normal case: what is read goes through a scratch buffer of the thread, and only
//! what the other side does not take at once is kept.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::grants::Revoked;

/// Large enough for bulk, small enough for a thread to keep.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Reads one direction may make before other tasks get their turn.
const READS_PER_TURN: usize = 16;

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// Copies both ways until both directions have ended. The end of one direction is passed on and the other goes on.
/// `early` goes to `a` before anything that is read from `b`.
///
/// # Errors
/// When either side breaks off.
async fn pump<A, B>(mut a: A, mut b: B, early: &[u8]) -> io::Result<()>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let mut there = Direction::default();
    let mut back = Direction { kept: early.to_vec(), ..Direction::default() };
    std::future::poll_fn(|cx| {
        let there = there.poll(cx, &mut a, &mut b)?;
        let back = back.poll(cx, &mut b, &mut a)?;
        if there.is_ready() && back.is_ready() { Poll::Ready(Ok(())) } else { Poll::Pending }
    })
    .await
}

/// Copies both ways, `early` to the client first, until both directions have ended, one side breaks off, or access is withdrawn.
pub(crate) async fn pump_while_allowed<A, B>(client: A, app: B, early: &[u8], revoked: Revoked)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let pumping = pump(client, app, early);
    let ended = tokio::select! {
        ended = pumping => ended,
        () = revoked => {
            tracing::debug!("socket closed: access was withdrawn");
            return;
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error = %error, "socket broke off");
    }
}

/// One direction: what is still to be written, and how far its end has come.
#[derive(Debug, Default)]
struct Direction {
    kept: Vec<u8>,
    n_written: usize,
    needs_flush: bool,
    has_ended: bool,
    is_done: bool,
}

impl Direction {
    fn poll<R, W>(&mut self, cx: &mut Context<'_>, from: &mut R, to: &mut W) -> Poll<io::Result<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        if self.is_done {
            return Poll::Ready(Ok(()));
        }
        for _turn in 0..READS_PER_TURN {
            ready!(self.poll_write_kept(cx, to))?;
            if self.has_ended {
                ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                self.is_done = true;
                return Poll::Ready(Ok(()));
            }
            let moved = SCRATCH.with_borrow_mut(|scratch| self.poll_move(cx, from, to, scratch))?;
            if moved.is_pending() {
                if self.needs_flush {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    self.needs_flush = false;
                }
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One read, and as much of it written as goes at once.
    fn poll_move<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        scratch: &mut [u8],
    ) -> io::Result<Poll<()>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let mut buffer = ReadBuf::new(scratch);
        if Pin::new(from).poll_read(cx, &mut buffer)?.is_pending() {
            return Ok(Poll::Pending);
        }
        let mut rest = buffer.filled();
        if rest.is_empty() {
            self.has_ended = true;
        }
        self.needs_flush |= !rest.is_empty();
        while !rest.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, rest)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(n) => rest = &rest[n..],
                Poll::Pending => {
                    self.kept = rest.to_vec();
                    self.n_written = 0;
                    break;
                }
            }
        }
        Ok(Poll::Ready(()))
    }

    fn poll_write_kept<W>(&mut self, cx: &mut Context<'_>, to: &mut W) -> Poll<io::Result<()>>
    where
        W: AsyncWrite + Unpin,
    {
        while self.n_written < self.kept.len() {
            let n = ready!(Pin::new(&mut *to).poll_write(cx, &self.kept[self.n_written..]))?;
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.n_written += n;
        }
        if self.n_written > 0 {
            self.needs_flush = true;
            // Given back and not kept for later: most sockets are idle most of the time.
            self.kept = Vec::new();
            self.n_written = 0;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn bytes_go_both_ways_and_a_half_close_is_passed_on() {
        let (mut client, near) = duplex(1000);
        let (far, mut app) = duplex(77);
        let pumping = tokio::spawn(pump(near, far, b"hello "));
        let sent: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let (mut read_half, mut write_half) = tokio::io::split(&mut client);
        let writing = async {
            write_half.write_all(&sent).await.unwrap();
            write_half.shutdown().await.unwrap();
        };
        let reading = async {
            let mut got = Vec::new();
            app.read_to_end(&mut got).await.unwrap();
            // The other direction still works after the end of this one.
            app.write_all(b"and bye").await.unwrap();
            app.shutdown().await.unwrap();
            got
        };
        let ((), got) = tokio::join!(writing, reading);
        assert!(got == sent);
        let mut back = Vec::new();
        read_half.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"hello and bye");
        pumping.await.unwrap().unwrap();
    }
}
