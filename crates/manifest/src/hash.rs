//! The name of a block: the MD5 of its bytes.

use std::fmt;

use md5::{Digest as _, Md5};

/// The MD5 of a block's bytes, which is how a block is found again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BlockHash([u8; 16]);

impl BlockHash {
    /// The empty block's: `d41d8cd98f00b204e9800998ecf8427e`.
    pub const EMPTY: Self = Self([
        0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8, 0x42,
        0x7e,
    ]);

    /// The hash of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = BlockHasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Reads 32 lower-case hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: &[u8; 32] = text.as_bytes().try_into().ok()?;
        let mut hash = [0; 16];
        for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = (digit(pair[0])? << 4) | digit(pair[1])?;
        }
        Some(Self(hash))
    }

    /// The sixteen bytes.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Debug for BlockHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Finds the hash of bytes that come in pieces.
#[derive(Debug, Clone, Default)]
pub struct BlockHasher(Md5);

impl BlockHasher {
    /// Nothing hashed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    /// The hash of all pieces.
    pub fn finish(self) -> BlockHash {
        BlockHash(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_rfc_1321() {
        assert_eq!(BlockHash::of(b""), BlockHash::EMPTY);
        assert_eq!(BlockHash::of(b"abc").to_string(), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(BlockHash::EMPTY.to_string(), "d41d8cd98f00b204e9800998ecf8427e");
    }

    #[test]
    fn only_lower_case_digits_are_read() {
        let hash = BlockHash::of(b"x");
        assert_eq!(BlockHash::parse(&hash.to_string()), Some(hash));
        assert_eq!(BlockHash::parse(&hash.to_string().to_uppercase()), None);
        assert_eq!(BlockHash::parse("d41d"), None);
        assert_eq!(BlockHash::parse(&"é".repeat(16)), None);
    }
}
