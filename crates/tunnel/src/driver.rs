//! The task that moves bytes between the connection and the state machine.
//!
//! Each time it runs it reads what the connection has, at most a budget; wakes the tasks
//! concerned; and writes what the outbox holds. It is woken by the first handle that queues
//! something and runs after the tasks that were ready before it, so the frames of all of them
//! leave in one write; alone on the tunnel, a frame leaves as soon as its writer waits.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncBufRead, AsyncWrite};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::mux::Mux;
use crate::queue::PIECE_BYTES;
use crate::shared::{Incoming, Shared, Tunnel};
use crate::{CloseReason, GoAway, Limits, Role};

/// Pieces of one write at most: 128 KiB, so that what is sealed is still in the processor's cache
/// when it is sent.
const WRITE_PIECES: usize = 64;

/// Starts one end of a tunnel over a connection on which the handshake is done.
///
/// The caller spawns the [`Driver`]; nothing moves without it, and dropping it ends the tunnel.
/// Call it within a tokio runtime. TCP connections should have `TCP_NODELAY` set, on both ends.
pub fn start<IO>(io: IO, role: Role, limits: Limits) -> (Tunnel, Incoming, Driver<IO>)
where
    IO: AsyncBufRead + AsyncWrite + Send + Unpin + 'static,
{
    let now = Instant::now();
    let shared = Shared::new(Mux::new(role, limits.clone(), now.into_std()), limits.clone());
    let driver = Driver {
        io,
        shared: Arc::clone(&shared),
        limits,
        timer: Box::pin(sleep_until(now)),
        woken: Vec::new(),
        flush_io: false,
        parting: Parting::No,
    };
    (Tunnel { shared: Arc::clone(&shared) }, Incoming { shared }, driver)
}

/// Drives one end of a tunnel; resolves when the tunnel has ended and the connection is shut.
#[derive(Debug)]
pub struct Driver<IO> {
    io: IO,
    shared: Arc<Shared>,
    limits: Limits,
    timer: Pin<Box<Sleep>>,
    /// Kept between polls for its capacity.
    woken: Vec<Waker>,
    /// Something was written to a connection that may buffer.
    flush_io: bool,
    parting: Parting,
}

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parting {
    No,
    /// The tunnel has ended; the timer bounds how long the last frames may take.
    Flushing,
    ShuttingDown,
}

impl<IO: AsyncBufRead + AsyncWrite + Unpin> Future for Driver<IO> {
    type Output = CloseReason;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CloseReason> {
        let this = self.get_mut();
        this.shared.lock().driver_runs(cx.waker());
        if this.parting == Parting::No {
            this.poll_timer(cx);
            let read = this.poll_receive(cx);
            this.wake_all();
            let sent = this.poll_send(cx);
            if sent.is_err() && read.is_ok() {
                // The peer may have said why before it went.
                this.poll_receive(cx).ok();
            }
            this.wake_all();
            if let Err(error) = read.and(sent) {
                this.lose(&error);
            }
        }
        let Some(reason) = this.shared.lock().mux.end() else { return Poll::Pending };
        ready!(this.poll_part(cx, reason));
        Poll::Ready(reason)
    }
}

impl<IO: AsyncBufRead + AsyncWrite + Unpin> Driver<IO> {
    fn poll_timer(&mut self, cx: &mut Context<'_>) {
        while self.timer.as_mut().poll(cx).is_ready() {
            let mut state = self.shared.lock();
            let next = state.mux.tick(Instant::now().into_std());
            let ended = state.mux.end().is_some();
            drop(state);
            if ended {
                return;
            }
            self.timer.as_mut().reset(Instant::from_std(next));
        }
    }

    /// Takes in what the connection has until it has no more, or the budget is spent.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut budget = self.limits.read_budget_bytes;
        loop {
            let Poll::Ready(bytes) = Pin::new(&mut self.io).poll_fill_buf(cx)? else {
                return Ok(());
            };
            if bytes.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let now = Instant::now().into_std();
            let mut state = self.shared.lock();
            state.mux.receive(bytes, now);
            state.mux.take_woken(&mut self.woken);
            let ended = state.mux.end().is_some();
            drop(state);
            let n = bytes.len();
            Pin::new(&mut self.io).consume(n);
            budget = budget.saturating_sub(n);
            if ended {
                return Ok(());
            }
            if budget == 0 {
                cx.waker().wake_by_ref();
                return Ok(());
            }
        }
    }

    /// Writes until the outbox is empty or the connection takes no more, then gives turns.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut state = self.shared.lock();
        while !state.mux.outbox.is_empty() {
            let written = {
                let slices = state.mux.outbox.slices();
                poll_write_slices(Pin::new(&mut self.io), cx, &slices)
            };
            match written {
                Poll::Pending => break,
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(n)) => state.mux.outbox.consume(n),
                Poll::Ready(Err(error)) => return Err(error),
            }
            self.flush_io = true;
        }
        if state.mux.give_turns() {
            cx.waker().wake_by_ref();
        }
        state.mux.take_woken(&mut self.woken);
        drop(state);
        if self.flush_io && Pin::new(&mut self.io).poll_flush(cx)?.is_ready() {
            self.flush_io = false;
        }
        Ok(())
    }

    fn wake_all(&mut self) {
        self.woken.drain(..).for_each(Waker::wake);
    }

    fn lose(&mut self, error: &io::Error) {
        let mut state = self.shared.lock();
        state.mux.fail_all(CloseReason::ConnectionLost(error.kind()));
        state.mux.take_woken(&mut self.woken);
        drop(state);
        self.wake_all();
    }

    /// After the end: announces it, sends the last frames if the peer still takes any, shuts the
    /// connection.
    fn poll_part(&mut self, cx: &mut Context<'_>, reason: CloseReason) -> Poll<()> {
        if self.parting == Parting::No {
            let mut state = self.shared.lock();
            state.mux.take_woken(&mut self.woken);
            drop(state);
            self.wake_all();
            self.shared.announce_end();
            tracing::debug!(%reason, "tunnel ended");
            self.timer.as_mut().reset(Instant::now() + self.limits.close_deadline);
            let says_goodbye = matches!(reason, CloseReason::Closed | CloseReason::Violation(_));
            self.parting = if says_goodbye { Parting::Flushing } else { Parting::ShuttingDown };
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        if self.parting == Parting::Flushing {
            let sent = self.poll_send(cx);
            let done = self.shared.lock().mux.outbox.is_empty() && !self.flush_io;
            if sent.is_ok() && !done {
                return Poll::Pending;
            }
            self.parting = Parting::ShuttingDown;
        }
        Pin::new(&mut self.io).poll_shutdown(cx).map(|_| ())
    }
}

impl<IO> Drop for Driver<IO> {
    fn drop(&mut self) {
        self.shared.close(CloseReason::DriverStopped, GoAway::Normal);
    }
}

/// One write of as much of the slices as [`WRITE_PIECES`] hold; one piece goes without the vector.
fn poll_write_slices<IO: AsyncWrite>(
    io: Pin<&mut IO>,
    cx: &mut Context<'_>,
    slices: &[IoSlice<'_>; 3],
) -> Poll<io::Result<usize>> {
    let mut pieces = [IoSlice::new(&[]); WRITE_PIECES];
    let mut n = 0;
    let cut = slices.iter().flat_map(|slice| slice.chunks(PIECE_BYTES));
    for (piece, bytes) in pieces.iter_mut().zip(cut) {
        *piece = IoSlice::new(bytes);
        n += 1;
    }
    match &pieces[..n] {
        [only] => io.poll_write(cx, only),
        pieces if io.is_write_vectored() => io.poll_write_vectored(cx, pieces),
        pieces => io.poll_write(cx, &pieces[0]),
    }
}
