//! The frame header and its codec.
//!
//! ```text
//! byte  0        1  2  3            4  5  6  7
//!       type     value (24 bit)     stream id (32 bit)         all big-endian
//! ```
//!
//! OPEN and DATA carry `value` bytes of payload. Every other frame is its header alone: `value` is
//! the credit of a WINDOW, the reason of a REFUSE or GOAWAY, and zero elsewhere; the id of a PING
//! or PONG is the ping's number.

use crate::Violation;

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 8;

/// The largest `value`.
pub(crate) const VALUE_MAX: u32 = 0x00ff_ffff;

/// What a frame does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FrameType {
    /// Asks for a stream; the payload says its kind.
    Open,
    /// The stream may be used.
    Accept,
    /// There will be no stream.
    Refuse,
    /// Bytes of the stream.
    Data,
    /// The sender has no more bytes; the other direction goes on.
    Fin,
    /// The sender is done with both directions.
    Reset,
    /// The receiver may send `value` more bytes.
    Window,
    /// To be answered at once with a PONG of the same number.
    Ping,
    Pong,
    /// The sender ends the tunnel.
    GoAway,
}

impl FrameType {
    const ALL: [Self; 10] = [
        Self::Open,
        Self::Accept,
        Self::Refuse,
        Self::Data,
        Self::Fin,
        Self::Reset,
        Self::Window,
        Self::Ping,
        Self::Pong,
        Self::GoAway,
    ];

    fn code(self) -> u8 {
        self as u8 + 1
    }

    fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code.checked_sub(1)?)).copied()
    }

    pub(crate) fn has_payload(self) -> bool {
        matches!(self, Self::Open | Self::Data)
    }

    fn value_must_be_zero(self) -> bool {
        matches!(self, Self::Accept | Self::Fin | Self::Reset | Self::Ping | Self::Pong)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) frame_type: FrameType,
    /// Payload bytes, credit or reason; at most [`VALUE_MAX`].
    pub(crate) value: u32,
    /// Stream id or ping number.
    pub(crate) id: u32,
}

impl Header {
    pub(crate) fn new(frame_type: FrameType, value: u32, id: u32) -> Self {
        debug_assert!(value <= VALUE_MAX, "a frame's value has 24 bits");
        Self { frame_type, value, id }
    }

    pub(crate) fn encode(self) -> [u8; HEADER_BYTES] {
        let [_, a, b, c] = self.value.to_be_bytes();
        let [d, e, f, g] = self.id.to_be_bytes();
        [self.frame_type.code(), a, b, c, d, e, f, g]
    }

    /// Reads a header; whether its id and value make sense is for the mux to say.
    pub(crate) fn decode(bytes: [u8; HEADER_BYTES]) -> Result<Self, Violation> {
        let [code, a, b, c, d, e, f, g] = bytes;
        let frame_type = FrameType::from_code(code).ok_or(Violation::UnknownFrameType(code))?;
        let value = u32::from_be_bytes([0, a, b, c]);
        if value != 0 && frame_type.value_must_be_zero() {
            return Err(Violation::ReservedField);
        }
        Ok(Self { frame_type, value, id: u32::from_be_bytes([d, e, f, g]) })
    }

    /// Payload bytes that follow the header.
    pub(crate) fn payload_len(self) -> usize {
        if self.frame_type.has_payload() { self.value as usize } else { 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_header_survives_its_encoding() {
        for frame_type in FrameType::ALL {
            let value = if frame_type.value_must_be_zero() { 0 } else { VALUE_MAX };
            let header = Header::new(frame_type, value, 0xdead_beef);
            assert_eq!(Header::decode(header.encode()), Ok(header));
        }
    }

    #[test]
    fn unknown_types_are_violations() {
        for code in [0, 11, 255] {
            let bytes = [code, 0, 0, 0, 0, 0, 0, 1];
            assert_eq!(Header::decode(bytes), Err(Violation::UnknownFrameType(code)));
        }
    }

    #[test]
    fn reserved_values_are_violations() {
        let mut bytes = Header::new(FrameType::Fin, 0, 1).encode();
        bytes[3] = 1;
        assert_eq!(Header::decode(bytes), Err(Violation::ReservedField));
    }
}
