//! Bytes that both sides of a transfer can make by themselves, no two blocks alike, so that a
//! lost, doubled or swapped block shows in the digest.

use ring::digest::{Context, SHA256};

/// Bytes that are made at a time.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// A block: noise that is always the same, with the block's number at its start.
#[must_use]
pub fn block(number: u64) -> Vec<u8> {
    let mut seed: u32 = 0x9e37_79b9;
    let mut bytes: Vec<u8> = (0..BLOCK_BYTES)
        .map(|_| {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed.to_le_bytes()[0]
        })
        .collect();
    stamp(&mut bytes, number);
    bytes
}

/// Gives a block another number.
pub fn stamp(block: &mut [u8], number: u64) {
    block[..8].copy_from_slice(&number.to_le_bytes());
}

/// Calls `take` with `n_bytes` of the pattern, block by block, until it fails or all are out.
///
/// # Errors
/// Those of `take`.
pub fn each_block<E>(n_bytes: u64, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
    let mut bytes = block(0);
    let (mut left, mut number) = (n_bytes, 0);
    while left > 0 {
        stamp(&mut bytes, number);
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(BLOCK_BYTES);
        take(&bytes[..here])?;
        left -= here as u64;
        number += 1;
    }
    Ok(())
}

/// The SHA-256 of the first `n_bytes` of the pattern, in hex.
#[must_use]
pub fn digest(n_bytes: u64) -> String {
    let mut digest = Digest::new();
    let done: Result<(), std::convert::Infallible> = each_block(n_bytes, |bytes| {
        digest.update(bytes);
        Ok(())
    });
    let Ok(()) = done;
    digest.hex()
}

/// A SHA-256 that is still being fed.
#[derive(Clone)]
pub struct Digest(Context);

impl Digest {
    #[must_use]
    pub fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    #[must_use]
    pub fn hex(self) -> String {
        self.0.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Digest")
    }
}
