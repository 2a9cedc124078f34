//! The chunked transfer coding (RFC 9112 section 7.1).

use std::io::Write as _;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::{Problem, has_bare_line_feed};

/// Bytes of one size line with its extensions; they are read over, so this only bounds the work.
const SIZE_LINE_BYTES_MAX: usize = 1024;

/// Bytes of all extensions of one body: nobody honest sends any.
const EXTENSION_BYTES_MAX: usize = 8 * 1024;

/// Bytes of a trailer section.
const TRAILER_BYTES_MAX: usize = 16 * 1024;

/// Fields of a trailer section.
const TRAILER_FIELDS_MAX: usize = 64;

/// The end of a body without trailers.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Ends a chunk's bytes.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Appends the size line of a chunk; its bytes and [`CHUNK_END`] follow. `n_bytes` of 0 would be
/// the end of the body.
pub fn write_size(out: &mut BytesMut, n_bytes: usize) {
    debug_assert!(n_bytes > 0, "a chunk of no bytes ends the body");
    let mut writer = out.writer();
    // Writing to memory cannot fail.
    let _infallible = write!(writer, "{n_bytes:x}\r\n");
}

/// Appends the last chunk and a trailer section.
pub fn write_trailers(out: &mut BytesMut, trailers: &HeaderMap) {
    out.put_slice(b"0\r\n");
    crate::request::write_fields(out, trailers);
}

/// A piece of a decoded body.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Bytes of the body, never none.
    Data(Bytes),
    /// The trailer section, where it has fields; the end comes next.
    Trailers(HeaderMap),
    /// The body is over; what follows in the buffer belongs to somebody else.
    End,
}

/// Takes a chunked body apart.
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
    n_extension_bytes: usize,
}

#[derive(Debug, Default)]
enum State {
    /// Before a size line.
    #[default]
    Size,
    /// Within a chunk: so many bytes are left of it.
    Data(u64),
    /// Behind a chunk's bytes.
    DataEnd,
    /// Within the trailer section.
    Trailers,
    End,
}

impl Decoder {
    /// Takes the next piece from the front of `buffer`; `None` where more bytes are needed.
    ///
    /// # Errors
    /// [`Problem::BadChunk`] where the bytes are no chunked body.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Piece>, Problem> {
        loop {
            match self.state {
                State::Size => match self.take_size(buffer)? {
                    None => return Ok(None),
                    Some(0) => self.state = State::Trailers,
                    Some(size) => self.state = State::Data(size),
                },
                State::Data(left) => {
                    if buffer.is_empty() {
                        return Ok(None);
                    }
                    let n =
                        usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
                    let left = left - n as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Some(Piece::Data(buffer.split_to(n).freeze())));
                }
                State::DataEnd => match buffer.first_chunk::<2>() {
                    Some(b"\r\n") => {
                        buffer.advance(2);
                        self.state = State::Size;
                    }
                    Some(_) => return Err(Problem::BadChunk),
                    None if buffer.first().is_none_or(|byte| *byte == b'\r') => return Ok(None),
                    None => return Err(Problem::BadChunk),
                },
                State::Trailers => {
                    let Some(trailers) = take_trailers(buffer)? else { return Ok(None) };
                    self.state = State::End;
                    if !trailers.is_empty() {
                        return Ok(Some(Piece::Trailers(trailers)));
                    }
                }
                State::End => return Ok(Some(Piece::End)),
            }
        }
    }

    /// Whether the body was read to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// A size line: hexadecimal digits, then extensions that nobody reads, then CR LF.
    fn take_size(&mut self, buffer: &mut BytesMut) -> Result<Option<u64>, Problem> {
        let line_max = &buffer[..buffer.len().min(SIZE_LINE_BYTES_MAX)];
        let Some(end) = line_max.iter().position(|byte| *byte == b'\n') else {
            // What cannot become a size line is refused before its end comes.
            let so_far = line_max.strip_suffix(b"\r").unwrap_or(line_max);
            let may_become_one = so_far.is_empty() || read_size(so_far).is_some();
            let is_too_long = buffer.len() >= SIZE_LINE_BYTES_MAX;
            return if may_become_one && !is_too_long { Ok(None) } else { Err(Problem::BadChunk) };
        };
        let line = line_max[..end].strip_suffix(b"\r").ok_or(Problem::BadChunk)?;
        let (size, n_extension_bytes) = read_size(line).ok_or(Problem::BadChunk)?;
        self.n_extension_bytes += n_extension_bytes;
        if self.n_extension_bytes > EXTENSION_BYTES_MAX {
            return Err(Problem::BadChunk);
        }
        buffer.advance(end + 1);
        Ok(Some(size))
    }
}

/// The size and how many bytes follow it. Extensions begin with a semicolon; old servers put spaces before it or the
/// line's end.
fn read_size(line: &[u8]) -> Option<(u64, usize)> {
    let n_digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let (digits, rest) = line.split_at(n_digits);
    let is_extension = matches!(rest.trim_ascii_start(), [] | [b';', ..]);
    let has_controls = rest.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t');
    if digits.is_empty() || digits.len() > 16 || !is_extension || has_controls {
        return None;
    }
    let size = u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    Some((size, rest.len()))
}

fn take_trailers(buffer: &mut BytesMut) -> Result<Option<HeaderMap>, Problem> {
    if buffer.starts_with(CHUNK_END) {
        buffer.advance(CHUNK_END.len());
        return Ok(Some(HeaderMap::new()));
    }
    let mut fields = [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX];
    let (length, fields) = match httparse::parse_headers(buffer, &mut fields) {
        Ok(httparse::Status::Complete(found))
            if found.0 < TRAILER_BYTES_MAX && !has_bare_line_feed(&buffer[..found.0]) =>
        {
            found
        }
        Ok(httparse::Status::Partial) if buffer.len() < TRAILER_BYTES_MAX => return Ok(None),
        Ok(_) | Err(_) => return Err(Problem::BadChunk),
    };
    let mut trailers = HeaderMap::with_capacity(fields.len());
    for field in fields {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) else {
            return Err(Problem::BadChunk);
        };
        trailers.append(name, value);
    }
    buffer.advance(length);
    Ok(Some(trailers))
}

#[cfg(test)]
mod tests;
