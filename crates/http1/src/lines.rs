//! The lines of a head: where they end, and what stands in those of fields. Requests and answers have the same.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{self, HeaderName, HeaderValue};

use crate::Problem;

/// Most fields that anybody here reads of one head.
pub(crate) const FIELDS_MAX: usize = 128;

/// Where the lines of a whole head end.
pub(crate) struct Outline {
    /// Bytes of the head, its empty line with it.
    pub(crate) length: usize,
    /// Lines without the empty one, the first one with them.
    pub(crate) n_lines: usize,
    /// The line feed of each.
    ends: [u32; FIELDS_MAX + 1],
}

impl Outline {
    /// Of nothing yet. It is half a KiB, so it is found in place and not handed around.
    pub(crate) fn new() -> Self {
        Self { length: 0, n_lines: 0, ends: [0; FIELDS_MAX + 1] }
    }

    /// Finds that of the head that `bytes` begin with; false where it is not complete yet. Each line ends in CR LF, and
    /// there is at least one.
    ///
    /// # Errors
    /// A line that ends in LF alone, or nothing in front of the end, and what is over one of the limits, also where the
    /// head is not complete.
    pub(crate) fn find(
        &mut self,
        bytes: &[u8],
        fields_max: usize,
        bytes_max: usize,
    ) -> Result<bool, Problem> {
        for at in memchr::memchr_iter(b'\n', &bytes[..bytes.len().min(bytes_max)]) {
            if at == self.length || bytes[at - 1] != b'\r' {
                return Err(Problem::MalformedHead);
            }
            let is_empty = at - self.length == 1;
            self.length = at + 1;
            if is_empty {
                let is_head = self.n_lines > 0;
                return if is_head { Ok(true) } else { Err(Problem::MalformedHead) };
            }
            if self.n_lines > fields_max {
                return Err(Problem::TooManyFields);
            }
            let end = self.ends.get_mut(self.n_lines).ok_or(Problem::TooManyFields)?;
            *end = u32::try_from(at).map_err(|_huge| Problem::HeadTooLong)?;
            self.n_lines += 1;
        }
        if bytes.len() < bytes_max { Ok(false) } else { Err(Problem::HeadTooLong) }
    }

    /// The first line of the head, without its end.
    pub(crate) fn first<'h>(&self, head: &'h [u8]) -> &'h [u8] {
        &head[..self.ends[0] as usize - 1]
    }

    /// Takes the fields of the head apart, in the order of the wire.
    pub(crate) fn fields(
        &self,
        head: &Bytes,
        mut take: impl FnMut(HeaderName, HeaderValue),
    ) -> Result<(), Problem> {
        for ends in self.ends[..self.n_lines].windows(2) {
            let (begin, end) = (ends[0] as usize + 1, ends[1] as usize - 1);
            let (name, value) = field(head, begin, end)?;
            take(name, value);
        }
        Ok(())
    }
}

/// Appends `name: value` and the line's end; both are valid as they stand.
pub(crate) fn write_field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

/// `Name: value`, with no space before the colon and none that counts around the value. A folded line begins with a
/// space, and so with no name.
fn field(head: &Bytes, begin: usize, end: usize) -> Result<(HeaderName, HeaderValue), Problem> {
    let line = &head[begin..end];
    // Names are short.
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Problem::MalformedHead)?;
    let name = match usual(&line[..colon]) {
        Some(name) => Ok(name),
        None => HeaderName::from_bytes(&line[..colon]),
    };
    let (from, to) = trimmed(line, colon + 1);
    let value = HeaderValue::from_maybe_shared(head.slice(begin + from..begin + to));
    match (name, value) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(Problem::MalformedHead),
    }
}

/// Names that most heads have, as they are mostly written: found for a fifth of what any name costs.
fn usual(name: &[u8]) -> Option<HeaderName> {
    Some(match name {
        b"Host" | b"host" => header::HOST,
        b"Date" | b"date" => header::DATE,
        b"ETag" | b"etag" => header::ETAG,
        b"Vary" | b"vary" => header::VARY,
        b"Accept" | b"accept" => header::ACCEPT,
        b"Cookie" | b"cookie" => header::COOKIE,
        b"Server" | b"server" => header::SERVER,
        b"Referer" | b"referer" => header::REFERER,
        b"Connection" | b"connection" => header::CONNECTION,
        b"User-Agent" | b"user-agent" => header::USER_AGENT,
        b"Content-Type" | b"content-type" => header::CONTENT_TYPE,
        b"Authorization" | b"authorization" => header::AUTHORIZATION,
        b"Accept-Ranges" | b"accept-ranges" => header::ACCEPT_RANGES,
        b"Cache-Control" | b"cache-control" => header::CACHE_CONTROL,
        b"Last-Modified" | b"last-modified" => header::LAST_MODIFIED,
        b"Content-Length" | b"content-length" => header::CONTENT_LENGTH,
        b"Accept-Encoding" | b"accept-encoding" => header::ACCEPT_ENCODING,
        b"Accept-Language" | b"accept-language" => header::ACCEPT_LANGUAGE,
        b"Transfer-Encoding" | b"transfer-encoding" => header::TRANSFER_ENCODING,
        _ => return None,
    })
}

/// Where the value begins and ends in a line. Spaces and tabs around it alone are none of it: other white space is no
/// part of the grammar, and some readers keep it.
fn trimmed(line: &[u8], mut from: usize) -> (usize, usize) {
    let is_space = |byte: u8| matches!(byte, b' ' | b'\t');
    let mut to = line.len();
    while from < to && is_space(line[from]) {
        from += 1;
    }
    while from < to && is_space(line[to - 1]) {
        to -= 1;
    }
    (from, to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_those_that_any_reader_finds() {
        let names = "Host Date ETag Vary Accept Cookie Server Referer Connection User-Agent Content-Type Authorization \
            Accept-Ranges Cache-Control Last-Modified Content-Length Accept-Encoding Accept-Language Transfer-Encoding";
        for name in names.split_ascii_whitespace() {
            for written in [name.to_owned(), name.to_ascii_lowercase()] {
                let any = HeaderName::from_bytes(written.as_bytes()).unwrap();
                assert_eq!(usual(written.as_bytes()), Some(any), "{written}");
            }
        }
        for other in ["", "Hos", "HOST", "Host ", "x-host", "content_length", "Set-Cookie"] {
            assert_eq!(usual(other.as_bytes()), None, "{other}");
        }
    }
}
