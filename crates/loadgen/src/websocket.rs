//! WebSocket frames (RFC 6455 section 5.2): enough for an echo, both ways.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

/// What every accept key is made with (RFC 6455 section 1.3).
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The key that `loadgen` sends, sixteen bytes in base64. It proves nothing here; the proxies check the answer to it.
pub const KEY: &str = "d2hhcmYtYmVuY2gtc29jaw==";

/// Largest payload either end sends or takes, in bytes: what a two-byte length can say.
pub const PAYLOAD_BYTES_MAX: usize = 65_535;

/// Mask of the client's frames. A fixed one costs a proxy no more and no less than a random one.
const MASK: [u8; 4] = [0x5a, 0xa5, 0x3c, 0xc3];

const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// Which end makes a frame; clients mask, servers do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// The end that opened the socket.
    Client,
    /// The app.
    Server,
}

/// What a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opcode {
    /// A message of text.
    Text,
    /// A message of bytes.
    Binary,
    /// The end, with a code of two bytes.
    Close,
    /// Are you there?
    Ping,
    /// Yes.
    Pong,
}

/// One whole frame; its payload is unmasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it is for.
    pub opcode: Opcode,
    /// What it carries.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Reads a whole frame at the start of `bytes`; gives it with its length.
    ///
    /// # Errors
    /// For fragments, unknown opcodes and payloads above [`PAYLOAD_BYTES_MAX`]: our ends send none.
    pub fn decode(bytes: &[u8]) -> Result<Option<(Self, usize)>, &'static str> {
        let [first, second, ..] = *bytes else { return Ok(None) };
        let opcode = match first {
            byte if byte == FINAL | TEXT => Opcode::Text,
            byte if byte == FINAL | BINARY => Opcode::Binary,
            byte if byte == FINAL | CLOSE => Opcode::Close,
            byte if byte == FINAL | PING => Opcode::Ping,
            byte if byte == FINAL | PONG => Opcode::Pong,
            _ => return Err("a fragment or an unknown kind of frame"),
        };
        let (length, mut at) = match (second & !MASKED, bytes) {
            (127, _) => return Err("a frame above 65,535 bytes"),
            (126, [_, _, high, low, ..]) => (usize::from(u16::from_be_bytes([*high, *low])), 4),
            (126, _) => return Ok(None),
            (short, _) => (usize::from(short), 2),
        };
        let mut mask = [0; 4];
        if second & MASKED != 0 {
            let Some(found) = bytes.get(at..at + 4) else { return Ok(None) };
            mask.copy_from_slice(found);
            at += 4;
        }
        let Some(payload) = bytes.get(at..at + length) else { return Ok(None) };
        let payload = payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key);
        Ok(Some((Self { opcode, payload: payload.collect() }, at + length)))
    }

    /// The bytes of this frame as `sender` writes them.
    ///
    /// # Panics
    /// For payloads above [`PAYLOAD_BYTES_MAX`].
    #[must_use]
    pub fn encode(&self, sender: Sender) -> Vec<u8> {
        let opcode = match self.opcode {
            Opcode::Text => TEXT,
            Opcode::Binary => BINARY,
            Opcode::Close => CLOSE,
            Opcode::Ping => PING,
            Opcode::Pong => PONG,
        };
        let mask_bit = if sender == Sender::Client { MASKED } else { 0 };
        let length = u16::try_from(self.payload.len()).expect("our payloads are short");
        let mut bytes = vec![FINAL | opcode];
        match u8::try_from(length) {
            Ok(short) if short < 126 => bytes.push(mask_bit | short),
            _ => {
                bytes.push(mask_bit | 126);
                bytes.extend(length.to_be_bytes());
            }
        }
        if sender == Sender::Client {
            bytes.extend(MASK);
            bytes
                .extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
        } else {
            bytes.extend(&self.payload);
        }
        bytes
    }

    /// The code of a close frame; 1005 where it has none (RFC 6455 section 7.1.5).
    #[must_use]
    pub fn close_code(&self) -> u16 {
        match *self.payload {
            [high, low, ..] => u16::from_be_bytes([high, low]),
            _ => 1005,
        }
    }
}

/// The answer to a `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(key: &str) -> String {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(ACCEPT_SALT);
    STANDARD.encode(hash.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_and_sender_come_back() {
        for length in [0, 1, 125, 126, 127, 300, PAYLOAD_BYTES_MAX] {
            for sender in [Sender::Client, Sender::Server] {
                let frame = Frame { opcode: Opcode::Binary, payload: vec![7; length] };
                let bytes = frame.encode(sender);
                assert!(Frame::decode(&bytes[..bytes.len() - 1]).unwrap().is_none());
                assert_eq!(Frame::decode(&bytes).unwrap(), Some((frame, bytes.len())));
            }
        }
    }

    #[test]
    fn fragments_and_giants_are_refused() {
        assert!(Frame::decode(&[TEXT, 0]).is_err());
        assert!(Frame::decode(&[FINAL | BINARY, 127, 0]).is_err());
    }

    #[test]
    fn accept_key_is_that_of_the_rfc() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
