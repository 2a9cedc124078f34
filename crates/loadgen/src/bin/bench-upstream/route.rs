//! What can be asked for.

use loadgen::head::Head;

/// One request, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `GET /1k`: 1,024 bytes.
    OneKibibyte,
    /// `GET /down/BYTES`: that many bytes.
    Down(u64),
    /// `POST /up`, with a length: takes the body, answers how many bytes it had.
    Up(u64),
    /// `GET /events/MILLISECONDS`: server-sent events, each the monotonic time of its writing.
    Events(u64),
    /// `GET /echo` as a WebSocket handshake: sends every message back. Holds the key.
    Echo(String),
    /// `GET /requests`: how many requests were answered so far, in decimal.
    Requests,
    /// Anything else, which is a fault of the benchmark.
    Unknown,
}

impl Route {
    pub(crate) fn of(head: &Head<'_>) -> Self {
        let mut words = head.first_line();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Self::Unknown;
        };
        let number = |prefix| target.strip_prefix(prefix).and_then(|rest: &str| rest.parse().ok());
        match (method, target) {
            ("GET", "/1k") => Self::OneKibibyte,
            ("GET", "/requests") => Self::Requests,
            ("GET", "/echo") => head
                .field("sec-websocket-key")
                .map_or(Self::Unknown, |key| Self::Echo(key.to_owned())),
            ("POST", "/up") => head.content_length().map_or(Self::Unknown, Self::Up),
            ("GET", _) => number("/down/")
                .map(Self::Down)
                .or_else(|| number("/events/").map(Self::Events))
                .unwrap_or(Self::Unknown),
            _ => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &str, expected: &Route) {
        let bytes = format!("{request}\r\n\r\n");
        let (head, _length) = Head::find(bytes.as_bytes()).unwrap().unwrap();
        assert_eq!(&Route::of(&head), expected, "{request}");
    }

    #[test]
    fn each_path_has_its_route() {
        check("GET /1k HTTP/1.1", &Route::OneKibibyte);
        check("GET /down/12 HTTP/1.1", &Route::Down(12));
        check("GET /events/20 HTTP/1.1", &Route::Events(20));
        check("POST /up HTTP/1.1\r\nContent-Length: 5", &Route::Up(5));
        check("POST /up HTTP/1.1\r\nTransfer-Encoding: chunked", &Route::Unknown);
        check("GET /echo HTTP/1.1\r\nSec-WebSocket-Key: k", &Route::Echo("k".to_owned()));
        check("GET /echo HTTP/1.1", &Route::Unknown);
        check("GET /down/x HTTP/1.1", &Route::Unknown);
        check("GET", &Route::Unknown);
    }
}
