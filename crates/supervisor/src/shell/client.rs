//! One client of a session: frames over a stream of the tunnel, and how much of the output it has not taken yet.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use model::shell::{self, FromShell, MalformedFrame, OUTPUT_WINDOW_BYTES, ShellRefusal, ToShell};
use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tunnel::Stream;

/// Frames that wait to be written, beyond which no more output is put behind them.
const OUTBOX_BYTES_MAX: usize = 64 << 10;
/// How long a client may take to take what is said last.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(5);

/// A client and its stream.
#[derive(Debug)]
pub(super) struct Client {
    stream: Stream,
    inbox: Vec<u8>,
    outbox: Vec<u8>,
    /// Bytes of output sent that the client has not said to have taken.
    in_flight: u32,
    /// It has gone, and its controller stays to hear of the end.
    pub(super) is_away: bool,
}

impl Client {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, inbox: Vec::new(), outbox: Vec::new(), in_flight: 0, is_away: false }
    }

    /// The next frame; none once the client has gone, or speaks nonsense.
    pub(super) async fn frame(&mut self) -> Option<ToShell> {
        poll_fn(|cx| self.poll_frame(cx)).await
    }

    /// Poll form of [`Self::frame`].
    pub(super) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<ToShell>> {
        loop {
            match self.take_frame() {
                Ok(Some(frame)) => return Poll::Ready(Some(frame)),
                Ok(None) => {}
                Err(MalformedFrame) => return Poll::Ready(None),
            }
            let mut bytes = [0; 8192];
            let mut buffer = ReadBuf::new(&mut bytes);
            match ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)) {
                Ok(()) if !buffer.filled().is_empty() => {
                    self.inbox.extend_from_slice(buffer.filled());
                }
                Ok(()) | Err(_) => return Poll::Ready(None),
            }
        }
    }

    fn take_frame(&mut self) -> Result<Option<ToShell>, MalformedFrame> {
        let Some(frame) = shell::take_frame(&mut self.inbox)? else { return Ok(None) };
        ToShell::decode(&frame).map(Some)
    }

    /// How much output may be sent now.
    pub(super) fn room(&self) -> usize {
        if self.is_away || self.outbox.len() >= OUTBOX_BYTES_MAX {
            return 0;
        }
        usize::try_from(OUTPUT_WINDOW_BYTES.saturating_sub(self.in_flight)).unwrap_or(0)
    }

    /// The client has taken so many bytes more.
    pub(super) fn taken(&mut self, n: u32) {
        self.in_flight = self.in_flight.saturating_sub(n);
    }

    /// Puts a frame behind those that wait.
    pub(super) fn queue(&mut self, frame: &FromShell) {
        if let FromShell::Output(bytes) | FromShell::ErrorOutput(bytes) = frame {
            let n = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
            self.in_flight = self.in_flight.saturating_add(n);
        }
        self.outbox.extend(shell::with_length(&frame.encode()));
    }

    /// Bytes that wait to be written.
    pub(super) fn n_waiting(&self) -> usize {
        self.outbox.len()
    }

    /// Writes until nothing waits any more.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbox.is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outbox))?;
            self.outbox.drain(..n);
        }
        Poll::Ready(Ok(()))
    }

    /// Says why there is no session (any more).
    pub(super) async fn refuse(mut self, refusal: ShellRefusal) {
        self.queue(&FromShell::Refused(refusal));
        self.finish().await;
    }

    /// Sends what waits, and the end.
    pub(super) async fn finish(mut self) {
        let finishing = async {
            poll_fn(|cx| self.poll_flush(cx)).await?;
            self.stream.shutdown().await
        };
        let finished = tokio::time::timeout(FAREWELL_TIMEOUT, finishing).await;
        tracing::trace!(?finished, "a client of a shell was let go");
    }
}
