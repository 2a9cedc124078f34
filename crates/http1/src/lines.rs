//! The lines of a head: where they end, and what stands in those of fields. Requests and answers have the same.

use bytes::Bytes;
use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::Problem;

/// How many bytes and lines a head has, the empty line at its end not among the lines; `None` where it is not complete
/// yet. Each line ends in CR LF, and there is at least one.
///
/// # Errors
/// A line that ends in LF alone, or nothing in front of the end, and what is over one of the limits, also where the head
/// is not complete.
pub(crate) fn end_of_head(
    bytes: &[u8],
    fields_max: usize,
    bytes_max: usize,
) -> Result<Option<(usize, usize)>, Problem> {
    let (mut begin, mut n_lines) = (0, 0);
    for at in memchr::memchr_iter(b'\n', bytes) {
        if at == begin || bytes[at - 1] != b'\r' {
            return Err(Problem::MalformedHead);
        }
        let is_empty = at - begin == 1;
        begin = at + 1;
        if is_empty {
            return match n_lines {
                0 => Err(Problem::MalformedHead),
                _ if begin > bytes_max => Err(Problem::HeadTooLong),
                _ => Ok(Some((begin, n_lines))),
            };
        }
        n_lines += 1;
        if n_lines > fields_max + 1 {
            return Err(Problem::TooManyFields);
        }
    }
    if bytes.len() < bytes_max { Ok(None) } else { Err(Problem::HeadTooLong) }
}

/// The first line of a whole head, without its end.
pub(crate) fn first(head: &[u8]) -> &[u8] {
    let end = memchr::memchr(b'\n', head).unwrap_or(head.len());
    &head[..end.saturating_sub(1)]
}

/// The fields of a whole head of so many lines, in a map with room for some more.
pub(crate) fn fields(head: &Bytes, n_lines: usize, n_spare: usize) -> Result<HeaderMap, Problem> {
    let mut headers = HeaderMap::with_capacity(n_lines + n_spare);
    let mut begin = 0;
    for end in memchr::memchr_iter(b'\n', head).take(n_lines) {
        if begin > 0 {
            let (name, value) = field(head, &head[begin..end - 1])?;
            headers.append(name, value);
        }
        begin = end + 1;
    }
    Ok(headers)
}

/// `Name: value`, with no space before the colon and none that counts around the value. A folded line begins with a
/// space, and so with no name.
fn field(raw: &Bytes, line: &[u8]) -> Result<(HeaderName, HeaderValue), Problem> {
    let colon = memchr::memchr(b':', line).ok_or(Problem::MalformedHead)?;
    let name = HeaderName::from_bytes(&line[..colon]);
    let value = HeaderValue::from_maybe_shared(raw.slice_ref(trim(&line[colon + 1..])));
    match (name, value) {
        (Ok(name), Ok(value)) => Ok((name, value)),
        _ => Err(Problem::MalformedHead),
    }
}

/// Spaces and tabs alone: other white space is no part of the grammar, and some readers keep it.
fn trim(value: &[u8]) -> &[u8] {
    let is_kept = |byte: &u8| !matches!(byte, b' ' | b'\t');
    match (value.iter().position(is_kept), value.iter().rposition(is_kept)) {
        (Some(first), Some(last)) => &value[first..=last],
        _ => &[],
    }
}
