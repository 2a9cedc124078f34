//! The head of a request: written for apps, read from clients.
//!
//! Read are heads that have one reading only, of HTTP/1.1, for a path of one host. A head of any other form is a
//! [`Problem`], and stays where it was: whoever reads more forms than these may have it.

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::uri::PathAndQuery;
use http::{HeaderMap, Method};

use crate::length::{self, BodyLength};
use crate::lines::{Outline, write_field};
use crate::{Problem, is_among};

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
    /// What it says about the connection.
    pub wishes: Wishes,
    /// The head as it was sent.
    pub raw: Bytes,
}

/// What a client wishes of whoever serves its connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wishes {
    /// It sends no other request over it (RFC 9112 section 9.3).
    pub closes: bool,
    /// It waits for `100 Continue` before it sends the body (RFC 9110 section 10.1.1).
    pub awaits_continue: bool,
    /// It would speak another protocol.
    pub switches: bool,
    /// It takes trailers.
    pub takes_trailers: bool,
}

impl Head {
    /// The host that is asked.
    #[must_use]
    pub fn host(&self) -> &[u8] {
        self.headers.get(HOST).map_or(b"", HeaderValue::as_bytes)
    }
}

/// Takes a head from the front of `buffer`; `None` where it is not complete yet. `spare`: an empty map, whose room is
/// used.
///
/// # Errors
/// When the bytes are no head that is read here, or have more than `bytes_max` before its end. The buffer is as it was.
pub fn read_head(
    buffer: &mut BytesMut,
    bytes_max: usize,
    spare: &mut HeaderMap,
) -> Result<Option<Head>, Problem> {
    if buffer.starts_with(b"\r\n") {
        // RFC 9112 section 2.2 has servers skip an empty line in front; some see a request in it.
        return Err(Problem::OtherForm);
    }
    let mut outline = Outline::new();
    if !outline.find(buffer, FIELDS_MAX, bytes_max)? {
        return Ok(None);
    }
    let raw = buffer.split_to(outline.length).freeze();
    match parse(&raw, &outline, std::mem::take(spare)) {
        Ok((line, fields)) => {
            let (method, target) = line;
            let Fields { headers, length, wishes } = fields;
            Ok(Some(Head { method, target, headers, length, wishes, raw }))
        }
        Err(problem) => {
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

type Line = (Method, PathAndQuery);

struct Fields {
    headers: HeaderMap,
    length: BodyLength,
    wishes: Wishes,
}

/// `raw` is a whole head, the empty line with it.
fn parse(raw: &Bytes, outline: &Outline, headers: HeaderMap) -> Result<(Line, Fields), Problem> {
    let line = request_line(raw, outline.first(raw))?;
    Ok((line, fields(raw, outline, headers)?))
}

/// What the fields say of the message itself is looked for while they are taken apart.
fn fields(raw: &Bytes, outline: &Outline, mut headers: HeaderMap) -> Result<Fields, Problem> {
    headers.reserve(outline.n_lines + FIELDS_SPARE);
    let (mut n_hosts, mut is_framed, mut wishes) = (0_usize, false, Wishes::default());
    outline.fields(raw, |name, value| {
        match name {
            HOST => n_hosts += 1,
            CONTENT_LENGTH | TRANSFER_ENCODING => is_framed = true,
            CONNECTION => wishes.closes |= is_among(&value, b"close"),
            TE => wishes.takes_trailers |= is_among(&value, b"trailers"),
            UPGRADE => wishes.switches = true,
            EXPECT => {
                wishes.awaits_continue |= value.as_bytes().eq_ignore_ascii_case(b"100-continue");
            }
            _ => {}
        }
        headers.append(name, value);
    })?;
    if n_hosts != 1 {
        return Err(Problem::OtherForm);
    }
    let length = if is_framed { length::of_request(&headers)? } else { BodyLength::Exact(0) };
    Ok(Fields { headers, length, wishes })
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
/// in lower case, as the map has them; their order is the map's. `further` are fields that the map has not, names and values,
/// both valid as they stand; they come behind it.
pub fn write_head(
    out: &mut BytesMut,
    method: &Method,
    target: &str,
    headers: &HeaderMap,
    further: &[(&str, &[u8])],
) {
    let fields = || {
        let of_map = headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
        of_map.chain(further.iter().copied())
    };
    let n_fields: usize = fields().map(|(name, value)| name.len() + value.len() + 4).sum();
    // All there will be: to grow for the last two bytes would cost as much as all the fields.
    out.reserve(method.as_str().len() + target.len() + 14 + n_fields);
    out.put_slice(method.as_str().as_bytes());
    out.put_u8(b' ');
    out.put_slice(target.as_bytes());
    out.put_slice(b" HTTP/1.1\r\n");
    fields().for_each(|(name, value)| write_field(out, name.as_bytes(), value));
    out.put_slice(b"\r\n");
}

/// Appends every field and the empty line: the end of a head, or of a trailer section.
pub fn write_fields(out: &mut BytesMut, headers: &HeaderMap) {
    for (name, value) in headers {
        write_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
