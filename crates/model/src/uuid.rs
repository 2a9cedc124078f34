//! Arvados object identifiers: `<cluster 5>-<type 5>-<15>`, 27 characters of lower-case base 36.
//!
//! The type part is fixed for each class of object (the last five base-36 digits of the MD5 of the
//! class name in Arvados); a [`Uuid`] of one kind cannot be passed where another is meant.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::str::FromStr;

const LENGTH: usize = 27;
const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";

/// A class of objects, known by the five characters in the middle of its identifiers.
pub trait Kind: 'static {
    /// The middle part, such as `xvhdp`.
    const CODE: &'static str;
    /// The Arvados kind, such as `arvados#containerRequest`.
    const WIRE: &'static str;
}

macro_rules! kinds {
    ($($marker:ident, $alias:ident, $code:literal, $wire:literal, $doc:literal;)*) => {
        /// Marker types, one for each class of objects.
        pub mod kind {
            $(#[doc = $doc] #[derive(Debug)] pub enum $marker {}
              impl super::Kind for $marker {
                  const CODE: &'static str = $code;
                  const WIRE: &'static str = $wire;
              })*
        }
        $(#[doc = $doc] pub type $alias = Uuid<kind::$marker>;)*
    };
}

kinds! {
    Request, RequestUuid, "xvhdp", "arvados#containerRequest", "A container request.";
    Container, ContainerUuid, "dz642", "arvados#container", "A container.";
    Collection, CollectionUuid, "4zz18", "arvados#collection", "A collection.";
    Link, LinkUuid, "o0j2j", "arvados#link", "A link.";
    User, UserUuid, "tpzed", "arvados#user", "A user.";
    Group, GroupUuid, "j7d0g", "arvados#group", "A group or project.";
    Token, TokenUuid, "gj3su", "arvados#apiClientAuthorization", "An API token.";
    Workflow, WorkflowUuid, "7fd4e", "arvados#workflow", "A registered workflow.";
    Log, LogUuid, "57u5n", "arvados#log", "A log entry.";
    Invitation, InvitationUuid, "invit", "wharf#invitation", "An invitation to a port of a service; no record of Arvados's.";
    GuestSession, GuestSessionUuid, "guest", "wharf#guestSession", "The session of one who was invited; no record of Arvados's.";
}

/// The five characters that every identifier of one cluster starts with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClusterId([u8; 5]);

impl ClusterId {
    /// Five characters `a-z0-9`.
    ///
    /// # Errors
    /// When the text has another form.
    pub fn parse(text: &str) -> Result<Self, UuidError> {
        let bytes: [u8; 5] =
            text.as_bytes().try_into().map_err(|_short| UuidError::Cluster(text.to_owned()))?;
        if !bytes.iter().all(is_digit) {
            return Err(UuidError::Cluster(text.to_owned()));
        }
        Ok(Self(bytes))
    }

    /// The five characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("?????")
    }
}

impl Default for ClusterId {
    /// `wharf`: what a single machine calls itself unless its config says otherwise.
    fn default() -> Self {
        Self(*b"wharf")
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a text is no identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UuidError {
    /// Not 27 characters in the form 5-5-15.
    #[error("`{0}` is no identifier: expected 27 characters such as wharf-xvhdp-0123456789abcde")]
    Form(String),
    /// The identifier of another class of objects.
    #[error("`{text}` identifies another kind of object: expected `-{expected}-` in its middle")]
    Kind {
        /// What was given.
        text: String,
        /// The code that was expected.
        expected: &'static str,
    },
    /// A cluster id that is not five characters `a-z0-9`.
    #[error("`{0}` is no cluster id: expected five characters a-z or 0-9")]
    Cluster(String),
}

/// An identifier of one kind of object. Copy, 27 bytes.
pub struct Uuid<K> {
    text: [u8; LENGTH],
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Uuid<K> {
    /// Reads an identifier of this kind; only lower case is one.
    ///
    /// # Errors
    /// When the text is no identifier, or one of another kind.
    pub fn parse(text: &str) -> Result<Self, UuidError> {
        if !looks_like_uuid(text) {
            return Err(UuidError::Form(text.chars().take(80).collect()));
        }
        if &text[6..11] != K::CODE {
            return Err(UuidError::Kind { text: text.to_owned(), expected: K::CODE });
        }
        let mut bytes = [0; LENGTH];
        bytes.copy_from_slice(text.as_bytes());
        Ok(Self { text: bytes, kind: PhantomData })
    }

    /// Makes an identifier of 16 random bytes, of which 15 base-36 digits are drawn.
    pub fn from_random(cluster: &ClusterId, random: [u8; 16]) -> Self {
        let mut number = u128::from_le_bytes(random);
        let mut text = [b'-'; LENGTH];
        text[..5].copy_from_slice(&cluster.0);
        text[6..11].copy_from_slice(K::CODE.as_bytes());
        for slot in &mut text[12..] {
            *slot = DIGITS[usize::try_from(number % 36).unwrap_or(0)];
            number /= 36;
        }
        Self { text, kind: PhantomData }
    }

    /// An identifier with a fixed last part, such as the system user's fifteen zeroes.
    ///
    /// # Errors
    /// When `last` is not fifteen base-36 digits.
    pub fn well_known(cluster: &ClusterId, last: &str) -> Result<Self, UuidError> {
        Self::parse(&format!("{cluster}-{}-{last}", K::CODE))
    }

    /// The 27 characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).unwrap_or("?")
    }

    /// The cluster that made it.
    pub fn cluster(&self) -> &str {
        &self.as_str()[..5]
    }
}

fn is_digit(byte: &u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Whether a text has the form of an identifier of any kind (lower case, 5-5-15).
pub fn looks_like_uuid(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() == LENGTH
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| if at == 5 || at == 11 { *byte == b'-' } else { is_digit(byte) })
}

impl<K> Clone for Uuid<K> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<K> Copy for Uuid<K> {}
impl<K> PartialEq for Uuid<K> {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl<K> Eq for Uuid<K> {}
impl<K> PartialOrd for Uuid<K> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<K> Ord for Uuid<K> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}
impl<K> Hash for Uuid<K> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl<K: Kind> fmt::Display for Uuid<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl<K: Kind> fmt::Debug for Uuid<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl<K: Kind> FromStr for Uuid<K> {
    type Err = UuidError;
    fn from_str(text: &str) -> Result<Self, UuidError> {
        Self::parse(text)
    }
}
impl<K: Kind> Serialize for Uuid<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
impl<'de, K: Kind> Deserialize<'de> for Uuid<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_request_uuid_is_read_back_as_written() {
        let uuid = RequestUuid::parse("wharf-xvhdp-0123456789abcde").unwrap();
        assert_eq!(uuid.to_string(), "wharf-xvhdp-0123456789abcde");
        assert_eq!(uuid.cluster(), "wharf");
    }

    #[test]
    fn another_kind_upper_case_and_other_lengths_are_refused() {
        for text in [
            "",
            "wharf-dz642-0123456789abcde",
            "WHARF-xvhdp-0123456789abcde",
            "wharf-xvhdp-0123456789abcd",
            "wharf-xvhdp-0123456789abcdef",
            "wharf_xvhdp_0123456789abcde",
            "wharf-xvhdp-0123456789abc\u{e9}",
        ] {
            assert!(RequestUuid::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn random_identifiers_are_well_formed(random: [u8; 16]) {
            let uuid = ContainerUuid::from_random(&ClusterId::default(), random);
            prop_assert_eq!(ContainerUuid::parse(uuid.as_str()), Ok(uuid));
        }

        #[test]
        fn parsing_never_panics(text in ".{0,40}") {
            let _outcome = ContainerUuid::parse(&text);
        }
    }
}
