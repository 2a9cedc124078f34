//! Writing the head of a request.

use bytes::{BufMut, BytesMut};
use http::{HeaderMap, Method};

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
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_head_is_its_line_its_fields_and_an_empty_line() {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("a.test:8000"));
        headers.append("cookie", HeaderValue::from_static("a=b"));
        headers.append("cookie", HeaderValue::from_bytes(b"c=\xff").unwrap());
        let mut out = BytesMut::new();
        write_head(&mut out, &Method::GET, "/a%2f..//b?c=d", &headers);
        let expected = b"GET /a%2f..//b?c=d HTTP/1.1\r\nhost: a.test:8000\r\ncookie: a=b\r\ncookie: c=\xff\r\n\r\n";
        assert_eq!(&out[..], expected);
    }
}
