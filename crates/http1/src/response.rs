//! The head of an answer: read from apps, written for clients.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRAILER, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::length::Framing;
use crate::lines::{self, Outline, write_field};
use crate::{Problem, is_among};

/// Fields of one head; nobody honest sends half as many.
pub const FIELDS_MAX: usize = lines::FIELDS_MAX;

/// Fields that whoever passes a head on may add without its map having to grow.
const FIELDS_SPARE: usize = 4;

/// `HTTP/1.1` and a space.
const VERSION_BYTES: usize = 9;

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
    /// What it says of its connection.
    stays: Option<Stays>,
}

/// The word of an answer about its connection; where there are two, that it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stays {
    KeepAlive,
    Close,
}

impl Stays {
    fn said_in(value: &HeaderValue, before: Option<Self>) -> Option<Self> {
        if before == Some(Self::Close) || is_among(value, b"close") {
            return Some(Self::Close);
        }
        if is_among(value, b"keep-alive") { Some(Self::KeepAlive) } else { before }
    }
}

impl Head {
    /// Whether the connection can carry another request once this answer was read to its end
    /// (RFC 9112 section 9.3).
    #[must_use]
    pub fn keeps_alive(&self) -> bool {
        match self.stays {
            Some(stays) => stays == Stays::KeepAlive,
            None => !self.is_http10,
        }
    }
}

/// What a server says with an answer beside its status and its fields.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The words of the status line, where they are not the usual ones.
    pub reason: Option<&'a [u8]>,
    /// Where the body ends.
    pub framing: Framing,
    /// Whether the connection ends with this answer.
    pub closes: bool,
    /// The time now, as `Date` has it; for an answer that does not say its own.
    pub date: &'a [u8],
}

/// Appends the status line, every field, and the empty line. The fields that say where the body ends follow from `terms`
/// alone.
pub fn write_head(out: &mut BytesMut, status: StatusCode, headers: &HeaderMap, terms: Terms<'_>) {
    let Terms { reason, framing, closes, date } = terms;
    if status == StatusCode::OK && reason.is_none() {
        out.put_slice(b"HTTP/1.1 200 OK\r\n");
    } else {
        out.put_slice(b"HTTP/1.1 ");
        out.put_slice(status.as_str().as_bytes());
        out.put_u8(b' ');
        let usual = || status.canonical_reason().map_or(&b""[..], str::as_bytes);
        out.put_slice(reason.unwrap_or_else(usual));
        out.put_slice(b"\r\n");
    }
    let mut has_date = false;
    for (name, value) in headers {
        match *name {
            CONTENT_LENGTH | TRANSFER_ENCODING => continue,
            TRAILER if framing != Framing::Chunked => continue,
            DATE => has_date = true,
            _ => {}
        }
        write_field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    match framing {
        Framing::Exact(length) | Framing::Absent(Some(length)) => write_length(out, length),
        Framing::Chunked => out.put_slice(b"transfer-encoding: chunked\r\n"),
        Framing::Absent(None) => {}
    }
    if closes {
        out.put_slice(b"connection: close\r\n");
    }
    if !has_date {
        write_field(out, b"date", date);
    }
    out.put_slice(b"\r\n");
}

/// Without the machinery of formatting: every answer has one.
fn write_length(out: &mut BytesMut, length: u64) {
    let (mut digits, mut at, mut rest) = ([0; 20], 20, length);
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    write_field(out, b"content-length", &digits[at..]);
}

/// Takes a head from the front of `buffer`; `None` where it is not complete yet.
///
/// # Errors
/// When the bytes are no head, or have more than `bytes_max` before its end.
pub fn read_head(buffer: &mut BytesMut, bytes_max: usize) -> Result<Option<Head>, Problem> {
    // Some servers of old send one behind the answer before.
    while buffer.starts_with(b"\r\n") {
        buffer.advance(2);
    }
    let mut outline = Outline::new();
    if !outline.find(buffer, FIELDS_MAX, bytes_max)? {
        return if may_become_one(buffer) { Ok(None) } else { Err(Problem::MalformedHead) };
    }
    let head = buffer.split_to(outline.length).freeze();
    let StatusLine { is_http10, status, reason } = status_line(outline.first(&head))?;
    let reason = head.slice_ref(reason);
    let mut headers = HeaderMap::with_capacity(outline.n_lines + FIELDS_SPARE);
    let mut stays = None;
    outline.fields(&head, |name, value| {
        if name == CONNECTION {
            stays = Stays::said_in(&value, stays);
        }
        headers.append(name, value);
    })?;
    Ok(Some(Head { status, reason, is_http10, headers, stays }))
}

struct StatusLine<'h> {
    is_http10: bool,
    status: StatusCode,
    reason: &'h [u8],
}

/// `HTTP/1.1 200 OK`; the words may be missing, and the space in front of them.
fn status_line(line: &[u8]) -> Result<StatusLine<'_>, Problem> {
    let (version, rest) = line.split_at_checked(VERSION_BYTES).ok_or(Problem::MalformedHead)?;
    let is_http10 = match version {
        b"HTTP/1.1 " => false,
        b"HTTP/1.0 " => true,
        _ => return Err(Problem::MalformedHead),
    };
    let (digits, rest) = rest.split_at_checked(3).ok_or(Problem::MalformedHead)?;
    let status = StatusCode::from_bytes(digits).map_err(|_none| Problem::MalformedHead)?;
    let reason = match rest {
        [] => rest,
        [b' ', words @ ..] => words,
        _ => return Err(Problem::MalformedHead),
    };
    let is_word = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    if !reason.iter().all(is_word) {
        return Err(Problem::MalformedHead);
    }
    // Words of another alphabet say nothing to whoever cannot read it.
    let reason = if reason.is_ascii() { reason } else { &reason[..0] };
    Ok(StatusLine { is_http10, status, reason })
}

/// Whether what has come so far may be the beginning of a head: something that speaks no HTTP is not waited for.
fn may_become_one(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"HTTP/1.";
    match memchr::memchr(b'\n', bytes) {
        Some(end) => status_line(&bytes[..end - 1]).is_ok(),
        None => {
            let n = bytes.len().min(BEGIN.len());
            bytes[..n] == BEGIN[..n] || bytes == b"\r"
        }
    }
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
        assert_eq!(&read(b"HTTP/1.1 200 \xe9\r\n\r\n").unwrap().unwrap().reason[..], b"");
        assert!(
            read(b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").unwrap().is_some(),
            "empty lines in front"
        );
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
        assert!(!keeps("HTTP/1.1 200 OK\r\nconnection: close\r\nconnection: keep-alive"));
        assert!(!keeps("HTTP/1.0 200 OK\r\nconnection: keep-alive, close"));
        assert!(!keeps("HTTP/1.0 200 OK\r\nconnection: x"));
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
            "HTTP/1.1 200 O\rK\r\n\r\n",
            "HTTP/1.1 200 O\0K\r\n\r\n",
            "HTTP/1.1  200 OK\r\n\r\n",
            "HTTP/1.1 200OK\r\n\r\n",
            "HTTP/1.1 099 OK\r\n\r\n",
            "HTTP/1.1 20x OK\r\n\r\n",
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

    #[test]
    fn a_head_is_written_with_one_length_and_one_date() {
        let written = |status: u16, fields: &[(&'static str, &'static str)], terms: Terms<'_>| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            let mut out = BytesMut::new();
            write_head(&mut out, StatusCode::from_u16(status).unwrap(), &headers, terms);
            String::from_utf8(out.to_vec()).unwrap()
        };
        let date = b"Sun, 06 Nov 1994 08:49:37 GMT";
        let terms = Terms { reason: None, framing: Framing::Exact(1234), closes: false, date };
        let lies = [("content-length", "5"), ("transfer-encoding", "gzip"), ("trailer", "x")];
        assert_eq!(
            written(200, &lies, terms),
            "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
        );
        let chunked = Terms { framing: Framing::Chunked, closes: true, ..terms };
        assert_eq!(
            written(404, &[("trailer", "x"), ("date", "today"), ("a", "b"), ("a", "c")], chunked),
            "HTTP/1.1 404 Not Found\r\ntrailer: x\r\ndate: today\r\na: b\r\na: c\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n"
        );
        let absent = Terms { framing: Framing::Absent(None), reason: Some(b"Well"), ..terms };
        let none = written(204, &[("date", "today"), ("content-length", "5")], absent);
        assert_eq!(none, "HTTP/1.1 204 Well\r\ndate: today\r\n\r\n");
        let unknown = written(299, &[("date", "x")], Terms { framing: Framing::Exact(0), ..terms });
        assert_eq!(unknown, "HTTP/1.1 299 \r\ndate: x\r\ncontent-length: 0\r\n\r\n");
        let long = Terms { framing: Framing::Absent(Some(u64::MAX)), ..terms };
        assert!(written(200, &[], long).contains("content-length: 18446744073709551615\r\n"));
    }
}
