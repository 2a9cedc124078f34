//! Bytes both ways between two streams, with half-close, holding no buffer while nothing moves.
//!
//! Thousands of idle WebSockets are the normal case: what is read goes through a scratch buffer of the thread, and only
//! what the other side does not take at once is kept.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use limits::Stall;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::budgets::SocketPlace;
use crate::grants::Revoked;
use crate::peer::Farewell;
use crate::socket::frames::{self, Frames};

/// Large enough for bulk, small enough for a thread to keep.
const SCRATCH_BYTES: usize = 64 * 1024;
/// Reads one direction may make before other tasks get their turn.
const READS_PER_TURN: usize = 16;
/// How long a client may take to hear that access was withdrawn.
const GOODBYE_WAIT: Duration = Duration::from_millis(500);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// What an open socket holds, and what ends it.
#[derive(Debug)]
pub(crate) struct Lease {
    revoked: Revoked,
    place: SocketPlace,
    /// How long the client may take nothing that is to be sent to it.
    stall_timeout: Duration,
}

impl Lease {
    pub(crate) fn new(revoked: Revoked, place: SocketPlace, stall_timeout: Duration) -> Self {
        Self { revoked, place, stall_timeout }
    }

    /// Counts bytes from the client and to it.
    fn count(&self, there: &mut usize, back: &mut usize) {
        let Some(traffic) = self.place.open.traffic() else { return };
        if *there > 0 {
            traffic.add_in(std::mem::take(there));
        }
        if *back > 0 {
            traffic.add_out(std::mem::take(back));
        }
    }

    fn broke_off(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::TimedOut {
            // What is on its way in an HTTP/2 connection can only be let go with it.
            self.place.peer.say(Farewell::Now);
        }
        tracing::debug!(error = %error, "socket broke off");
    }
}

/// Copies both ways until both directions have ended. The end of one direction is passed on and the other goes on.
/// An app may be busy for as long as it likes; a client that takes nothing for a while has gone, or means us ill.
pub(crate) struct Pump<A, B> {
    client: A,
    app: B,
    there: Direction,
    back: Direction,
    stall: Stall,
    /// Moves to the client when it was last looked at whether it stalls.
    n_moves_seen: u64,
}

impl<A, B> Pump<A, B>
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    /// `early` goes to the client before anything that is read from the app.
    pub(crate) fn new(client: A, app: B, early: &[u8]) -> Self {
        let back = Direction { kept: early.to_vec(), counts: true, ..Direction::default() };
        let (there, stall) = (Direction { counts: true, ..Direction::default() }, Stall::default());
        Self { client, app, there, back, stall, n_moves_seen: 0 }
    }

    /// The same for a WebSocket, whose client is told when access is withdrawn.
    pub(crate) fn of_frames(client: A, app: B, early: &[u8]) -> Self {
        let mut pump = Self::new(client, app, early);
        let mut frames = Frames::default();
        frames.pass(early);
        pump.back.frames = Some(frames);
        // What the client says is use; what the app sends, and what keeps the socket alive, is none.
        pump.there.frames = Some(Frames::default());
        pump.back.counts = false;
        pump
    }

    /// Whether somebody has used the app since this was last asked.
    fn take_was_used(&mut self) -> bool {
        let there = self.there.take_was_used();
        self.back.take_was_used() || there
    }

    /// Runs until both directions have ended, one side breaks off, the client stalls, or access is withdrawn.
    pub(crate) fn run_while_allowed(self, lease: Lease) -> Guarded<A, B> {
        Guarded { pump: Some(self), lease, goodbye: None }
    }

    /// `TimedOut` for a client that stalls.
    fn poll(&mut self, cx: &mut Context<'_>, stall_timeout: Duration) -> Poll<io::Result<()>> {
        let there = self.there.poll(cx, &mut self.client, &mut self.app)?;
        let back = self.back.poll(cx, &mut self.app, &mut self.client)?;
        if there.is_ready() && back.is_ready() {
            return Poll::Ready(Ok(()));
        }
        if !self.back.is_blocked() || self.back.n_moves != self.n_moves_seen {
            self.stall.clear();
            self.n_moves_seen = self.back.n_moves;
        }
        if self.back.is_blocked() && self.stall.poll(cx, stall_timeout).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    /// Tells a WebSocket's client why it ends, where that can be said between two frames of the app's.
    async fn say_goodbye(mut self) -> io::Result<()> {
        let Some(frames) = &self.back.frames else { return Ok(()) };
        if !frames.is_between() || self.back.has_ended {
            return Ok(());
        }
        // The app's side ends at once; what it had said before that still belongs to whole frames.
        drop(self.app);
        let kept = &self.back.kept[self.back.n_written..];
        self.client.write_all(kept).await?;
        self.client.write_all(&frames::goodbye("access was withdrawn")).await?;
        self.client.shutdown().await?;
        // Closing with unread bytes would reset the connection, and the goodbye with it.
        let mut unread = [0; 1024];
        while self.client.read(&mut unread).await? > 0 {}
        Ok(())
    }
}

/// A pump that ends with the right to it. No async function: it would keep room for the pump twice, in every socket.
pub(crate) struct Guarded<A, B> {
    pump: Option<Pump<A, B>>,
    lease: Lease,
    /// The last words, once access is withdrawn.
    goodbye: Option<BoxFuture<'static, ()>>,
}

impl<A, B> Future for Guarded<A, B>
where
    A: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    B: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if let Some(pump) = &mut this.pump {
            if Pin::new(&mut this.lease.revoked).poll(cx).is_pending() {
                let polled = pump.poll(cx, this.lease.stall_timeout);
                this.lease.count(&mut pump.there.n_uncounted, &mut pump.back.n_uncounted);
                if pump.take_was_used() {
                    this.lease.place.note_use();
                }
                let ended = ready!(polled);
                if let Err(error) = ended {
                    this.lease.broke_off(&error);
                }
                return Poll::Ready(());
            }
            tracing::debug!("socket closed: access was withdrawn");
        }
        if let Some(pump) = this.pump.take() {
            // Dropped where the client does not listen.
            let said = tokio::time::timeout(GOODBYE_WAIT, pump.say_goodbye());
            this.goodbye = Some(said.map(drop).boxed());
        }
        this.goodbye.as_mut().map_or(Poll::Ready(()), |goodbye| goodbye.as_mut().poll(cx))
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
    /// Where a frame may be put in between, and whether it is data; counts what was read.
    frames: Option<Frames>,
    /// Whether what passes is use of the app.
    counts: bool,
    /// Whether something has passed since it was last asked.
    was_used: bool,
    /// Writes that took something.
    n_moves: u64,
    /// Bytes that were read and not counted yet.
    n_uncounted: usize,
}

impl Direction {
    fn take_was_used(&mut self) -> bool {
        let passed = std::mem::take(&mut self.was_used);
        let is_data = self.frames.as_mut().is_none_or(Frames::take_has_data);
        self.counts && passed && is_data
    }

    /// Whether there is something that its target does not take.
    fn is_blocked(&self) -> bool {
        !self.is_done && (!self.kept.is_empty() || self.needs_flush || self.has_ended)
    }

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
        if let Some(frames) = &mut self.frames {
            frames.pass(rest);
        }
        self.n_uncounted += rest.len();
        self.was_used |= !rest.is_empty();
        self.needs_flush |= !rest.is_empty();
        while !rest.is_empty() {
            match Pin::new(&mut *to).poll_write(cx, rest)? {
                Poll::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(n) => {
                    rest = &rest[n..];
                    self.n_moves += 1;
                }
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
            self.n_moves += 1;
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
    use tokio::io::duplex;

    use super::*;

    const BOUND: Duration = Duration::from_secs(10);

    #[tokio::test]
    async fn bytes_go_both_ways_and_a_half_close_is_passed_on() {
        let (mut client, near) = duplex(1000);
        let (far, mut app) = duplex(77);
        let mut pump = Pump::new(near, far, b"hello ");
        let pumping =
            tokio::spawn(async move { std::future::poll_fn(|cx| pump.poll(cx, BOUND)).await });
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

    /// What the client of a socket still hears after the app has said `app`.
    async fn heard_at_the_end(app: &'static [u8]) -> Vec<u8> {
        let (mut client, near) = duplex(1000);
        let (far, mut said) = duplex(1000);
        let mut pump = Pump::of_frames(near, far, b"");
        said.write_all(app).await.unwrap();
        let mut before = vec![0; app.len()];
        tokio::select! {
            _ = std::future::poll_fn(|cx| pump.poll(cx, BOUND)) => unreachable!("nobody closes"),
            _ = client.read_exact(&mut before) => {}
        }
        let goodbye = tokio::spawn(async move { pump.say_goodbye().await.unwrap() });
        let mut after = Vec::new();
        client.read_to_end(&mut after).await.unwrap();
        drop(client);
        goodbye.await.unwrap();
        after
    }

    #[tokio::test]
    async fn a_goodbye_is_said_between_frames_alone() {
        let goodbye = frames::goodbye("access was withdrawn");
        assert_eq!(heard_at_the_end(b"").await, goodbye);
        assert_eq!(heard_at_the_end(b"\x81\x02hi").await, goodbye);
        assert_eq!(heard_at_the_end(b"\x81\x02h").await, b"");
    }

    #[tokio::test(start_paused = true)]
    async fn t41_a_client_that_takes_nothing_ends_its_socket_and_an_idle_one_does_not() {
        let (mut client, near) = duplex(100);
        let (far, mut app) = duplex(100);
        let begin = tokio::time::Instant::now();
        let mut pump = Pump::new(near, far, b"");
        let pumping =
            tokio::spawn(async move { std::future::poll_fn(|cx| pump.poll(cx, BOUND)).await });
        // Nothing is to be sent for an hour: that is no stall.
        tokio::time::sleep(Duration::from_secs(3600)).await;
        app.write_all(&[1; 100]).await.unwrap();
        app.write_all(&[2; 100]).await.unwrap();
        // The client takes a little every now and then.
        for _ in 0..5 {
            tokio::time::sleep(Duration::from_secs(9)).await;
            client.read_exact(&mut [0; 10]).await.unwrap();
        }
        assert!(!pumping.is_finished());
        let ended = pumping.await.unwrap().unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed().as_secs(), 3600 + 5 * 9 + 10);
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_may_be_busy_for_as_long_as_it_likes() {
        let (mut client, near) = duplex(100);
        let (far, _busy) = duplex(100);
        let mut pump = Pump::new(near, far, b"");
        let pumping =
            tokio::spawn(async move { std::future::poll_fn(|cx| pump.poll(cx, BOUND)).await });
        client.write_all(&[1; 200]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert!(!pumping.is_finished());
    }
}
