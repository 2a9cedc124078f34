//! Block locators: hash, size, and hints in order.

use std::fmt;
use std::str::FromStr;

use crate::BLOCK_BYTES_MAX;
use crate::error::shown;
use crate::hash::BlockHash;

/// `<32 lower-case hexadecimal digits>+<size>` and hints, each `+` and a capital letter first.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Locator {
    hash: BlockHash,
    size: u32,
    /// As written, each with its `+`; empty in all but signed ones.
    hints: Box<str>,
}

/// Why a text is no locator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocatorError {
    /// It has another form.
    #[error("{0:?} is no block locator (32 hexadecimal digits, +size, hints)")]
    Form(String),
    /// The block would be larger than blocks are.
    #[error("the block {0:?} is larger than {max} bytes", max = BLOCK_BYTES_MAX)]
    TooLarge(String),
}

/// A permission hint: who signed it is not said, and is found by computing it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permission<'l> {
    /// 40 lower-case hexadecimal digits.
    pub signature: &'l str,
    /// Until when it holds, seconds since 1970, as written: 8 hexadecimal digits.
    pub expiry: &'l str,
}

impl Locator {
    /// The empty block.
    pub fn empty() -> Self {
        Self { hash: BlockHash::EMPTY, size: 0, hints: Box::default() }
    }

    /// A block of this size, within [`BLOCK_BYTES_MAX`].
    pub fn new(hash: BlockHash, size: u64) -> Option<Self> {
        let size = u32::try_from(size).ok().filter(|size| u64::from(*size) <= BLOCK_BYTES_MAX)?;
        Some(Self { hash, size, hints: Box::default() })
    }

    /// Reads one.
    ///
    /// # Errors
    /// When the text has another form, or the block would be too large.
    pub fn parse(text: &str) -> Result<Self, LocatorError> {
        let form = || LocatorError::Form(shown(text));
        let hash = text.get(..32).and_then(BlockHash::parse).ok_or_else(form)?;
        let rest = text[32..].strip_prefix('+').ok_or_else(form)?;
        let (size, hints) = rest.find('+').map_or((rest, ""), |at| rest.split_at(at));
        let is_number = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_digit());
        // One block, one spelling: digests of manifests must not depend on leading zeroes.
        if !is_number || (size.len() > 1 && size.starts_with('0')) {
            return Err(form());
        }
        if !hints.split('+').skip(1).all(is_hint) {
            return Err(form());
        }
        let too_large = || LocatorError::TooLarge(shown(text));
        let bytes: u64 = size.parse().map_err(|_overflow| too_large())?;
        let bare = Self::new(hash, bytes).ok_or_else(too_large)?;
        Ok(Self { hints: hints.into(), ..bare })
    }

    /// The block's name.
    pub fn hash(&self) -> BlockHash {
        self.hash
    }

    /// The block's size in bytes.
    pub fn size(&self) -> u64 {
        self.size.into()
    }

    /// The hints in order, without their `+`.
    pub fn hints(&self) -> impl Iterator<Item = &str> {
        self.hints.split('+').skip(1)
    }

    /// The first permission hint, where it has the form of one.
    pub fn permission(&self) -> Option<Permission<'_>> {
        let hint = self.hints().find(|hint| hint.starts_with('A'))?;
        let (signature, expiry) = hint[1..].split_once('@')?;
        let is_hex = |text: &str, len: usize| {
            text.len() == len && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        };
        (is_hex(signature, 40) && is_hex(expiry, 8)).then_some(Permission { signature, expiry })
    }

    /// The same block without any hint.
    pub fn bare(&self) -> Self {
        Self { hash: self.hash, size: self.size, hints: Box::default() }
    }

    /// The same with this permission hint (`A…@…`) instead of the one it has.
    pub fn with_permission(&self, hint: &str) -> Self {
        let mut hints = String::new();
        for other in self.hints().filter(|hint| !hint.starts_with('A')).chain([hint]) {
            hints.push('+');
            hints.push_str(other);
        }
        Self { hash: self.hash, size: self.size, hints: hints.into() }
    }
}

fn is_hint(hint: &str) -> bool {
    let mut bytes = hint.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_uppercase())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'@' | b'_' | b'-'))
}

impl fmt::Display for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}{}", self.hash, self.size, self.hints)
    }
}

impl fmt::Debug for Locator {
    /// Without its hints: a permission is a credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.hash, self.size)
    }
}

impl FromStr for Locator {
    type Err = LocatorError;

    fn from_str(text: &str) -> Result<Self, LocatorError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "930625b054ce894ac40596c3f5a0d947";

    #[test]
    fn a_locator_is_written_as_it_was_read() {
        let permission = format!("A{}@5f612ee6", "0123456789".repeat(4));
        for text in [
            format!("{HASH}+33"),
            format!("{HASH}+0"),
            format!("{HASH}+33+K@xyzzy+{permission}+Zfoo_-"),
            format!("{HASH}+67108864"),
        ] {
            assert_eq!(Locator::parse(&text).unwrap().to_string(), text);
        }
        let locator = Locator::parse(&format!("{HASH}+33+K@xyzzy+{permission}+Z")).unwrap();
        assert_eq!(locator.permission().unwrap().expiry, "5f612ee6");
        assert_eq!(
            locator.with_permission("Anew").to_string(),
            format!("{HASH}+33+K@xyzzy+Z+Anew")
        );
        assert!(!format!("{locator:?}").contains("0123456789"), "a permission is a credential");
    }

    #[test]
    fn other_forms_are_refused() {
        for tail in [
            "", "33", "+", "+x", "+-1", "++33", "+033", "+33+", "+33+a", "+33+A b", "+33+Ä", "+33 ",
        ] {
            let text = format!("{HASH}{tail}");
            assert!(matches!(Locator::parse(&text), Err(LocatorError::Form(_))), "{text}");
        }
        for size in ["67108865", "4294967296", "99999999999999999999999999"] {
            let text = format!("{HASH}+{size}");
            assert!(matches!(Locator::parse(&text), Err(LocatorError::TooLarge(_))), "{text}");
        }
        assert!(Locator::parse(&format!("{}+3", HASH.to_uppercase())).is_err());
    }
}
