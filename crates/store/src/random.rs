//! Identifiers and secrets, from the system's random source.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use model::ClusterId;
use model::uuid::{Kind, Uuid};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::StoreError;

/// Characters of a token's secret: 50 digits of base 36 are 258 bits, as Arvados makes them.
const SECRET_CHARS: usize = 50;
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// What single-use codes start with, so that nobody takes one for a token.
pub(crate) const CODE_PREFIX: &str = "wc1_";
/// Random bytes of a code: 256 bits, 43 characters of base64.
const CODE_BYTES: usize = 32;

fn fill(bytes: &mut [u8]) -> Result<(), StoreError> {
    SystemRandom::new().fill(bytes).map_err(|_unspecified| StoreError::Random)
}

/// A new identifier.
pub(crate) fn uuid<K: Kind>(cluster: &ClusterId) -> Result<Uuid<K>, StoreError> {
    let mut bytes = [0; 16];
    fill(&mut bytes)?;
    Ok(Uuid::from_random(cluster, bytes))
}

/// A new token secret.
pub(crate) fn secret() -> Result<String, StoreError> {
    let mut secret = String::with_capacity(SECRET_CHARS);
    let mut bytes = [0; 64];
    while secret.len() < SECRET_CHARS {
        fill(&mut bytes)?;
        // 252 is the greatest multiple of 36 in a byte: the rest would favour some digits.
        for byte in bytes.iter().filter(|byte| **byte < 252).take(SECRET_CHARS - secret.len()) {
            secret.push(char::from(DIGITS[usize::from(byte % 36)]));
        }
    }
    Ok(secret)
}

/// A new single-use code.
pub(crate) fn code() -> Result<String, StoreError> {
    let mut bytes = [0; CODE_BYTES];
    fill(&mut bytes)?;
    Ok(format!("{CODE_PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// A number that tells this process from all others.
pub(crate) fn origin() -> Result<i64, StoreError> {
    let mut bytes = [0; 8];
    fill(&mut bytes)?;
    Ok(i64::from_le_bytes(bytes))
}
