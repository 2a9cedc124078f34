//! The end of what a command wrote, and how far its client has it.

use std::collections::VecDeque;

/// Output kept for a client that comes back.
const KEPT_BYTES_MAX: usize = 256 << 10;
/// Output that waits for its client, beyond which the command has to.
const UNSENT_BYTES_MAX: usize = 64 << 10;
/// Most bytes of one frame.
const PIECE_BYTES_MAX: usize = 32 << 10;

/// A window over the output that moves on with it.
#[derive(Debug, Default)]
pub(super) struct Scrollback {
    kept: VecDeque<u8>,
    /// How many of the last kept bytes the client has not been sent.
    unsent: usize,
    /// Something was dropped before what is kept.
    is_cut: bool,
}

impl Scrollback {
    /// Keeps more; the oldest goes where there is no room.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.kept.extend(bytes);
        let surplus = self.kept.len().saturating_sub(KEPT_BYTES_MAX);
        self.kept.drain(..surplus);
        self.is_cut |= surplus > 0;
        self.unsent = (self.unsent + bytes.len()).min(self.kept.len());
    }

    /// Whether the client is so far behind that the command has to wait for it.
    pub(super) fn is_full(&self) -> bool {
        self.unsent >= UNSENT_BYTES_MAX
    }

    /// Whether the client has everything.
    pub(super) fn is_sent(&self) -> bool {
        self.unsent == 0
    }

    /// The next bytes for the client, `max` at most.
    pub(super) fn take(&mut self, max: usize) -> Vec<u8> {
        let n = self.unsent.min(max).min(PIECE_BYTES_MAX);
        let from = self.kept.len() - self.unsent;
        self.unsent -= n;
        self.kept.range(from..from + n).copied().collect()
    }

    /// From the beginning again, for another client. What was cut begins with a whole line, since half of a control
    /// sequence would be shown as text.
    pub(super) fn rewind(&mut self) {
        let cut = self.kept.iter().position(|byte| *byte == b'\n').filter(|_| self.is_cut);
        self.unsent = self.kept.len() - cut.map_or(0, |newline| newline + 1);
    }

    /// Nobody will come for it.
    pub(super) fn skip(&mut self) {
        self.unsent = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(of: &mut Scrollback) -> Vec<u8> {
        std::iter::from_fn(|| Some(of.take(usize::MAX)).filter(|piece| !piece.is_empty()))
            .flatten()
            .collect()
    }

    #[test]
    fn each_client_gets_everything_once() {
        let mut output = Scrollback::default();
        output.push(b"one ");
        assert_eq!(output.take(2), b"on");
        output.push(b"two");
        assert_eq!(all(&mut output), b"e two");
        assert!(output.is_sent());
        output.rewind();
        assert_eq!(all(&mut output), b"one two");
        output.rewind();
        output.skip();
        assert!(output.take(9).is_empty());
    }

    #[test]
    fn the_oldest_goes_and_what_is_left_begins_with_a_line() {
        let mut output = Scrollback::default();
        let line = [b'x'; 1023].into_iter().chain([b'\n']).collect::<Vec<_>>();
        for n in 0..400 {
            assert_eq!(output.is_full(), n >= 64, "{n}");
            output.push(&line);
        }
        output.push(b"end");
        output.rewind();
        let kept = all(&mut output);
        assert!(kept.len() <= KEPT_BYTES_MAX && kept.len() > KEPT_BYTES_MAX - 2048);
        assert!(kept.starts_with(b"xxx") && kept.ends_with(b"\nend"));
        assert_eq!((kept.len() - 3) % 1024, 0);
    }
}
