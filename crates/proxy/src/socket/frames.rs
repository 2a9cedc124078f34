//! Where one WebSocket frame ends and the next begins (RFC 6455 §5.2), and the frame that says goodbye. Pure.
//!
//! Bytes pass untouched; they are only counted, so that a frame of ours can be put between two of the app's, and so that
//! it is known whether somebody says something.

/// Longest header: 2 bytes, a length of 8, a mask of 4.
const HEADER_BYTES_MAX: usize = 14;

/// The socket is closed because of a rule (RFC 6455 §7.4.1).
const POLICY_VIOLATION: u16 = 1008;

/// Longest heartbeat of an app's own (`2` of Engine.IO, 13 bytes of VS Code).
const HEARTBEAT_BYTES_MAX: usize = 16;

/// Counts the frames of one direction.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: [u8; HEADER_BYTES_MAX],
    n_header: usize,
    /// Length of the header of the frame whose payload is passing.
    n_payload_header: usize,
    /// Bytes of the payload that are still to come.
    payload: u64,
    /// Whether data has passed since it was last asked.
    has_data: bool,
    /// The frame that is passing, where it is short and may be a heartbeat.
    short: Short,
    /// The last one that passed.
    last_short: Short,
}

/// The beginning of a short frame of data, unmasked.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Short {
    bytes: [u8; HEARTBEAT_BYTES_MAX],
    /// 0: none.
    n_bytes: u8,
}

impl Short {
    fn push(&mut self, header: &[u8], byte: u8) {
        let at = usize::from(self.n_bytes);
        let Some(place) = self.bytes.get_mut(at) else { return };
        // The mask, where there is one, is the end of the header.
        let is_masked = header.get(1).is_some_and(|second| second & 0x80 != 0);
        let mask = header.last_chunk::<4>().filter(|_| is_masked).map_or(0, |mask| mask[at % 4]);
        *place = byte ^ mask;
        self.n_bytes += 1;
    }
}

impl Frames {
    /// Counts what passes.
    pub(crate) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let here =
                    usize::try_from(self.payload).map_or(bytes.len(), |n| n.min(bytes.len()));
                self.take_payload(&bytes[..here]);
                bytes = &bytes[here..];
                continue;
            }
            let wanted = header_bytes(&self.header[..self.n_header]);
            let n = bytes.len().min(wanted - self.n_header);
            self.header[self.n_header..self.n_header + n].copy_from_slice(&bytes[..n]);
            self.n_header += n;
            bytes = &bytes[n..];
            if self.n_header == header_bytes(&self.header[..self.n_header]) {
                self.payload = payload_bytes(&self.header[..self.n_header]);
                self.n_payload_header = self.n_header;
                self.n_header = 0;
                self.short = Short::default();
            }
        }
    }

    fn take_payload(&mut self, bytes: &[u8]) {
        let header = &self.header[..self.n_payload_header];
        // Pings, pongs and the close are for the socket, and not for the app (RFC 6455 §5.5).
        let is_data = header.first().is_some_and(|first| first & 0x0f < 0x8);
        let is_short = self.payload + u64::from(self.short.n_bytes) <= HEARTBEAT_BYTES_MAX as u64;
        self.payload -= bytes.len() as u64;
        if is_data && is_short {
            for byte in bytes {
                self.short.push(header, *byte);
            }
            if self.payload == 0 && self.short != self.last_short {
                self.last_short = self.short;
                self.has_data = true;
            }
        } else if is_data {
            self.has_data = true;
        }
    }

    /// Whether data has passed since this was last asked. A short frame that says what the last one said is none.
    pub(crate) fn take_has_data(&mut self) -> bool {
        std::mem::take(&mut self.has_data)
    }

    /// Whether the last frame is whole, so that another may follow.
    pub(crate) fn is_between(&self) -> bool {
        self.n_header == 0 && self.payload == 0
    }
}

/// Bytes that the header has, as far as its beginning says.
fn header_bytes(header: &[u8]) -> usize {
    let [_, second, ..] = header else { return 2 };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    2 + length + mask
}

/// Bytes behind a whole header.
fn payload_bytes(header: &[u8]) -> u64 {
    match header {
        [_, second, a, b, ..] if second & 0x7f == 126 => u64::from(u16::from_be_bytes([*a, *b])),
        [_, second, rest @ ..] if second & 0x7f == 127 => {
            rest.first_chunk().map_or(0, |length| u64::from_be_bytes(*length))
        }
        [_, second, ..] => u64::from(second & 0x7f),
        _ => 0,
    }
}

/// A server's frame that closes the socket, with a reason of at most 123 bytes.
pub(crate) fn goodbye(reason: &str) -> Vec<u8> {
    let reason = &reason[..reason.floor_char_boundary(123)];
    let mut frame = vec![0x88];
    frame.extend(u8::try_from(2 + reason.len()));
    frame.extend_from_slice(&POLICY_VIOLATION.to_be_bytes());
    frame.extend_from_slice(reason.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(opcode: u8, payload: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![opcode];
        match payload {
            0..126 => frame.push(u8::try_from(payload).unwrap() | mask),
            126..65536 => {
                frame.push(126 | mask);
                frame.extend(u16::try_from(payload).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(127 | mask);
                frame.extend((payload as u64).to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(0x81, if masked { payload + 4 } else { payload }));
        frame
    }

    #[test]
    fn between_is_told_only_between() {
        for payload in [0, 1, 125, 126, 127, 65535, 65536, 100_000] {
            for masked in [false, true] {
                let frame = frame(0x82, payload, masked);
                let mut frames = Frames::default();
                assert!(frames.is_between());
                for byte in &frame[..frame.len() - 1] {
                    frames.pass(std::slice::from_ref(byte));
                    assert!(!frames.is_between());
                }
                frames.pass(&frame[frame.len() - 1..]);
                assert!(frames.is_between(), "{payload} {masked}");
            }
        }
    }

    /// A client's frame, masked.
    fn said(opcode: u8, text: &str, mask: [u8; 4]) -> Vec<u8> {
        let mut frame = vec![0x80 | opcode, 0x80 | u8::try_from(text.len()).unwrap()];
        frame.extend(mask);
        frame.extend(text.bytes().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        frame
    }

    #[test]
    fn data_is_told_from_heartbeats_however_it_is_cut() {
        for step in [1, 3, 1000] {
            let mut frames = Frames::default();
            let mut has_data = |frame: Vec<u8>| {
                frame.chunks(step).for_each(|piece| frames.pass(piece));
                frames.take_has_data()
            };
            assert!(!has_data(said(0x9, "ping", [1, 2, 3, 4])));
            assert!(!has_data(said(0xa, "", [9, 9, 9, 9])));
            assert!(has_data(said(0x1, "2", [1, 2, 3, 4])), "the first may be anything");
            assert!(!has_data(said(0x1, "2", [5, 6, 7, 8])));
            assert!(has_data(said(0x1, "ls", [1, 2, 3, 4])));
            assert!(has_data(said(0x2, &"x".repeat(17), [1, 2, 3, 4])));
            assert!(has_data(said(0x2, &"x".repeat(17), [1, 2, 3, 4])), "too long for a heartbeat");
            assert!(!has_data(said(0x8, "\u{3}\u{8}", [1, 2, 3, 4])));
        }
    }

    #[test]
    fn a_goodbye_is_a_close_frame() {
        assert_eq!(goodbye("no"), [0x88, 4, 0x03, 0xf0, b'n', b'o']);
        let long = goodbye(&"ä".repeat(100));
        assert_eq!((long.len(), long[1]), (2 + 124, 124));
        let mut frames = Frames::default();
        frames.pass(&long);
        assert!(frames.is_between());
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(
            payloads in prop::collection::vec((0..70_000_usize, any::<bool>()), 0..6), step in 1..5000_usize,
        ) {
            let bytes: Vec<u8> = payloads.iter().flat_map(|(n, masked)| frame(0x81, *n, *masked)).collect();
            let mut frames = Frames::default();
            bytes.chunks(step).for_each(|piece| frames.pass(piece));
            prop_assert!(frames.is_between());
        }
    }
}
