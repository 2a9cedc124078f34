//! Where the body of a message ends (RFC 9112 section 6.3), and how that is told.

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode};

use crate::Problem;

/// Longest body of a request by its length; readers with signed numbers can hold it.
const LENGTH_MAX: u64 = i64::MAX as u64;

/// How the end of a body is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// So many bytes; 0 also where there is no body at all.
    Exact(u64),
    /// By the chunked coding itself.
    Chunked,
    /// By the end of the connection.
    UntilClose,
}

/// How the body of an answer is sent, and what its head says about that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// So many bytes, which the head says.
    Exact(u64),
    /// In chunks.
    Chunked,
    /// Not at all. Where there is a length, it is the one that a body would have had.
    Absent(Option<u64>),
}

impl Framing {
    /// The rule (RFC 9110 section 8.6). `is_head`: the answer is one to `HEAD`. `exact`: the length of the body, where
    /// it is known; none is 0. `headers` may say what the body of an answer to `HEAD` would have had.
    #[must_use]
    pub fn of(is_head: bool, status: StatusCode, exact: Option<u64>, headers: &HeaderMap) -> Self {
        if has_no_body(status) {
            return Self::Absent(None);
        }
        match (is_head, exact) {
            (true, Some(0)) => Self::Absent(content_length(headers).ok().flatten()),
            (true, exact) => Self::Absent(exact),
            (false, Some(length)) => Self::Exact(length),
            (false, None) => Self::Chunked,
        }
    }
}

/// The rule for a request (RFC 9112 section 6.3), as far as every reader understands it alike: one length of digits
/// alone, or the one coding `chunked`, and not both.
///
/// # Errors
/// Anything else.
pub fn of_request(headers: &HeaderMap) -> Result<BodyLength, Problem> {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    let length = lengths.next();
    if lengths.next().is_some() {
        return Err(Problem::BadContentLength);
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        let is_read = length.is_none() && is_chunked_alone(headers);
        return if is_read { Ok(BodyLength::Chunked) } else { Err(Problem::BadTransferCoding) };
    }
    let Some(length) = length else { return Ok(BodyLength::Exact(0)) };
    let length = parse_decimal(length.as_bytes()).filter(|length| *length <= LENGTH_MAX);
    length.map(BodyLength::Exact).ok_or(Problem::BadContentLength)
}

/// The rule, for an answer to `method`. An answer to `CONNECT` and a switch of protocols have no
/// body and are the caller's business.
///
/// # Errors
/// When the head contradicts itself, or names a coding that cannot be undone here.
pub fn of_response(
    method: &Method,
    status: StatusCode,
    is_http10: bool,
    headers: &HeaderMap,
) -> Result<BodyLength, Problem> {
    let coding = headers.get(TRANSFER_ENCODING);
    let length = content_length(headers)?;
    if *method == Method::HEAD || has_no_body(status) {
        return Ok(BodyLength::Exact(0));
    }
    match (coding, length) {
        // The coding wins over a length beside it, which the caller takes out.
        (Some(_), _) if is_http10 || !is_chunked_alone(headers) => Err(Problem::BadTransferCoding),
        (Some(_), _) => Ok(BodyLength::Chunked),
        (None, Some(length)) => Ok(BodyLength::Exact(length)),
        (None, None) => Ok(BodyLength::UntilClose),
    }
}

/// Whether answers of a status never have a body.
fn has_no_body(status: StatusCode) -> bool {
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

fn is_chunked_alone(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    let first = codings.next();
    codings.next().is_none()
        && first.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"chunked"))
}

/// The one content length of a head; several equal ones count as one (RFC 9110 section 8.6).
///
/// # Errors
/// Anything but digits, a number above 2^64-1, and two that differ.
pub fn content_length(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let mut found = None;
    for value in headers.get_all(CONTENT_LENGTH) {
        for part in value.as_bytes().split(|byte| *byte == b',') {
            let number = parse_decimal(part.trim_ascii()).ok_or(Problem::BadContentLength)?;
            if found.is_some_and(|before| before != number) {
                return Err(Problem::BadContentLength);
            }
            found = Some(number);
        }
    }
    Ok(found)
}

fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u64::from(digit - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn length(
        method: &str,
        status: u16,
        is_http10: bool,
        fields: &[(&'static str, &'static str)],
    ) -> Result<BodyLength, Problem> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        of_response(&method, StatusCode::from_u16(status).unwrap(), is_http10, &headers)
    }

    const CHUNKED: (&str, &str) = ("transfer-encoding", "Chunked");
    const FIVE: (&str, &str) = ("content-length", "5");

    #[test]
    fn bodies_end_by_length_coding_or_close() {
        assert_eq!(length("GET", 200, false, &[FIVE]), Ok(BodyLength::Exact(5)));
        assert_eq!(length("GET", 200, false, &[FIVE, FIVE]), Ok(BodyLength::Exact(5)));
        assert_eq!(length("GET", 200, false, &[CHUNKED]), Ok(BodyLength::Chunked));
        assert_eq!(length("GET", 200, false, &[CHUNKED, FIVE]), Ok(BodyLength::Chunked));
        assert_eq!(length("GET", 200, false, &[]), Ok(BodyLength::UntilClose));
        assert_eq!(length("GET", 200, true, &[]), Ok(BodyLength::UntilClose));
        assert_eq!(length("POST", 500, true, &[FIVE]), Ok(BodyLength::Exact(5)));
    }

    #[test]
    fn some_answers_have_none_whatever_they_say() {
        for (method, status) in [("HEAD", 200), ("GET", 204), ("GET", 304), ("GET", 103)] {
            assert_eq!(length(method, status, false, &[FIVE]), Ok(BodyLength::Exact(0)));
            assert_eq!(length(method, status, false, &[CHUNKED]), Ok(BodyLength::Exact(0)));
            assert_eq!(length(method, status, false, &[]), Ok(BodyLength::Exact(0)));
        }
    }

    #[test]
    fn t21_contradictions_are_no_length() {
        for bad in ["", "-1", "+5", "0x5", "5 5", "5,6", "5,", "99999999999999999999", "5\u{b}"] {
            let bad = HeaderValue::from_bytes(bad.as_bytes());
            let Ok(bad) = bad else { continue };
            let headers = HeaderMap::from_iter([(CONTENT_LENGTH, bad.clone())]);
            assert_eq!(content_length(&headers), Err(Problem::BadContentLength), "{bad:?}");
        }
        let other = ("content-length", "6");
        assert_eq!(length("GET", 200, false, &[FIVE, other]), Err(Problem::BadContentLength));
        for coding in ["gzip", "gzip, chunked", "chunked, chunked", "xchunked", "identity"] {
            let fields = [("transfer-encoding", coding)];
            assert_eq!(length("GET", 200, false, &fields), Err(Problem::BadTransferCoding));
        }
        let twice = length("GET", 200, false, &[CHUNKED, CHUNKED]);
        assert_eq!(twice, Err(Problem::BadTransferCoding));
        assert_eq!(length("GET", 200, true, &[CHUNKED]), Err(Problem::BadTransferCoding));
    }

    #[test]
    fn t19_requests_have_one_length_or_one_coding() {
        let length = |fields: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.append(*name, HeaderValue::from_static(value));
            }
            of_request(&headers)
        };
        assert_eq!(length(&[]), Ok(BodyLength::Exact(0)));
        assert_eq!(length(&[FIVE]), Ok(BodyLength::Exact(5)));
        assert_eq!(length(&[CHUNKED]), Ok(BodyLength::Chunked));
        let coding = Err(Problem::BadTransferCoding);
        assert_eq!(length(&[CHUNKED, FIVE]), coding);
        assert_eq!(length(&[CHUNKED, CHUNKED]), coding);
        for other in ["gzip", "gzip, chunked", "chunked, chunked", "chunked,", "identity", ""] {
            assert_eq!(length(&[("transfer-encoding", other)]), coding, "{other}");
        }
        assert_eq!(length(&[FIVE, FIVE]), Err(Problem::BadContentLength));
        for bad in ["", "5,5", "5, 5", "+5", "-5", "0x5", "5 ", "9223372036854775808", "five"] {
            let found = length(&[("content-length", bad)]);
            assert_eq!(found, Err(Problem::BadContentLength), "{bad}");
        }
    }

    #[test]
    fn answers_say_how_they_are_sent() {
        let framing = |is_head, status: u16, exact| {
            let headers = HeaderMap::from_iter([(CONTENT_LENGTH, HeaderValue::from_static("7"))]);
            Framing::of(is_head, StatusCode::from_u16(status).unwrap(), exact, &headers)
        };
        assert_eq!(framing(false, 200, Some(5)), Framing::Exact(5));
        assert_eq!(framing(false, 200, Some(0)), Framing::Exact(0));
        assert_eq!(framing(false, 500, None), Framing::Chunked);
        assert_eq!(framing(true, 200, Some(5)), Framing::Absent(Some(5)));
        assert_eq!(framing(true, 200, Some(0)), Framing::Absent(Some(7)), "as the app said");
        assert_eq!(framing(true, 200, None), Framing::Absent(None));
        for status in [101, 204, 304] {
            assert_eq!(framing(false, status, Some(5)), Framing::Absent(None));
            assert_eq!(framing(true, status, None), Framing::Absent(None));
        }
    }
}
