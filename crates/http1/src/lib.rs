//! HTTP/1.1 messages on the wire: heads, how long bodies are, the chunked coding.
//!
//! What it is for: both halves of HTTP/1.1 (RFC 9112) over any transport. A client's writes requests and reads answers,
//! a server's reads requests and writes answers. What it does not do: no sockets, no tasks, no clock, no connection
//! state. It is strict: where two readers could see two messages, there is none ([`Problem`]).
//!
//! ```text
//! client  request::write_head ─► bytes ─► … ─► bytes ─► response::read_head ─► length::of_response ─► chunked::Decoder
//! server  request::read_head, chunked::Decoder ◄─ bytes ◄─ … ◄─ bytes ◄─ response::write_head ◄─ length::Framing::of
//! ```
//!
//! Where to start reading: [`response`] or [`request`], then [`length`].

pub mod chunked;
pub mod length;
pub mod request;
pub mod response;

mod lines;
mod problem;

use http::header::{HeaderMap, HeaderName, HeaderValue};

pub use problem::Problem;

/// Whether a list-valued field has a token, in any case.
#[must_use]
pub fn has_token(headers: &HeaderMap, name: &HeaderName, token: &[u8]) -> bool {
    headers.get_all(name).iter().any(|value| is_among(value, token))
}

/// Whether a token is among those of a value, in any case.
fn is_among(value: &HeaderValue, token: &[u8]) -> bool {
    let mut tokens = value.as_bytes().split(|byte| *byte == b',');
    tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token))
}

/// `httparse` takes a line feed alone for a line's end; another reader on the way may not (RFC 9112 section 2.2).
fn has_bare_line_feed(lines: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', lines).any(|at| at == 0 || lines[at - 1] != b'\r')
}
