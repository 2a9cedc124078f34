//! Headers between client and app: what belongs to one connection goes, what we vouch for is set by us. In place.
//!
//! Order matters (T17): hop-by-hop fields are removed first, with everything that `Connection` names, and only
//! then ours are added. Everything else stays as sent.

use std::net::IpAddr;

use http::header::{
    CONNECTION, CONTENT_LENGTH, Entry, HOST, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION,
    SET_COOKIE, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderValue};

use crate::route::has_token;
use crate::session::cookie;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Fields of one connection (RFC 9110 §7.6.1, RFC 9113 §8.2.2). `Trailer` and `TE: trailers` are not among them.
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    UPGRADE,
    HTTP2_SETTINGS,
    TE,
];

/// What apps may not say for the whole site (T22): log everybody out, pin keys, move traffic, watch errors.
const SITE_WIDE: [&str; 7] = [
    "clear-site-data",
    "alt-svc",
    "strict-transport-security",
    "public-key-pins",
    "public-key-pins-report-only",
    "nel",
    "report-to",
];

/// What we tell the app about the client.
#[derive(Debug)]
pub(crate) struct Forwarded<'r> {
    /// The socket's peer.
    pub(crate) peer: IpAddr,
    /// Whether that is a front proxy whose own `X-Forwarded-For` is kept before it.
    pub(crate) peer_is_front: bool,
    pub(crate) https: bool,
    /// As the client named it.
    pub(crate) host: &'r str,
    pub(crate) request_id: HeaderValue,
}

/// Makes a client's head the one that the app gets.
pub(crate) fn prepare_request(headers: &mut HeaderMap, forwarded: Forwarded<'_>) {
    let wants_trailers = has_token(headers, TE, b"trailers");
    remove_hop_by_hop(headers);
    let before = forwarded.peer_is_front.then(|| headers.remove(X_FORWARDED_FOR)).flatten();
    remove_aliases(headers);
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    if let Some(host) = headers.get(HOST).cloned() {
        headers.insert(X_FORWARDED_HOST, host);
    } else if let Ok(host) = HeaderValue::from_str(forwarded.host) {
        // HTTP/2 has an authority instead; an app of HTTP/1.1 needs the header.
        headers.insert(HOST, host.clone());
        headers.insert(X_FORWARDED_HOST, host);
    }
    let proto = HeaderValue::from_static(if forwarded.https { "https" } else { "http" });
    headers.insert(X_FORWARDED_PROTO, proto);
    headers.insert(X_FORWARDED_FOR, addresses(before.as_ref(), forwarded.peer));
    headers.insert(X_REQUEST_ID, forwarded.request_id);
}

fn addresses(before: Option<&HeaderValue>, peer: IpAddr) -> HeaderValue {
    let text = match before.and_then(|value| value.to_str().ok()) {
        Some(before) => format!("{before}, {peer}"),
        None => peer.to_string(),
    };
    // Addresses and a header value that was valid before make a valid one.
    HeaderValue::try_from(text).unwrap_or_else(|_impossible| HeaderValue::from_static("unknown"))
}

/// Makes an app's head the one that the client gets.
pub(crate) fn prepare_response(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        // The coding says where the body ends; a length beside it would be believed on the next hop (RFC 9112 §6.3).
        headers.remove(CONTENT_LENGTH);
    }
    remove_hop_by_hop(headers);
    headers.remove(PROXY_AUTHENTICATE);
    for name in SITE_WIDE {
        headers.remove(name);
    }
    if headers.contains_key(SET_COOKIE) {
        remove_foreign_cookies(headers);
    }
}

/// Drops `Set-Cookie` lines that reach beyond the service or take a name of ours (T1).
fn remove_foreign_cookies(headers: &mut HeaderMap) {
    if headers.get_all(SET_COOKIE).iter().all(|value| cookie::app_may_set(value.as_bytes())) {
        return;
    }
    let Entry::Occupied(entry) = headers.entry(SET_COOKIE) else { return };
    let (_name, values) = entry.remove_entry_mult();
    let kept: Vec<HeaderValue> =
        values.filter(|value| cookie::app_may_set(value.as_bytes())).collect();
    for value in kept {
        headers.append(SET_COOKIE, value);
    }
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        // The usual ones are in the list below; these two say how long the message is and whom it is for.
        .filter(|name| !is_usual(name) && !is_kept(name))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

fn is_usual(name: &[u8]) -> bool {
    [&b"keep-alive"[..], b"close", b"upgrade", b"te", b""]
        .iter()
        .any(|usual| name.eq_ignore_ascii_case(usual))
}

fn is_kept(name: &[u8]) -> bool {
    [HOST, CONTENT_LENGTH].iter().any(|kept| name.eq_ignore_ascii_case(kept.as_str().as_bytes()))
}

/// Drops what could pass for a field that we set, also once an app's server has folded `-`, `_` and `.` (T16).
pub(crate) fn remove_aliases(headers: &mut HeaderMap) {
    let aliases: Vec<HeaderName> =
        headers.keys().filter(|name| is_alias(name.as_str().as_bytes())).cloned().collect();
    for name in aliases {
        headers.remove(name);
    }
}

/// Whether a name, `-_.` folded, is one of `x-forwarded-*`, `x-request-id`, `x-real-ip`, `forwarded`, or passes for
/// a field that says where a body ends without being it (`Transfer_Encoding`).
fn is_alias(name: &[u8]) -> bool {
    let folds_to = |wanted: &[u8], found: &[u8]| {
        found.len() == wanted.len()
            && found
                .iter()
                .zip(wanted)
                .all(|(f, w)| f == w || (*w == b'-' && matches!(f, b'_' | b'.')))
    };
    let passes_for = |wanted: &[u8]| folds_to(wanted, name) && name != wanted;
    match name.first() {
        Some(b'x') => {
            folds_to(b"x-forwarded-", name.get(..12).unwrap_or_default())
                || folds_to(b"x-request-id", name)
                || folds_to(b"x-real-ip", name)
        }
        Some(b'f') => name == b"forwarded",
        Some(b'c') => passes_for(b"content-length"),
        Some(b't') => passes_for(b"transfer-encoding"),
        _ => false,
    }
}

/// Takes out of an answer's trailers what no trailer may say (RFC 9110 §6.5.1) and no app may say at all.
pub(crate) fn prepare_answer_trailers(trailers: &mut HeaderMap) {
    trailers.remove(SET_COOKIE);
    prepare_response(trailers);
    trailers.remove(CONTENT_LENGTH);
}

/// Takes out of a request's trailers what its head may not hold either: framing, routing, credentials, our fields.
pub(crate) fn prepare_trailers(trailers: &mut HeaderMap) {
    remove_hop_by_hop(trailers);
    remove_aliases(trailers);
    for name in [HOST, CONTENT_LENGTH, http::header::COOKIE, http::header::AUTHORIZATION] {
        trailers.remove(name);
    }
}

#[cfg(test)]
mod tests;
