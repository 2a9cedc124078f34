//! Addresses of documents and files: `file:` URIs, percent-encoding, and how one is relative to
//! another.

use std::path::{Path, PathBuf};

/// A path of this machine as a URI.
pub fn from_path(path: &Path) -> String {
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str());
    format!("file://{}", encode(bytes))
}

/// The path of a `file:` URI, decoded; `None` for other schemes. A fragment is left out.
pub fn to_path(uri: &str) -> Option<PathBuf> {
    let path = uri.strip_prefix("file://")?;
    let path = path.strip_prefix("localhost").unwrap_or(path);
    let path = path.split('#').next().unwrap_or_default();
    let bytes = decode(path);
    Some(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(bytes)))
}

/// Percent-encodes what may not be in a URI's path.
pub fn encode(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len());
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _infallible = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// Takes percent-encoding out; what is no encoding stays.
pub fn decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let code = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.push(code.unwrap_or(bytes[at]));
        at += if code.is_some() { 3 } else { 1 };
    }
    out
}

/// The last name in a location's path, decoded.
pub fn basename(location: &str) -> String {
    let path = location.split('#').next().unwrap_or_default().trim_end_matches('/');
    let name = path.rsplit('/').next().unwrap_or_default();
    String::from_utf8_lossy(&decode(name)).into_owned()
}

/// Whether it begins with a scheme (`file:`, `keep:`, `http:`, `_:`), which one letter is not.
pub fn has_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme == "_"
        || (scheme.len() > 1
            && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b))
            && scheme.as_bytes()[0].is_ascii_alphabetic()
            && (rest.starts_with("//") || scheme == "keep" || scheme == "arvwf"))
}

/// What `reference` means in the document `base`.
pub fn join(base: &str, reference: &str) -> String {
    let base = base.split('#').next().unwrap_or_default();
    if has_scheme(reference) {
        return reference.to_owned();
    }
    if reference.is_empty() || reference.starts_with('#') {
        return format!("{base}{reference}");
    }
    let (path, fragment) = match reference.find('#') {
        Some(at) => reference.split_at(at),
        None => (reference, ""),
    };
    let root_at = base
        .find("://")
        .map_or(0, |at| base[at + 3..].find('/').map_or(base.len(), |slash| at + 3 + slash));
    let (root, base_path) = base.split_at(root_at);
    let joined = if path.starts_with('/') {
        path.to_owned()
    } else {
        let folder = base_path.rfind('/').map_or("", |at| &base_path[..at]);
        format!("{folder}/{path}")
    };
    format!("{root}{}{fragment}", without_dots(&joined))
}

/// A file's name beneath a folder's location, encoded.
pub fn child(folder: &str, name: &str) -> String {
    format!("{}/{}", folder.trim_end_matches('/'), encode(name.as_bytes()))
}

fn without_dots(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                if parts.len() > 1 {
                    parts.pop();
                }
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// The text behind the last `/` or `#`.
pub fn short_name(id: &str) -> &str {
    id.rsplit(['/', '#']).next().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_relative_to_their_document() {
        let base = "file:///a/b/tool.cwl#main";
        for (reference, expected) in [
            ("x.txt", "file:///a/b/x.txt"),
            ("../x.txt", "file:///a/x.txt"),
            ("../../../x", "file:///x"),
            ("./d/./x#y", "file:///a/b/d/x#y"),
            ("#step", "file:///a/b/tool.cwl#step"),
            ("/abs/x", "file:///abs/x"),
            ("file:///c", "file:///c"),
            ("http://h/x", "http://h/x"),
            ("colon:test.cwl", "file:///a/b/colon:test.cwl"),
        ] {
            assert_eq!(join(base, reference), expected, "{reference}");
        }
        assert_eq!(join("http://h/a/b", "c"), "http://h/a/c");
    }

    #[test]
    fn names_come_back() {
        let path = Path::new("/tmp/item #1 é%.txt");
        let uri = from_path(path);
        assert_eq!(uri, "file:///tmp/item%20%231%20%C3%A9%25.txt");
        assert_eq!(to_path(&uri).unwrap(), path);
        assert_eq!(basename(&uri), "item #1 é%.txt");
        assert_eq!(decode("100%"), b"100%");
    }
}
