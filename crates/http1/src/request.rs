//! The head of a request: written for apps, read from clients.
//!
//! Read are heads that have one reading only, of HTTP/1.1, for a path of one host. A head of any other form is a
//! [`Problem`], and stays where it was: whoever reads more forms than these may have it.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, HOST, HeaderValue};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};

use crate::length::{self, BodyLength};
use crate::{Problem, has_token, lines};

/// Fields of one head; nobody honest sends half as many.
pub const FIELDS_MAX: usize = 100;

/// Bytes of a target; so many the types of `http` can hold.
const TARGET_BYTES_MAX: usize = u16::MAX as usize - 1;

/// Fields that whoever passes a head on may add without its map having to grow.
const FIELDS_SPARE: usize = 8;

/// What every head of HTTP/1.1 has at the end of its first line.
const VERSION: &[u8] = b" HTTP/1.1";

/// The head of a request (RFC 9112 section 3).
#[derive(Debug)]
pub struct Head {
    /// Any but `CONNECT`.
    pub method: Method,
    /// A path with its query, or `*`.
    pub target: PathAndQuery,
    /// All fields, in the order of the wire. There is one `Host`.
    pub headers: HeaderMap,
    /// How long the body is.
    pub length: BodyLength,
    /// The head as it was sent.
    pub raw: Bytes,
}

impl Head {
    /// The host that is asked.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.headers.get(HOST).map_or(b"", HeaderValue::as_bytes)
    }

    /// Whether the client may send another request over the connection (RFC 9112 section 9.3).
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        !has_token(&self.headers, &CONNECTION, b"close")
    }
}

/// Takes a head from the front of `buffer`; `None` where it is not complete yet.
///
/// # Errors
/// When the bytes are no head that is read here, or have more than `bytes_max` before its end. The buffer is as it was.
pub fn read_head(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Head>, Problem> {
    if buffer.starts_with(b"\r\n") {
        // RFC 9112 section 2.2 has servers skip an empty line in front; some see a request in it.
        return Err(Problem::OtherForm);
    }
    let Some((length, n_lines)) = lines::end_of_head(buffer, FIELDS_MAX, bytes_max)? else {
        return Ok(None);
    };
    let raw = buffer.split_to(length).freeze();
    match parse(raw, n_lines) {
        Ok(head) => Ok(Some(head)),
        Err((problem, raw)) => {
            put_back(buffer, &raw);
            Err(problem)
        }
    }
}

/// Puts a head back where it was taken from.
pub fn put_back(buffer: &mut BytesMut, raw: &[u8]) {
    let mut whole = BytesMut::with_capacity(raw.len() + buffer.len());
    whole.extend_from_slice(raw);
    whole.extend_from_slice(buffer);
    *buffer = whole;
}

/// `raw` is a whole head, the empty line with it.
fn parse(raw: Bytes, n_lines: usize) -> Result<Head, (Problem, Bytes)> {
    match parse_lines(&raw, n_lines) {
        Ok((method, target, headers, length)) => Ok(Head { method, target, headers, length, raw }),
        Err(problem) => Err((problem, raw)),
    }
}

type Parsed = (Method, PathAndQuery, HeaderMap, BodyLength);

fn parse_lines(raw: &Bytes, n_lines: usize) -> Result<Parsed, Problem> {
    let (method, target) = request_line(raw, lines::first(raw))?;
    let headers = lines::fields(raw, n_lines, FIELDS_SPARE)?;
    let mut hosts = headers.get_all(HOST).iter();
    if hosts.next().is_none() || hosts.next().is_some() {
        return Err(Problem::OtherForm);
    }
    let length = length::of_request(&headers)?;
    Ok((method, target, headers, length))
}

/// `METHOD target HTTP/1.1`, with one space each and a target that begins with a slash, or is an asterisk.
fn request_line(raw: &Bytes, line: &[u8]) -> Result<(Method, PathAndQuery), Problem> {
    let line = line.strip_suffix(VERSION).ok_or(Problem::OtherForm)?;
    let space = memchr::memchr(b' ', line).ok_or(Problem::MalformedHead)?;
    let (method, target) = (&line[..space], &line[space + 1..]);
    let method = Method::from_bytes(method).map_err(|_no_token| Problem::MalformedHead)?;
    let is_path = target.first() == Some(&b'/') || target == b"*";
    // A fragment belongs in no target, and some readers end it there.
    let is_plain = target.iter().all(|byte| matches!(byte, 0x21..=0x7e) && *byte != b'#');
    if method == Method::CONNECT || !is_path || !is_plain || target.len() > TARGET_BYTES_MAX {
        return Err(Problem::OtherForm);
    }
    let target = PathAndQuery::from_maybe_shared(raw.slice_ref(target));
    Ok((method, target.map_err(|_not_valid| Problem::MalformedHead)?))
}

/// Appends `METHOD target HTTP/1.1`, every field, and the empty line (RFC 9112 section 3).
///
/// `target` is written as it stands: the caller has it from a valid [`http::Uri`]. Field names are
/// in lower case, as the map has them; their order is the map's.
pub fn write_head(out: &mut BytesMut, method: &Method, target: &str, headers: &HeaderMap) {
    let n_fields: usize =
        headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    out.reserve(method.as_str().len() + target.len() + 13 + n_fields);
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    write_fields(out, headers);
}

/// Appends every field and the empty line: the end of a head, or of a trailer section.
pub fn write_fields(out: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        out.put_slice(name.as_str().as_bytes());
        out.put_slice(b": ");
        out.put_slice(value.as_bytes());
        out.put_slice(b"\r\n");
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
