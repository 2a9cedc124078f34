//! Permission to read a block: a signature over its hash, for one token and some time.

use std::fmt;
use std::time::Duration;

use manifest::Locator;
use ring::hmac;

/// Makes and checks permission hints of locators, as Arvados writes them:
/// `A<HMAC-SHA1 in hexadecimal>@<expiry in hexadecimal seconds>`.
///
/// Clients never compute it. We sign the token's identifier and not its text, so that all forms of
/// one token are the same and no secret is needed to check.
#[derive(Clone)]
pub struct Signer {
    key: hmac::Key,
    ttl: Duration,
}

/// Why a locator does not permit reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PermissionFault {
    /// There is no signature.
    #[error("the locator has no permission signature")]
    Unsigned,
    /// It was for another token, another block, or is made up.
    #[error("the locator's permission signature is not valid for this token")]
    Wrong,
    /// Its time is over.
    #[error("the locator's permission signature has expired: read the collection again")]
    Expired,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("ttl", &self.ttl).finish_non_exhaustive()
    }
}

impl Signer {
    /// Signs with this key; signatures hold for `ttl`.
    pub fn new(key: &[u8], ttl: Duration) -> Self {
        // Arvados's format; an HMAC does not need its hash to resist collisions.
        Self { key: hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key), ttl }
    }

    /// How long signatures hold.
    pub fn ttl(&self) -> Duration {
        self.ttl
    }

    /// The hint, without `+`, that lets a token read the block until `expiry` (seconds since 1970).
    pub fn permit(&self, locator: &Locator, token_uuid: &str, expiry: u64) -> String {
        let expiry = format!("{expiry:08x}");
        let tag = hmac::sign(&self.key, self.message(locator, token_uuid, &expiry).as_bytes());
        let mut hint = String::with_capacity(50);
        hint.push('A');
        for byte in tag.as_ref() {
            for digit in [byte >> 4, byte & 15] {
                hint.push(char::from_digit(digit.into(), 16).unwrap_or('0'));
            }
        }
        hint.push('@');
        hint.push_str(&expiry);
        hint
    }

    /// Whether a locator lets a token read its block at `now` (seconds since 1970).
    ///
    /// # Errors
    /// When it does not.
    pub fn check(
        &self,
        locator: &Locator,
        token_uuid: &str,
        now: u64,
    ) -> Result<(), PermissionFault> {
        let Some(permission) = locator.permission() else {
            let has_hint = locator.hints().any(|hint| hint.starts_with('A'));
            return Err(if has_hint { PermissionFault::Wrong } else { PermissionFault::Unsigned });
        };
        let message = self.message(locator, token_uuid, permission.expiry);
        let tag = from_hex(permission.signature).ok_or(PermissionFault::Wrong)?;
        hmac::verify(&self.key, message.as_bytes(), &tag)
            .map_err(|_unspecified| PermissionFault::Wrong)?;
        let expiry = u64::from_str_radix(permission.expiry, 16).unwrap_or(0);
        if expiry < now { Err(PermissionFault::Expired) } else { Ok(()) }
    }

    fn message(&self, locator: &Locator, token_uuid: &str, expiry: &str) -> String {
        format!("{}@{token_uuid}@{expiry}@{:x}", locator.hash(), self.ttl.as_secs())
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pair = |pair: &[u8]| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "wharf-gj3su-000000000000000";

    #[test]
    fn a_permission_holds_for_its_token_its_block_and_its_time() {
        let signer = Signer::new(b"key", Duration::from_secs(1000));
        let bare = Locator::parse("acbd18db4cc2f85cedef654fccc4a4d8+3+Kx").unwrap();
        let signed = bare.with_permission(&signer.permit(&bare, TOKEN, 500));
        let signed = Locator::parse(&signed.to_string()).unwrap();
        assert_eq!(signer.check(&signed, TOKEN, 500), Ok(()));
        assert_eq!(signer.check(&signed, TOKEN, 501), Err(PermissionFault::Expired));
        assert_eq!(signer.check(&signed, "other", 0), Err(PermissionFault::Wrong));
        assert_eq!(signer.check(&bare, TOKEN, 0), Err(PermissionFault::Unsigned));
        let other = Locator::parse("37b51d194a7513e45b56f6524f2d51f2+3").unwrap();
        let moved = other.with_permission(signed.hints().last().unwrap());
        assert_eq!(signer.check(&moved, TOKEN, 0), Err(PermissionFault::Wrong));
        let longer = bare
            .with_permission(&signer.permit(&bare, TOKEN, 500).replace("@000001f4", "@ffffffff"));
        assert_eq!(signer.check(&longer, TOKEN, 0), Err(PermissionFault::Wrong));
        assert_eq!(
            signer.check(&bare.with_permission("Ax"), TOKEN, 0),
            Err(PermissionFault::Wrong)
        );
        let rekeyed = Signer::new(b"other", Duration::from_secs(1000));
        assert_eq!(rekeyed.check(&signed, TOKEN, 0), Err(PermissionFault::Wrong));
    }

    #[test]
    fn the_signature_is_arvados_s_over_our_message() {
        // Worked out with Python's hmac module.
        let signer = Signer::new(b"key", Duration::from_secs(1000));
        let bare = Locator::parse("acbd18db4cc2f85cedef654fccc4a4d8+3").unwrap();
        let hint = signer.permit(&bare, TOKEN, 500);
        assert_eq!(hint, "Acc711b43f78f665d28691655e5ccf5000b76862d@000001f4");
    }
}
