//! Copies between a stream and a socket, both ways, without buffers of its own.
//!
//! Bytes from the socket are read into the thread's scratch buffer once the tunnel has room for
//! them, and bytes from the tunnel are written straight from the stream's chunk; so an idle
//! connection costs no buffer on either side.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::Stream;
use crate::limits::FRAME_BYTES_SENT;

/// Frames or chunks copied in one direction before other tasks get a turn.
const TURNS_PER_POLL: usize = 8;

thread_local! {
    /// What is read from a socket, on its way into the tunnel; it holds nothing between reads.
    static SCRATCH: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What a [`relay`] moved.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Relayed {
    /// Bytes from the socket into the stream.
    pub sent: u64,
    /// Bytes from the stream to the socket.
    pub received: u64,
}

/// Copies both ways until both directions have ended, passing each half-close on.
///
/// # Errors
/// The first error of either side; the stream and the socket are dropped, which resets both.
pub async fn relay<IO>(mut stream: Stream, mut io: IO) -> io::Result<Relayed>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut relayed = Relayed::default();
    let mut sending = Direction::Copying;
    let mut receiving = Direction::Copying;
    poll_fn(|cx| {
        let sent = poll_from_io(cx, &mut stream, &mut io, &mut sending, &mut relayed.sent)?;
        let received = poll_to_io(cx, &mut stream, &mut io, &mut receiving, &mut relayed.received)?;
        if sent.is_pending() && receiving == Direction::Done {
            // Nothing else would tell that the peer has dropped its end.
            stream.check_alive(cx)?;
        }
        match (sent, received) {
            (Poll::Ready(()), Poll::Ready(())) => Poll::Ready(Ok(())),
            _ => Poll::Pending::<io::Result<()>>,
        }
    })
    .await?;
    Ok(relayed)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Copying,
    /// Something was written that the socket may still buffer.
    Unflushed,
    ShuttingDown,
    Done,
}

fn poll_from_io<IO: AsyncRead + Unpin>(
    cx: &mut Context<'_>,
    stream: &mut Stream,
    io: &mut IO,
    direction: &mut Direction,
    sent: &mut u64,
) -> io::Result<Poll<()>> {
    if *direction == Direction::Done {
        return Ok(Poll::Ready(()));
    }
    for _ in 0..TURNS_PER_POLL {
        let Poll::Ready(room) = stream.poll_reserve(cx, FRAME_BYTES_SENT)? else {
            return Ok(Poll::Pending);
        };
        let n = with_scratch(|scratch| {
            let mut buf = ReadBuf::new(&mut scratch[..room]);
            ready!(Pin::new(&mut *io).poll_read(cx, &mut buf))?;
            if !buf.filled().is_empty() {
                stream.send_reserved(buf.filled());
            }
            Poll::Ready(io::Result::Ok(buf.filled().len()))
        });
        match n? {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(0) => {
                ready_now(Pin::new(&mut *stream).poll_shutdown(cx))?;
                *direction = Direction::Done;
                return Ok(Poll::Ready(()));
            }
            Poll::Ready(n) => *sent += n as u64,
        }
    }
    cx.waker().wake_by_ref();
    Ok(Poll::Pending)
}

/// A stream's shutdown only queues a frame.
fn ready_now(shutdown: Poll<io::Result<()>>) -> io::Result<()> {
    match shutdown {
        Poll::Ready(result) => result,
        Poll::Pending => Ok(()),
    }
}

fn poll_to_io<IO: AsyncWrite + Unpin>(
    cx: &mut Context<'_>,
    stream: &mut Stream,
    io: &mut IO,
    direction: &mut Direction,
    received: &mut u64,
) -> io::Result<Poll<()>> {
    let mut turns = 0;
    while matches!(direction, Direction::Copying | Direction::Unflushed) {
        if turns == TURNS_PER_POLL {
            cx.waker().wake_by_ref();
            return Ok(Poll::Pending);
        }
        turns += 1;
        let Poll::Ready(chunk) = stream.poll_chunk(cx)? else {
            if *direction == Direction::Unflushed && Pin::new(&mut *io).poll_flush(cx)?.is_ready() {
                *direction = Direction::Copying;
            }
            return Ok(Poll::Pending);
        };
        if chunk.is_empty() {
            *direction = Direction::ShuttingDown;
            break;
        }
        let Poll::Ready(n) = Pin::new(&mut *io).poll_write(cx, chunk)? else {
            return Ok(Poll::Pending);
        };
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        stream.consume_chunk(n);
        *received += n as u64;
        *direction = Direction::Unflushed;
    }
    if *direction == Direction::ShuttingDown {
        if Pin::new(&mut *io).poll_shutdown(cx)?.is_pending() {
            return Ok(Poll::Pending);
        }
        *direction = Direction::Done;
    }
    Ok(Poll::Ready(()))
}

/// Runs `f` with this thread's read buffer; a nested call gets a buffer of its own.
fn with_scratch<T>(f: impl FnOnce(&mut [u8]) -> T) -> T {
    SCRATCH.with(|scratch| match scratch.try_borrow_mut() {
        Ok(mut scratch) => {
            scratch.resize(FRAME_BYTES_SENT, 0);
            f(&mut scratch)
        }
        Err(_in_use) => f(&mut vec![0; FRAME_BYTES_SENT]),
    })
}
