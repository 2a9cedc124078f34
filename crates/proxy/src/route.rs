//! What becomes of a request that may pass: which protocol it speaks, and whether its service can be reached. Pure.

use http::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use model::ContainerUuid;

use crate::directory::{Target, TargetState};
use crate::grpc;

/// Paths under this are ours on every service host; everything else is the app's.
const RESERVED_PREFIX: &str = "/.wharf/";
/// What the start page asks; the one path there is under the prefix.
const STATUS_PATH: &str = "/.wharf/status";

/// How a request goes on behind the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// A request and an answer.
    Http,
    /// A gRPC call.
    Call,
    /// A WebSocket over HTTP/1.1, with the client's key.
    WebSocket(HeaderValue),
    /// A WebSocket over HTTP/2 (RFC 8441), which has no key.
    WebSocketOverHttp2,
    /// The start page's question.
    Status,
    /// Under our prefix, but nothing of ours.
    NothingOfOurs,
    /// `CONNECT` and its like.
    Unknown,
}

impl Protocol {
    pub(crate) fn opens_socket(&self) -> bool {
        matches!(self, Self::WebSocket(_) | Self::WebSocketOverHttp2)
    }
}

/// Reads the protocol off a request's head.
///
/// Only `websocket` is ever switched to. Another upgrade (`h2c`, …) is an offer that an HTTP server may ignore,
/// so the request stays plain HTTP.
pub(crate) fn protocol_of(parts: &Parts) -> Protocol {
    if parts.method == Method::CONNECT {
        let asked = parts.extensions.get::<hyper::ext::Protocol>();
        return match asked {
            Some(asked) if asked.as_str() == "websocket" => Protocol::WebSocketOverHttp2,
            _ => Protocol::Unknown,
        };
    }
    let path = parts.uri.path();
    if path.starts_with(RESERVED_PREFIX) {
        let asks_status = path == STATUS_PATH && matches!(parts.method, Method::GET | Method::HEAD);
        return if asks_status { Protocol::Status } else { Protocol::NothingOfOurs };
    }
    if grpc::is_call(parts.version, &parts.method, &parts.headers) {
        return Protocol::Call;
    }
    match websocket_key(parts) {
        Some(key) => Protocol::WebSocket(key),
        None => Protocol::Http,
    }
}

/// The key of a complete WebSocket request (RFC 6455 §4.1).
fn websocket_key(parts: &Parts) -> Option<HeaderValue> {
    if parts.method != Method::GET || parts.version != Version::HTTP_11 {
        return None;
    }
    let upgrade = only(&parts.headers, UPGRADE)?;
    let version = only(&parts.headers, SEC_WEBSOCKET_VERSION)?;
    let key = only(&parts.headers, SEC_WEBSOCKET_KEY)?;
    let asks = upgrade.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket")
        && version.as_bytes() == b"13"
        && has_token(&parts.headers, CONNECTION, b"upgrade");
    asks.then(|| key.clone())
}

/// A header that is there exactly once.
fn only(headers: &HeaderMap, name: http::HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
}

/// Whether a list-valued header has a token, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: http::HeaderName, token: &[u8]) -> bool {
    headers.get_all(name).iter().any(|value| {
        let mut tokens = value.as_bytes().split(|byte| *byte == b',');
        tokens.any(|found| found.trim_ascii().eq_ignore_ascii_case(token))
    })
}

/// Whether the app behind a target can be asked.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Its container runs.
    Running(ContainerUuid),
    /// Not yet.
    NotYet,
    /// Not any more.
    Over,
    /// Its port is not published, and this site serves only published ones.
    Unpublished,
}

/// Reads it off the records.
pub(crate) fn reach(target: &Target, allow_unpublished_ports: bool) -> Reach {
    if !allow_unpublished_ports && !target.is_published() {
        return Reach::Unpublished;
    }
    match (target.state, target.container) {
        (TargetState::Running, Some(container)) => Reach::Running(container),
        (TargetState::Complete | TargetState::Cancelled, _) => Reach::Over,
        _ => Reach::NotYet,
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn protocol(method: &str, path: &str, headers: &[(&str, &str)]) -> Protocol {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        protocol_of(&request.body(()).unwrap().into_parts().0)
    }

    const UPGRADE: (&str, &str) = ("upgrade", "WebSocket");
    const CONNECTION: (&str, &str) = ("connection", "keep-alive, Upgrade");
    const VERSION: (&str, &str) = ("sec-websocket-version", "13");
    const KEY: (&str, &str) = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");

    #[test]
    fn only_a_complete_websocket_request_is_one() {
        assert!(protocol("GET", "/ws", &[UPGRADE, CONNECTION, VERSION, KEY]).opens_socket());
        for missing in 0..4 {
            let mut headers = vec![UPGRADE, CONNECTION, VERSION, KEY];
            headers.remove(missing);
            assert_eq!(protocol("GET", "/ws", &headers), Protocol::Http);
        }
        assert_eq!(protocol("POST", "/ws", &[UPGRADE, CONNECTION, VERSION, KEY]), Protocol::Http);
        assert_eq!(
            protocol("GET", "/ws", &[UPGRADE, CONNECTION, VERSION, KEY, KEY]),
            Protocol::Http
        );
        for other in ["h2c", "websocket, h2c", "TLS/1.0", "websocket2"] {
            let headers = [("upgrade", other), CONNECTION, VERSION, KEY];
            assert_eq!(protocol("GET", "/", &headers), Protocol::Http, "{other}");
        }
    }

    #[test]
    fn the_reserved_prefix_holds_one_path() {
        assert_eq!(protocol("GET", "/.wharf/status?x", &[]), Protocol::Status);
        for (method, path) in [
            ("POST", "/.wharf/status"),
            ("GET", "/.wharf/"),
            ("GET", "/.wharf/status/"),
            ("GET", "/.wharf/../x"),
            ("GET", "/.wharf/admin"),
        ] {
            assert_eq!(protocol(method, path, &[]), Protocol::NothingOfOurs, "{method} {path}");
        }
        for path in
            ["/.wharf", "/.wharfx/", "/%2ewharf/status", "//.wharf/status", "/x/.wharf/status"]
        {
            assert_eq!(protocol("GET", path, &[]), Protocol::Http, "{path}");
        }
        assert_eq!(protocol("CONNECT", "a.test:80", &[]), Protocol::Unknown);
    }
}
