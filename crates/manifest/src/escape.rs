//! Names as words of a manifest: `\` and three octal digits stand for one byte.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::PATH_BYTES_MAX;
use crate::error::{Problem, shown};

/// A name as a word: backslash, colon, space and what is below it are escaped, as Arvados's Python
/// client does it.
pub fn escape(name: &str) -> Cow<'_, str> {
    let needs = |byte: u8| byte <= b' ' || matches!(byte, b'\\' | b':' | 0x7f);
    if !name.bytes().any(needs) {
        return Cow::Borrowed(name);
    }
    let mut word = String::with_capacity(name.len() + 8);
    for character in name.chars() {
        match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() && needs(byte) => {
                // Writing to a string cannot fail.
                let _written = write!(word, "\\{byte:03o}");
            }
            _ => word.push(character),
        }
    }
    Cow::Owned(word)
}

/// The name that a word stands for.
pub(crate) fn unescape(word: &str) -> Result<Cow<'_, str>, Problem> {
    if !word.contains('\\') {
        return Ok(Cow::Borrowed(word));
    }
    let wrong = || Problem::Escape(shown(word));
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'\\' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let digits = after.get(..3).ok_or_else(wrong)?;
        let mut value = 0_u32;
        for digit in digits {
            let digit = char::from(*digit).to_digit(8).ok_or_else(wrong)?;
            value = value * 8 + digit;
        }
        bytes.push(u8::try_from(value).map_err(|_above_377| wrong())?);
        rest = &after[3..];
    }
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_not_utf8| wrong())
}

/// Whether a path can be inside a manifest: parts with `/` between them, none of them empty, `.`
/// or `..`, without NUL, within [`PATH_BYTES_MAX`].
///
/// # Errors
/// When it cannot; the problem shows it.
pub fn check_path(path: &str) -> Result<(), Problem> {
    if path.len() > PATH_BYTES_MAX {
        return Err(Problem::PathLength(shown(path)));
    }
    let is_sound = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    if path.split('/').all(is_sound) { Ok(()) } else { Err(Problem::Path(shown(path))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_arvados_does_it() {
        for (name, word) in [
            ("plain.txt", "plain.txt"),
            ("a b", r"a\040b"),
            ("sha256:0.tar", r"sha256\0720.tar"),
            (r"back\slash", r"back\134slash"),
            ("new\nline", r"new\012line"),
            ("größe", "größe"),
        ] {
            assert_eq!(escape(name), word);
            assert_eq!(unescape(word).unwrap(), name);
        }
        assert_eq!(unescape(r"\303\244").unwrap(), "ä");
    }

    #[test]
    fn what_is_no_escape_is_refused() {
        for word in [r"\", r"\04", r"\0 0", r"\400", r"\089", r"\377", r"a\x41"] {
            assert!(matches!(unescape(word), Err(Problem::Escape(_))), "{word}");
        }
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["a", "a/b", "...", ".a", "a b", "a:b"] {
            assert_eq!(check_path(path), Ok(()), "{path}");
        }
        for path in ["", "/", "/a", "a/", "a//b", ".", "..", "a/..", "../a", "a/./b", "a\0b"] {
            assert!(check_path(path).is_err(), "{path:?}");
        }
        assert!(check_path(&"a".repeat(PATH_BYTES_MAX + 1)).is_err());
    }
}
