//! Frames of HTTP/2 that cost their sender nothing and us work: counted as they pass, before anything answers them.
//!
//! PING, SETTINGS, PRIORITY, CONTINUATION, unknown frames and empty DATA need no stream and no window, so no other limit
//! meets them; RST_STREAM frees its sender's place at once ("rapid reset", CVE-2023-44487). Window updates are free as
//! long as they answer bytes that we sent. Requests and data are limited by those who take them.
//!
//! Only headers of frames are looked at (RFC 9113 section 4.1: length 24 bits, type 8, flags 8, stream 32).

use crate::bucket::{Bucket, Rate};
use crate::tick::Tick;

/// How a client begins (RFC 9113 section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const HEADER_BYTES: usize = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// Bytes sent that pay for one window update; clients that update often do so every 4 KiB, for stream and connection.
const BYTES_PER_UPDATE: u64 = 1024;
/// Nobody saves up for more updates than these bytes pay for.
const PAID_BYTES_MAX: u64 = 16 << 20;

mod kind {
    pub(super) const DATA: u8 = 0;
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const WINDOW_UPDATE: u8 = 8;
    pub(super) const CONTINUATION: u8 = 9;
}

/// What one connection's peer may send.
#[derive(Debug, Clone, Copy)]
pub struct FrameLimits {
    /// Frames that are neither requests nor data nor paid for.
    pub control: Rate,
    /// RST_STREAM.
    pub resets: Rate,
}

/// Whom the meter listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// A client, who begins with a preface, or speaks another protocol.
    Client,
    /// A server that is known to speak HTTP/2.
    Server,
}

/// Too much of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flood {
    /// Of control frames.
    Control,
    /// Of resets.
    Resets,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// So many bytes of the preface were seen.
    Preface(usize),
    /// So many of a header.
    Header(usize),
    /// So many of a payload are to come.
    Payload(u32),
    /// This is no HTTP/2.
    Other,
}

/// Follows what one peer of an HTTP/2 connection sends.
#[derive(Debug)]
pub struct FrameMeter {
    limits: FrameLimits,
    at: At,
    header: [u8; HEADER_BYTES],
    is_in_head: bool,
    control: Bucket,
    resets: Bucket,
    paid_bytes: u64,
}

impl FrameMeter {
    /// At the beginning of a connection.
    #[must_use]
    pub fn new(side: Side, limits: FrameLimits) -> Self {
        let at = match side {
            Side::Client => At::Preface(0),
            Side::Server => At::Header(0),
        };
        let header = [0; HEADER_BYTES];
        Self {
            limits,
            at,
            header,
            is_in_head: false,
            control: Bucket::default(),
            resets: Bucket::default(),
            paid_bytes: 0,
        }
    }

    /// Whether the peer speaks HTTP/2; `None` before that is known.
    #[must_use]
    pub fn is_http2(&self) -> Option<bool> {
        match self.at {
            At::Preface(_) => None,
            At::Other => Some(false),
            At::Header(_) | At::Payload(_) => Some(true),
        }
    }

    /// Whether the peer has begun the head of a request, or of an answer, and not ended it.
    #[must_use]
    pub fn is_in_head(&self) -> bool {
        self.is_in_head
    }

    /// So many bytes went to the peer.
    pub fn sent(&mut self, n_bytes: usize) {
        self.paid_bytes = self.paid_bytes.saturating_add(n_bytes as u64).min(PAID_BYTES_MAX);
    }

    /// These bytes came from the peer, wherever they were cut.
    ///
    /// # Errors
    /// Where its limits are exceeded: the connection should end.
    pub fn received(&mut self, mut bytes: &[u8], now: impl Fn() -> Tick) -> Result<(), Flood> {
        while !bytes.is_empty() {
            let n_taken = match self.at {
                At::Preface(n_seen) => self.take_preface(n_seen, bytes),
                At::Header(n_seen) => {
                    let n = (HEADER_BYTES - n_seen).min(bytes.len());
                    self.header[n_seen..n_seen + n].copy_from_slice(&bytes[..n]);
                    self.at = At::Header(n_seen + n);
                    if n_seen + n == HEADER_BYTES {
                        self.begin_frame(&now)?;
                    }
                    n
                }
                At::Payload(left) => {
                    let n = u32::try_from(bytes.len()).map_or(left, |here| left.min(here));
                    self.at = At::Payload(left - n);
                    if n == left {
                        self.end_frame();
                    }
                    n as usize
                }
                At::Other => return Ok(()),
            };
            bytes = &bytes[n_taken..];
        }
        Ok(())
    }

    fn take_preface(&mut self, n_seen: usize, bytes: &[u8]) -> usize {
        let n = (PREFACE.len() - n_seen).min(bytes.len());
        self.at = if bytes[..n] != PREFACE[n_seen..n_seen + n] {
            At::Other
        } else if n_seen + n == PREFACE.len() {
            At::Header(0)
        } else {
            At::Preface(n_seen + n)
        };
        n
    }

    fn end_frame(&mut self) {
        self.at = At::Header(0);
        let [_, _, _, kind, flags, ..] = self.header;
        if matches!(kind, kind::HEADERS | kind::CONTINUATION) && flags & END_HEADERS != 0 {
            self.is_in_head = false;
        }
    }

    fn begin_frame(&mut self, now: impl Fn() -> Tick) -> Result<(), Flood> {
        let [high, middle, low, kind, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.is_in_head |= kind == kind::HEADERS;
        self.at = At::Payload(length);
        if length == 0 {
            self.end_frame();
        }
        match kind {
            kind::HEADERS => return Ok(()),
            kind::DATA if length > 0 || flags & END_STREAM != 0 => return Ok(()),
            kind::WINDOW_UPDATE if self.paid_bytes >= BYTES_PER_UPDATE => {
                self.paid_bytes -= BYTES_PER_UPDATE;
                return Ok(());
            }
            kind::RST_STREAM => {
                self.resets.take(self.limits.resets, now()).map_err(|_wait| Flood::Resets)?
            }
            _ => self.control.take(self.limits.control, now()).map_err(|_wait| Flood::Control)?,
        }
        Ok(())
    }
}

impl std::fmt::Display for Flood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Control => "too many control frames",
            Self::Resets => "too many streams were reset",
        })
    }
}

impl std::error::Error for Flood {}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn limits(control: u32, resets: u32) -> FrameLimits {
        let rate = |n| Rate::per_second(n, Duration::from_secs(1));
        FrameLimits { control: rate(control), resets: rate(resets) }
    }

    fn meter() -> FrameMeter {
        let mut meter = FrameMeter::new(Side::Client, limits(10, 3));
        meter.received(PREFACE, at_start).unwrap();
        meter
    }

    fn at_start() -> Tick {
        Tick::after(Duration::from_secs(1))
    }

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let header = [0, 0, length, kind, flags, 0, 0, 0, 1];
        [&header[..], &vec![b'x'; usize::from(length)]].concat()
    }

    /// How many of these frames in a row pass, of 100.
    fn n_passed(meter: &mut FrameMeter, kind: u8, flags: u8, length: u8) -> usize {
        let frame = frame(kind, flags, length);
        (0..100).take_while(|_| meter.received(&frame, at_start).is_ok()).count()
    }

    #[test]
    fn t41_frames_that_cost_their_sender_nothing_are_counted() {
        // PRIORITY, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION, one that nobody knows, empty DATA.
        for (kind, length) in [(2, 5), (4, 0), (6, 8), (8, 4), (9, 3), (77, 1), (0, 0)] {
            assert_eq!(n_passed(&mut meter(), kind, 0, length), 10, "kind {kind}");
        }
        assert_eq!(n_passed(&mut meter(), kind::RST_STREAM, 0, 4), 3);
        for (kind, flags, length) in
            [(kind::HEADERS, 4, 30), (kind::DATA, 0, 1), (kind::DATA, 1, 0)]
        {
            assert_eq!(n_passed(&mut meter(), kind, flags, length), 100, "kind {kind}");
        }
    }

    #[test]
    fn t41_window_updates_are_paid_for_by_what_was_sent() {
        let mut meter = meter();
        meter.sent(50 * 1024);
        assert_eq!(n_passed(&mut meter, kind::WINDOW_UPDATE, 0, 4), 60);
        meter.sent(usize::MAX);
        meter.sent(usize::MAX);
        assert_eq!(meter.paid_bytes, PAID_BYTES_MAX);
    }

    #[test]
    fn t41_a_head_is_open_from_its_first_byte_to_the_last_of_its_last_frame() {
        let mut meter = meter();
        let mut is_in_head_after = |bytes: &[u8]| {
            meter.received(bytes, at_start).unwrap();
            meter.is_in_head()
        };
        let (whole, begin) = (frame(kind::HEADERS, END_HEADERS, 5), frame(kind::HEADERS, 0, 5));
        assert!(!is_in_head_after(&whole));
        assert!(is_in_head_after(&whole[..HEADER_BYTES + 4]) && !is_in_head_after(b"x"));
        assert!(is_in_head_after(&begin) && is_in_head_after(&frame(kind::CONTINUATION, 0, 3)));
        assert!(!is_in_head_after(&frame(kind::CONTINUATION, END_HEADERS, 0)));
        assert!(!is_in_head_after(&frame(kind::DATA, 0, 3)[..HEADER_BYTES + 1]));
    }

    #[test]
    fn a_flood_may_go_on_when_time_has_passed() {
        let mut meter = meter();
        assert_eq!(n_passed(&mut meter, 4, 0, 0), 10);
        let later = || Tick::after(Duration::from_millis(1500));
        assert!((0..5).all(|_| meter.received(&frame(4, 0, 0), later).is_ok()));
        assert_eq!(meter.received(&frame(4, 0, 0), later), Err(Flood::Control));
    }

    #[test]
    fn other_protocols_are_let_alone() {
        let mut meter = FrameMeter::new(Side::Client, limits(1, 1));
        meter.received(b"PRI ", at_start).unwrap();
        assert_eq!(meter.is_http2(), None);
        meter.received(b"GET / HTTP/1.1\r\n", at_start).unwrap();
        assert_eq!(meter.is_http2(), Some(false));
        assert_eq!(n_passed(&mut meter, 6, 0, 8), 100);
        assert_eq!(FrameMeter::new(Side::Server, limits(1, 1)).is_http2(), Some(true));
    }

    proptest! {
        /// Where the bytes are cut changes nothing.
        #[test]
        fn cuts_do_not_matter(
            frames in proptest::collection::vec((0_u8..12, 0_u8..2, 0_u8..40), 0..60),
            cuts in proptest::collection::vec(1_usize..50, 1..400),
        ) {
            let bytes: Vec<u8> = std::iter::once(PREFACE.to_vec())
                .chain(frames.iter().map(|(kind, flags, length)| frame(*kind, *flags, *length)))
                .flatten()
                .collect();
            let whole = FrameMeter::new(Side::Client, limits(10, 3)).received(&bytes, at_start);
            let mut meter = FrameMeter::new(Side::Client, limits(10, 3));
            let (mut rest, mut cut) = (&bytes[..], Ok(()));
            for n in cuts.iter().cycle() {
                if rest.is_empty() || cut.is_err() {
                    break;
                }
                let (now, later) = rest.split_at(rest.len().min(*n));
                cut = meter.received(now, at_start);
                rest = later;
            }
            prop_assert_eq!(whole, cut);
        }
    }
}
