//! Passwords as hashes: Argon2id, in the PHC form that says how it was made.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use ring::rand::{SecureRandom as _, SystemRandom};

/// Memory of one hash: what OWASP advises with these passes; 19 MiB.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Random bytes that make equal passwords differ.
const SALT_BYTES: usize = 16;
/// Shortest password that is taken; NIST SP 800-63B says eight.
pub(crate) const CHARS_MIN: usize = 8;
/// Longest one; hashing reads all of it.
pub(crate) const BYTES_MAX: usize = 1024;

/// No hash could be made: the system gives no random bytes or no memory.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed")]
pub(crate) struct NoHash;

fn argon2() -> Argon2<'static> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).unwrap_or(Params::DEFAULT);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash of a password. Takes some 20 ms of one core.
pub(crate) fn hash(password: &str) -> Result<String, NoHash> {
    let mut salt = [0; SALT_BYTES];
    SystemRandom::new().fill(&mut salt).map_err(|_unspecified| NoHash)?;
    let salt = SaltString::encode_b64(&salt).map_err(|_too_long| NoHash)?;
    let hash = argon2().hash_password(password.as_bytes(), &salt).map_err(|_no_memory| NoHash)?;
    Ok(hash.to_string())
}

/// Whether this is the password that a hash was made of. Without a hash it takes as long and is not, so that nobody can
/// tell by the time which users there are.
pub(crate) fn is_right(password: &str, hash: Option<&str>) -> bool {
    let parsed = hash.and_then(|hash| PasswordHash::new(hash).ok());
    match parsed {
        Some(hash) => argon2().verify_password(password.as_bytes(), &hash).is_ok(),
        None => {
            let _as_long = self::hash(password);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only_and_no_two_hashes_are_equal() {
        let first = hash("correct horse").unwrap();
        assert!(first.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{first}");
        assert_ne!(first, hash("correct horse").unwrap());
        assert!(is_right("correct horse", Some(&first)));
        for (password, hash) in
            [("correct horsE", Some(first.as_str())), ("x", Some("nonsense")), ("x", None)]
        {
            assert!(!is_right(password, hash), "{password} {hash:?}");
        }
    }
}
