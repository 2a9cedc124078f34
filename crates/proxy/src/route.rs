//! What becomes of a request that may pass: which protocol it speaks, and whether its service can be reached. Pure.

use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Version};
use http1::has_token;
use model::ContainerUuid;

use crate::directory::{Target, TargetState};
use crate::grpc;
use crate::headers::Seen;

/// Paths under this are ours on every service host; everything else is the app's.
const RESERVED_PREFIX: &str = "/.wharf/";
/// What the start page asks.
const STATUS_PATH: &str = "/.wharf/status";
/// Where `wharf forward` opens raw connections.
const TCP_PATH: &str = "/.wharf/tcp";
/// Where a browser begins its way in.
const ENTER_PATH: &str = "/.wharf/enter";
/// Where somebody who was invited comes in. There is no other path under the prefix.
const INVITATION_PATH: &str = "/.wharf/invitation";

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
    /// Bytes to and from the app's port, for `wharf forward`.
    Tcp,
    /// The start page's question.
    Status,
    /// The way to the dashboard and back with a code.
    Enter,
    /// The way in of somebody who was invited.
    Invitation,
    /// Under our prefix, but nothing of ours.
    NothingOfOurs,
    /// `CONNECT` and its like.
    Unknown,
}

impl Protocol {
    pub(crate) fn opens_socket(&self) -> bool {
        matches!(self, Self::WebSocket(_) | Self::WebSocketOverHttp2 | Self::Tcp)
    }
}

/// Reads the protocol off a request's head.
///
/// An app is only ever switched to `websocket`. Another upgrade (`h2c`, …) is an offer that an HTTP server may ignore,
/// so the request stays plain HTTP.
pub(crate) fn protocol_of(parts: &Parts, seen: Seen) -> Protocol {
    if parts.method == Method::CONNECT {
        let asked = parts.extensions.get::<hyper::ext::Protocol>();
        return match asked {
            Some(asked) if asked.as_str() == "websocket" => Protocol::WebSocketOverHttp2,
            _ => Protocol::Unknown,
        };
    }
    if parts.uri.path().starts_with(RESERVED_PREFIX) {
        return reserved(parts);
    }
    if grpc::is_call(parts.version, &parts.method, &parts.headers) {
        return Protocol::Call;
    }
    match seen.may_have(&UPGRADE).then(|| websocket_key(parts)).flatten() {
        Some(key) => Protocol::WebSocket(key),
        None => Protocol::Http,
    }
}

/// What is under our prefix.
fn reserved(parts: &Parts) -> Protocol {
    match (&parts.method, parts.uri.path()) {
        (&Method::GET | &Method::HEAD, STATUS_PATH) => Protocol::Status,
        (&Method::GET, TCP_PATH) if asks_for_tcp(parts) => Protocol::Tcp,
        (&Method::GET, ENTER_PATH) => Protocol::Enter,
        (&Method::GET | &Method::POST, INVITATION_PATH) => Protocol::Invitation,
        _ => Protocol::NothingOfOurs,
    }
}

/// A complete request to switch to raw TCP; what follows it is the app's, so it has no body.
fn asks_for_tcp(parts: &Parts) -> bool {
    let headers = &parts.headers;
    let upgrade = only(headers, UPGRADE).map(|value| value.as_bytes().trim_ascii());
    parts.version == Version::HTTP_11
        && upgrade.is_some_and(|protocol| protocol.eq_ignore_ascii_case(b"tcp"))
        && has_token(headers, &CONNECTION, b"upgrade")
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.contains_key(TRANSFER_ENCODING)
}

/// The key of a complete WebSocket request (RFC 6455 §4.1). Which version is spoken is for the app to say: the handshake
/// was the same before 13, and its refusal names the ones it knows.
fn websocket_key(parts: &Parts) -> Option<HeaderValue> {
    if parts.method != Method::GET || parts.version != Version::HTTP_11 {
        return None;
    }
    let upgrade = only(&parts.headers, UPGRADE)?;
    let _version = only(&parts.headers, SEC_WEBSOCKET_VERSION)?;
    let key = only(&parts.headers, SEC_WEBSOCKET_KEY)?;
    let asks = upgrade.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket")
        && has_token(&parts.headers, &CONNECTION, b"upgrade");
    asks.then(|| key.clone())
}

/// A header that is there exactly once.
fn only(headers: &HeaderMap, name: http::HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    values.next().is_none().then_some(first)
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
        let (parts, ()) = request.body(()).unwrap().into_parts();
        protocol_of(&parts, Seen::in_head(&parts.headers))
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
        for version in ["8", "12", "x"] {
            let headers = [UPGRADE, CONNECTION, ("sec-websocket-version", version), KEY];
            assert!(protocol("GET", "/ws", &headers).opens_socket(), "{version}");
        }
        for other in ["h2c", "websocket, h2c", "TLS/1.0", "websocket2"] {
            let headers = [("upgrade", other), CONNECTION, VERSION, KEY];
            assert_eq!(protocol("GET", "/", &headers), Protocol::Http, "{other}");
        }
    }

    #[test]
    fn the_reserved_prefix_holds_three_paths() {
        assert_eq!(protocol("GET", "/.wharf/status?x", &[]), Protocol::Status);
        assert_eq!(protocol("GET", "/.wharf/enter?path=/", &[]), Protocol::Enter);
        for method in ["GET", "POST"] {
            assert_eq!(protocol(method, "/.wharf/invitation?code=x", &[]), Protocol::Invitation);
        }
        assert_eq!(protocol("PUT", "/.wharf/invitation", &[]), Protocol::NothingOfOurs);
        let tcp = [("upgrade", "TCP"), CONNECTION];
        assert_eq!(protocol("GET", "/.wharf/tcp", &tcp), Protocol::Tcp);
        for other in [
            [("upgrade", "tcp"), ("connection", "close")],
            [("upgrade", "tcp, websocket"), CONNECTION],
            [("x-upgrade", "tcp"), CONNECTION],
        ] {
            assert_eq!(protocol("GET", "/.wharf/tcp", &other), Protocol::NothingOfOurs);
        }
        for with_body in [("content-length", "0"), ("transfer-encoding", "chunked")] {
            let headers = [tcp[0], tcp[1], with_body];
            assert_eq!(protocol("GET", "/.wharf/tcp", &headers), Protocol::NothingOfOurs);
        }
        assert_eq!(protocol("POST", "/.wharf/tcp", &tcp), Protocol::NothingOfOurs);
        assert_eq!(protocol("GET", "/.wharf/tcp/x", &tcp), Protocol::NothingOfOurs);
        assert_eq!(protocol("GET", "/tcp", &tcp), Protocol::Http, "an offer to the app");
        for (method, path) in [
            ("POST", "/.wharf/status"),
            ("POST", "/.wharf/enter"),
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
