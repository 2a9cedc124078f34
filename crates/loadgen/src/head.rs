//! Heads of HTTP/1.1 messages (RFC 9112 section 2.1), as far as two ends of our own need them.
//!
//! Lenient on purpose and so unfit for strangers: the proxies between the two ends are the strict ones.

/// Largest head either end accepts, in bytes; ours are some hundred, with what proxies add.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;

/// A head: its first line and its fields, without the empty line that ends it.
#[derive(Debug, Clone, Copy)]
pub struct Head<'a> {
    text: &'a str,
}

impl<'a> Head<'a> {
    /// Finds a whole head at the start of `bytes`; gives it with its length, empty line included.
    ///
    /// # Errors
    /// When the head is larger than [`HEAD_BYTES_MAX`] or no text.
    pub fn find(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, &'static str> {
        let searched = &bytes[..bytes.len().min(HEAD_BYTES_MAX)];
        let Some(end) = searched.windows(4).position(|four| four == b"\r\n\r\n") else {
            return if bytes.len() < HEAD_BYTES_MAX { Ok(None) } else { Err("head too large") };
        };
        let text = std::str::from_utf8(&bytes[..end]).map_err(|_not_text| "head is no text")?;
        Ok(Some((Self { text }, end + 4)))
    }

    /// The words of the first line: method, target, version, or version, status, reason.
    pub fn first_line(&self) -> impl Iterator<Item = &'a str> {
        self.text.lines().next().unwrap_or_default().split(' ')
    }

    /// The status code of a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.first_line().nth(1)?.parse().ok()
    }

    /// The first value of a field, named in any case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a str> {
        self.text.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// `Content-Length` in bytes.
    #[must_use]
    pub fn content_length(&self) -> Option<u64> {
        self.field("content-length")?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_found_once_it_is_whole() {
        let bytes = b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 7\r\nA: b\r\n\r\nbody";
        for cut in 0..bytes.len() - 4 {
            assert!(Head::find(&bytes[..cut]).unwrap().is_none(), "{cut}");
        }
        let (head, length) = Head::find(bytes).unwrap().unwrap();
        assert_eq!(&bytes[length..], b"body");
        assert_eq!(head.status(), Some(200));
        assert_eq!(head.content_length(), Some(7));
        assert_eq!(head.field("a"), Some("b"));
        assert_eq!(head.field("b"), None);
    }

    #[test]
    fn an_endless_head_is_refused() {
        let bytes = vec![b'x'; HEAD_BYTES_MAX];
        assert!(Head::find(&bytes[1..]).unwrap().is_none());
        assert!(Head::find(&bytes).is_err());
    }
}
