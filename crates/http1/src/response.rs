//! Reading the head of an answer.

use std::mem::MaybeUninit;

use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};

use crate::Problem;

/// Fields of one head; nobody honest sends half as many.
pub const FIELDS_MAX: usize = 128;

/// Fields of nearly all heads: what room is made for first, on the stack.
const FIELDS_USUAL: usize = 32;

/// The head of an answer (RFC 9112 section 4).
#[derive(Debug)]
pub struct Head {
    /// The status code, 100 to 999.
    pub status: StatusCode,
    /// The words behind it, as sent; for people alone.
    pub reason: Bytes,
    /// Whether the answer is of HTTP/1.0, whose connections end with each answer unless they say otherwise.
    pub is_http10: bool,
    /// All fields, in the order of the wire.
    pub headers: HeaderMap,
}

impl Head {
    /// Whether the connection can carry another request once this answer was read to its end
    /// (RFC 9112 section 9.3).
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        let mut tokens = self
            .headers
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .map(<[u8]>::trim_ascii);
        if self.is_http10 {
            tokens.any(|token| token.eq_ignore_ascii_case(b"keep-alive"))
        } else {
            !tokens.any(|token| token.eq_ignore_ascii_case(b"close"))
        }
    }
}

/// Takes a head from the front of `buffer`; `None` where it is not complete yet.
///
/// # Errors
/// When the bytes are no head, or have more than `bytes_max` before its end.
pub fn read_head(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Head>, Problem> {
    match read_head_of::<FIELDS_USUAL>(buffer, bytes_max) {
        Err(Problem::TooManyFields) => read_head_of::<FIELDS_MAX>(buffer, bytes_max),
        read => read,
    }
}

fn read_head_of<const N: usize>(
    buffer: &mut BytesMut,
    bytes_max: usize,
) -> Result<Option<Head>, Problem> {
    let mut fields = [MaybeUninit::uninit(); N];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        &buffer[..],
        &mut fields,
    );
    let length = match parsed {
        Ok(httparse::Status::Complete(length)) if length <= bytes_max => length,
        Ok(httparse::Status::Complete(_)) => return Err(Problem::HeadTooLong),
        Ok(httparse::Status::Partial) if buffer.len() < bytes_max => return Ok(None),
        Ok(httparse::Status::Partial) => return Err(Problem::HeadTooLong),
        Err(httparse::Error::TooManyHeaders) => return Err(Problem::TooManyFields),
        Err(_malformed) => return Err(Problem::MalformedHead),
    };
    if has_bare_line_feed(&buffer[..length]) {
        return Err(Problem::MalformedHead);
    }
    let status = response.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Problem::MalformedHead)?;
    let is_http10 = response.version == Some(0);
    // The places of all parts, so that the values can share the buffer's memory once it is split.
    let base = buffer.as_ptr() as usize;
    let place = |part: &[u8]| {
        let start = part.as_ptr() as usize - base;
        (start, start + part.len())
    };
    // An empty reason is a static text and not a part of the buffer.
    let reason = response.reason.filter(|text| !text.is_empty());
    let (from, to) = reason.map_or((0, 0), |text| place(text.as_bytes()));
    let n_fields = response.headers.len();
    let mut places = [((0, 0), (0, 0)); N];
    for (slot, field) in places.iter_mut().zip(response.headers.iter()) {
        *slot = (place(field.name.as_bytes()), place(field.value));
    }
    let head = buffer.split_to(length).freeze();
    let mut headers = HeaderMap::with_capacity(n_fields);
    for ((name_from, name_to), (from, to)) in &places[..n_fields] {
        let name = HeaderName::from_bytes(&head[*name_from..*name_to]);
        let value = HeaderValue::from_maybe_shared(head.slice(*from..*to));
        let (Ok(name), Ok(value)) = (name, value) else { return Err(Problem::MalformedHead) };
        headers.append(name, value);
    }
    Ok(Some(Head { status, reason: head.slice(from..to), is_http10, headers }))
}

/// The parser takes a line feed alone for a line's end; another reader on the way may not
/// (RFC 9112 section 2.2).
fn has_bare_line_feed(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).any(|at| at == 0 || head[at - 1] != b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<Option<Head>, Problem> {
        read_head(&mut BytesMut::from(text), 4096)
    }

    #[test]
    fn a_head_is_taken_and_what_follows_stays() {
        let mut buffer = BytesMut::from(
            &b"HTTP/1.1 404 No Such Thing\r\nX-A:  b \r\nset-cookie: 1\r\nSet-Cookie: 2\r\nempty:\r\n\r\nbody"[..],
        );
        let head = read_head(&mut buffer, 4096).unwrap().unwrap();
        assert_eq!(head.status, 404);
        assert_eq!(&head.reason[..], b"No Such Thing");
        assert_eq!(head.headers["x-a"], "b");
        assert_eq!(head.headers["empty"], "");
        assert_eq!(head.headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(&buffer[..], b"body");
        assert!(head.keeps_alive() && !head.is_http10);
        assert_eq!(&read(b"HTTP/1.1 200\r\n\r\n").unwrap().unwrap().reason[..], b"");
        assert_eq!(&read(b"HTTP/1.1 200 \r\n\r\n").unwrap().unwrap().reason[..], b"");
    }

    #[test]
    fn a_head_is_waited_for_until_it_is_too_long() {
        let whole = b"HTTP/1.1 200 OK\r\na: b\r\n\r\n";
        for end in 0..whole.len() {
            assert!(read(&whole[..end]).unwrap().is_none(), "{end}");
        }
        let long = [&b"HTTP/1.1 200 OK\r\na: "[..], &[b'x'; 5000]].concat();
        assert_eq!(read(&long).unwrap_err(), Problem::HeadTooLong);
        let complete = [&long[..], b"\r\n\r\n"].concat();
        assert_eq!(read(&complete).unwrap_err(), Problem::HeadTooLong);
        let many = ["HTTP/1.1 200 OK\r\n", &"a: b\r\n".repeat(FIELDS_MAX + 1), "\r\n"].concat();
        assert_eq!(read(many.as_bytes()).unwrap_err(), Problem::TooManyFields);
    }

    #[test]
    fn connections_stay_or_go_as_the_head_says() {
        let keeps = |text: &str| {
            let text = format!("{text}\r\n\r\n");
            read(text.as_bytes()).unwrap().unwrap().keeps_alive()
        };
        assert!(keeps("HTTP/1.1 200 OK"));
        assert!(keeps("HTTP/1.1 200 OK\r\nconnection: keep-alive"));
        assert!(!keeps("HTTP/1.1 200 OK\r\nConnection: x, CLOSE"));
        assert!(!keeps("HTTP/1.1 200 OK\r\nconnection: x\r\nconnection: close"));
        assert!(!keeps("HTTP/1.0 200 OK"));
        assert!(keeps("HTTP/1.0 200 OK\r\nconnection: Keep-Alive"));
    }

    #[test]
    fn t21_what_two_readers_could_read_differently_is_no_head() {
        for bad in [
            "HTTP/1.1 200 OK\n\n",
            "HTTP/1.1 200 OK\r\na: b\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n",
            "HTTP/1.1 200 OK\r\na : b\r\n\r\n",
            "HTTP/1.1 200 OK\r\na\0: b\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\0\r\n\r\n",
            "HTTP/1.1 200 OK\r\na: b\rc: d\r\n\r\n",
            "HTTP/1.1 200 OK\r\n: b\r\n\r\n",
            "HTTP/1.1 20 OK\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "HTTP/2.0 200 OK\r\n\r\n",
            "HTTP/0.9 200 OK\r\n\r\n",
            "http/1.1 200 OK\r\n\r\n",
            "\0\r\n\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
        ] {
            assert!(matches!(read(bad.as_bytes()), Err(Problem::MalformedHead)), "{bad:?}");
        }
    }
}
