//! What moves in a session: frames of its client, input, output, and the word of its end.

use std::task::{Context, Poll};
use std::time::Duration;

use model::shell::{FromShell, INPUT_WINDOW_BYTES, ShellEnd, ToShell};
use runtime::ExitStatus;
use tokio::time::Instant;

use super::{DRAIN_TIMEOUT, Phase, Session, Step};

/// How long a client may take nothing of what is left at the end.
const TELL_TIMEOUT: Duration = Duration::from_secs(30);
/// Signals that a client may send, by their numbers on every Linux: HUP, INT, QUIT, KILL, USR1, USR2, TERM.
const SIGNALS: [u8; 7] = [1, 2, 3, 9, 10, 12, 15];

impl Session {
    /// One frame of the client's; pending where there is none.
    pub(super) fn poll_client(&mut self, cx: &mut Context<'_>) -> Poll<Option<Step>> {
        let Some(client) = &mut self.client else { return Poll::Pending };
        let Poll::Ready(frame) = client.poll_frame(cx) else { return Poll::Pending };
        let Some(frame) = frame else {
            self.client = None;
            return Poll::Ready(self.left());
        };
        Poll::Ready(match frame {
            ToShell::Input(bytes) => self.take_input(&bytes),
            ToShell::InputEnd => {
                self.input_ends = true;
                None
            }
            ToShell::Resize(size) => {
                if let Some(channel) = self.input.as_ref().filter(|_| self.is_terminal) {
                    channel.resize(size.columns, size.rows);
                }
                None
            }
            ToShell::Signal(number) => SIGNALS.contains(&number).then_some(Step::Signal(number)),
            ToShell::Taken(n) => {
                client.taken(n);
                if let Phase::Telling(until) = &mut self.phase {
                    *until = Instant::now() + TELL_TIMEOUT;
                }
                None
            }
            ToShell::Detach => {
                client.is_away = true;
                self.left()
            }
            ToShell::End => Some(Step::HangUp("its client ended it")),
            ToShell::Begin(_) | ToShell::Open(_) => {
                self.client = None;
                self.left()
            }
        })
    }

    fn take_input(&mut self, bytes: &[u8]) -> Option<Step> {
        let room = usize::try_from(INPUT_WINDOW_BYTES).unwrap_or(0);
        if self.unwritten.len() + bytes.len() > room {
            // More than it was told to send.
            self.client = None;
            return self.left();
        }
        if self.input.is_some() {
            self.unwritten.extend(bytes);
        }
        None
    }

    /// The client is gone: a session with a terminal waits for another one.
    fn left(&mut self) -> Option<Step> {
        if !self.is_terminal {
            return Some(Step::HangUp("its client is gone"));
        }
        if let Phase::Running(until) = &mut self.phase {
            until.get_or_insert(Instant::now() + self.keep);
        }
        None
    }

    pub(super) fn poll_input(&mut self, cx: &mut Context<'_>) -> bool {
        let mut n_taken = 0_usize;
        while let Some(channel) = &self.input {
            let (bytes, _) = self.unwritten.as_slices();
            if bytes.is_empty() {
                break;
            }
            match channel.poll_write(cx, bytes) {
                Poll::Ready(Ok(n)) => {
                    self.unwritten.drain(..n);
                    n_taken += n;
                }
                // Nobody reads it any more.
                Poll::Ready(Err(_)) => self.input = None,
                Poll::Pending => break,
            }
        }
        if self.input.is_none() {
            n_taken += self.unwritten.len();
            self.unwritten.clear();
        } else if self.input_ends && self.unwritten.is_empty() && !self.is_terminal {
            self.input = None;
        }
        if let (Some(client), 1..) = (&mut self.client, n_taken) {
            client.queue(&FromShell::Taken(u32::try_from(n_taken).unwrap_or(u32::MAX)));
        }
        n_taken > 0
    }

    pub(super) fn poll_outputs(&mut self, cx: &mut Context<'_>) -> bool {
        // A client that is there is not to miss anything: the command waits for it.
        let has_client = self.client.as_ref().is_some_and(|client| !client.is_away);
        let mut moved = false;
        for output in &mut self.outputs {
            let Some(channel) = &output.channel else { continue };
            if has_client && output.kept.is_full() {
                continue;
            }
            let mut bytes = [0; 8192];
            match channel.poll_read(cx, &mut bytes) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    output.kept.push(&bytes[..n]);
                    if let Phase::Draining(until) = &mut self.phase {
                        *until = Instant::now() + DRAIN_TIMEOUT;
                    }
                }
                Poll::Ready(_) => output.channel = None,
                Poll::Pending => continue,
            }
            moved = true;
        }
        moved
    }

    /// Puts output behind the frames that wait, as much as the client may have.
    pub(super) fn send(&mut self) -> bool {
        let Some(client) = &mut self.client else { return false };
        let mut moved = false;
        for output in &mut self.outputs {
            let bytes = output.kept.take(client.room());
            if bytes.is_empty() {
                continue;
            }
            moved = true;
            client.queue(&match output.is_error {
                false => FromShell::Output(bytes),
                true => FromShell::ErrorOutput(bytes),
            });
        }
        moved
    }

    /// When all output is read and sent, the end is told. True when there is nothing left to do.
    pub(super) fn tell(&mut self) -> bool {
        let Some(status) = self.status else { return false };
        if self.outputs.iter().any(|output| output.channel.is_some()) {
            return false;
        }
        let Some(client) = &mut self.client else { return true };
        if client.is_away {
            self.outputs.iter_mut().for_each(|output| output.kept.skip());
        }
        if !matches!(self.phase, Phase::Telling(_)) {
            self.phase = Phase::Telling(Instant::now() + TELL_TIMEOUT);
        }
        if self.outputs.iter().all(|output| output.kept.is_sent()) {
            client.queue(&FromShell::Ended(match status {
                ExitStatus::Code(code) => ShellEnd::Code(code),
                ExitStatus::Signal(signal) => ShellEnd::Signal(signal),
            }));
            // It leaves with the farewell.
            return true;
        }
        false
    }

    /// True where there is room for more behind what was written. A stream that failed says so to who reads it.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(client) = &mut self.client else { return false };
        let before = client.n_waiting();
        match client.poll_flush(cx) {
            Poll::Ready(Err(_)) => false,
            Poll::Ready(Ok(())) | Poll::Pending => client.n_waiting() < before,
        }
    }
}
