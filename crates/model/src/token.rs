//! API tokens of the Arvados v2 form, `v2/<uuid>/<secret>`, and how they are kept: as SHA-256 of the secret.

use crate::uuid::{ContainerUuid, TokenUuid};
use ring::digest;
use std::fmt;
use subtle::ConstantTimeEq;

/// Secrets longer than this are refused before anything is computed over them.
const SECRET_BYTES_MAX: usize = 256;
/// Shortest secret taken for one; ours have 50 characters.
const SECRET_BYTES_MIN: usize = 20;

/// Why a text is no v2 token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a token of the form v2/<uuid>/<secret>")]
pub struct TokenError;

/// A token as a client presents it. Its `Debug` shows no secret; only [`ApiToken::expose`] does.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiToken {
    uuid: TokenUuid,
    secret: String,
    container: Option<ContainerUuid>,
}

impl ApiToken {
    /// A token of its two parts.
    pub fn new(uuid: TokenUuid, secret: String) -> Self {
        Self { uuid, secret, container: None }
    }

    /// Reads `v2/<uuid>/<secret>`; a fourth part says in which container it is used (Arvados).
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let rest = text.strip_prefix("v2/").ok_or(TokenError)?;
        let mut parts = rest.split('/');
        let (uuid, secret) = (parts.next().ok_or(TokenError)?, parts.next().ok_or(TokenError)?);
        let container = parts.next().map(ContainerUuid::parse).transpose();
        let container = container.map_err(|_no_container| TokenError)?;
        if parts.next().is_some() {
            return Err(TokenError);
        }
        let sound = (SECRET_BYTES_MIN..=SECRET_BYTES_MAX).contains(&secret.len())
            && secret.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let uuid = TokenUuid::parse(uuid).map_err(|_other_form| TokenError)?;
        if !sound {
            return Err(TokenError);
        }
        Ok(Self { uuid, secret: secret.to_owned(), container })
    }

    /// The container that it says it is used in.
    pub fn container(&self) -> Option<ContainerUuid> {
        self.container
    }

    /// Which token record it claims to be.
    pub fn uuid(&self) -> TokenUuid {
        self.uuid
    }

    /// The secret part.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// The whole token in the clear, without the container, for the one who owns it.
    pub fn expose(&self) -> String {
        format!("v2/{}/{}", self.uuid, self.secret)
    }
}

impl fmt::Debug for ApiToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiToken(v2/{}/…)", self.uuid)
    }
}

/// What is stored of a secret: its SHA-256. Secrets are random, so no salt or stretching is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a secret.
    pub fn of(secret: &str) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, secret.as_bytes()).as_ref());
        Self(bytes)
    }

    /// Whether `secret` is the one; takes the same time for every wrong one.
    pub fn matches(&self, secret: &str) -> bool {
        self.0.ct_eq(&Self::of(secret).0).into()
    }

    /// 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        use fmt::Write;
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _infallible = write!(text, "{byte:02x}");
            text
        })
    }

    /// Reads [`TokenHash::hex`] back.
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "v2/wharf-gj3su-0123456789abcde/abcdefghijklmnopqrstuvwxyz";

    #[test]
    fn a_token_is_read_back_and_never_shown_by_debug() {
        let token = ApiToken::parse(TOKEN).unwrap();
        assert_eq!(token.expose(), TOKEN);
        assert!(!format!("{token:?}").contains("abcdefgh"));
    }

    #[test]
    fn a_container_uuid_as_fourth_part_is_accepted() {
        let token = ApiToken::parse(&format!("{TOKEN}/wharf-dz642-0123456789abcde")).unwrap();
        assert_eq!(token.expose(), TOKEN);
        assert!(
            token.container().is_some() && ApiToken::parse(TOKEN).unwrap().container().is_none()
        );
        assert!(ApiToken::parse(&format!("{TOKEN}/x")).is_err());
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "v2/",
            "v1/x/y",
            "v2/wharf-gj3su-0123456789abcde/short",
            "v2/x/abcdefghijklmnopqrstuv",
        ] {
            assert!(ApiToken::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn only_the_right_secret_matches_a_hash() {
        let hash = TokenHash::of("secret");
        assert!(hash.matches("secret") && !hash.matches("Secret"));
        assert_eq!(TokenHash::from_hex(&hash.hex()), Some(hash));
    }
}
