//! Names of images: `REPOSITORY:TAG`, in their shortest usual form.

use super::error::ImageError;

/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 255;

/// The one form under which a name is kept: without Docker's default registry, with a tag.
pub(super) fn canonical(name: &str) -> Result<String, ImageError> {
    let bad = || ImageError::Name(name.to_owned());
    let mut rest = name;
    for default in ["docker.io/", "index.docker.io/"] {
        rest = rest.strip_prefix(default).unwrap_or(rest);
    }
    let rest = rest.strip_prefix("library/").unwrap_or(rest);
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-/:@".contains(&b);
    if rest.is_empty() || rest.len() > NAME_BYTES_MAX || !rest.bytes().all(is_allowed) {
        return Err(bad());
    }
    if rest.split('/').any(|part| !part.starts_with(|c: char| c.is_ascii_alphanumeric())) {
        return Err(bad());
    }
    // A colon before the last slash is a registry's port.
    let last = rest.rsplit('/').next().unwrap_or(rest);
    match last.split_once(':') {
        None if last.contains('@') => Ok(rest.to_owned()),
        None => Ok(format!("{rest}:latest")),
        Some((_, "")) => Err(bad()),
        Some(_) => Ok(rest.to_owned()),
    }
}

/// The hexadecimal part of an image id or of its beginning, if `text` looks like one.
pub(super) fn id_prefix(text: &str) -> Option<&str> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    ((6..=64).contains(&hex.len()) && hex.bytes().all(is_hex)).then_some(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_form() {
        for (given, kept) in [
            ("busybox", "busybox:latest"),
            ("busybox:1.36", "busybox:1.36"),
            ("docker.io/library/busybox", "busybox:latest"),
            ("docker.io/rocker/shiny:4", "rocker/shiny:4"),
            ("localhost:5000/app", "localhost:5000/app:latest"),
            ("localhost:5000/app:v1", "localhost:5000/app:v1"),
        ] {
            assert_eq!(canonical(given).unwrap(), kept);
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused() {
        for bad in ["", "a b", "../x", "a//b", "/a", "a:", "a\n", "-x", &"a".repeat(256)] {
            assert!(canonical(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn ids_are_told_from_names() {
        assert_eq!(id_prefix("sha256:abcdef012345"), Some("abcdef012345"));
        assert_eq!(id_prefix("abcdef"), Some("abcdef"));
        assert_eq!(id_prefix("busybox"), None);
        assert_eq!(id_prefix("abc"), None);
    }
}
