//! Headers between client and app: what belongs to one connection goes, what we vouch for is set by us. In place.
//!
//! Order matters (T17): hop-by-hop fields are removed first, with everything that `Connection` names, and only
//! then ours are added ([`Vouched`]). Everything else stays as sent. Each head is looked through once; most have little to remove.

mod caching;
mod seen;
mod vouched;

use http::header::{
    CONNECTION, CONTENT_LENGTH, Entry, HOST, HeaderName, SET_COOKIE, TE, TRANSFER_ENCODING,
};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue};
use http1::has_token;

pub(crate) use caching::Kept;
pub(crate) use seen::Seen;
use vouched::X_FORWARDED_FOR;
pub(crate) use vouched::{Vouched, X_FORWARDED_PROTO};

use crate::exchange::RequestId;
use crate::session::cookie;

/// What a browser says of how and from where it fetches (Fetch Metadata).
pub(crate) const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(crate) const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
pub(crate) const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Fields of an app's answer that were taken out of it.
const WHARF_REMOVED: HeaderName = HeaderName::from_static("wharf-removed");

/// Fields that a request's map gets from us at most: host, wish for trailers and its naming.
const OURS: usize = 3;

/// What we tell the app about the client.
#[derive(Debug)]
pub(crate) struct Forwarded<'r> {
    /// The socket's peer.
    pub(crate) peer: HeaderValue,
    /// Whether that is a front proxy whose own `X-Forwarded-For` is kept before it.
    pub(crate) peer_is_front: bool,
    pub(crate) https: bool,
    /// The host, where the target names it and no field does (HTTP/2).
    pub(crate) authority: Option<&'r Authority>,
    pub(crate) request_id: RequestId,
    /// What the client's head has.
    pub(crate) seen: Seen,
}

/// Makes a client's head the one that the app gets but for our own fields, which it answers; `None` where there is no host.
pub(crate) fn prepare_request(
    headers: &mut HeaderMap,
    forwarded: Forwarded<'_>,
) -> Option<Vouched> {
    let seen = forwarded.seen;
    let wants_trailers = seen.may_have(&TE) && has_token(headers, &TE, b"trailers");
    remove_named_by_connection(headers, seen);
    let before = forwarded.peer_is_front.then(|| headers.remove(X_FORWARDED_FOR)).flatten();
    remove_where(headers, |name| is_hop_by_hop(name) || is_alias(name.as_bytes()));
    headers.reserve(OURS);
    if wants_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
    }
    let host = match headers.get(HOST) {
        Some(host) => host.clone(),
        None => {
            // HTTP/2 has an authority instead; an app of HTTP/1.1 needs the header.
            let host = HeaderValue::from_str(forwarded.authority?.as_str()).ok()?;
            headers.insert(HOST, host.clone());
            host
        }
    };
    Some(Vouched {
        host,
        proto: if forwarded.https { "https" } else { "http" },
        addresses: addresses(before.as_ref(), forwarded.peer),
        request_id: forwarded.request_id,
    })
}

fn addresses(before: Option<&HeaderValue>, peer: HeaderValue) -> HeaderValue {
    let Some(before) = before else { return peer };
    let text = [before.as_bytes(), b", ", peer.as_bytes()].concat();
    // Two values with a comma between them are one.
    HeaderValue::from_bytes(&text).unwrap_or(peer)
}

/// Makes an app's head the one that the client gets.
pub(crate) fn prepare_response(headers: &mut HeaderMap, kept: Kept) {
    let removed = remove_what_apps_may_not_say(headers, kept);
    kept.tell(headers);
    if let Some(report) = report_of(&removed) {
        headers.insert(WHARF_REMOVED, report);
    }
}

/// One look through the head; answers what was removed.
fn remove_what_apps_may_not_say(headers: &mut HeaderMap, kept: Kept) -> Vec<HeaderName> {
    let seen = Seen::in_head(headers);
    if seen.may_have(&TRANSFER_ENCODING) {
        // The coding says where the body ends; a length beside it would be believed on the next hop (RFC 9112 §6.3).
        headers.remove(CONTENT_LENGTH);
    }
    remove_named_by_connection(headers, seen);
    let removed = remove_where(headers, |name| {
        is_hop_by_hop(name) || is_beyond_the_service(name) || kept.forbids(name)
    });
    if seen.may_have(&SET_COOKIE) {
        remove_foreign_cookies(headers);
    }
    removed
}

/// Tells who wrote the app which of its fields reached nobody, and so why they had no effect.
fn report_of(removed: &[HeaderName]) -> Option<HeaderValue> {
    let names = removed.iter().map(HeaderName::as_str);
    let told: Vec<&str> = names.filter(|name| is_beyond_the_service(name)).collect();
    // Names of fields are valid values.
    if told.is_empty() { None } else { HeaderValue::try_from(told.join(", ")).ok() }
}

/// What apps may not say (T22): what holds for the whole site and would log everybody out, pin keys, move traffic, watch
/// errors; and what is said to the proxies in between, some of which read files for whoever asks so.
fn is_beyond_the_service(name: &str) -> bool {
    matches!(
        name,
        "clear-site-data"
            | "alt-svc"
            | "alternate-protocol"
            | "strict-transport-security"
            | "public-key-pins"
            | "public-key-pins-report-only"
            | "expect-ct"
            | "nel"
            | "report-to"
            | "proxy-authenticate"
            | "proxy-authentication-info"
            | "x-accel-redirect"
            | "x-sendfile"
            | "x-lighttpd-send-file"
            | "x-reproxy-url"
    )
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

/// Fields of one connection (RFC 9110 §7.6.1, RFC 9113 §8.2.2). `Trailer` and `TE: trailers` are not among them.
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "proxy-authorization"
            | "transfer-encoding"
            | "upgrade"
            | "http2-settings"
            | "te"
    )
}

/// Removes every field whose name says so, and answers their names.
fn remove_where(headers: &mut HeaderMap, is_doomed: impl Fn(&str) -> bool) -> Vec<HeaderName> {
    // Most heads have none, and then nothing is allocated.
    let doomed = headers.keys().filter(|name| is_doomed(name.as_str()));
    let doomed: Vec<HeaderName> = doomed.cloned().collect();
    for name in &doomed {
        headers.remove(name);
    }
    doomed
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    remove_named_by_connection(headers, Seen::in_head(headers));
    remove_where(headers, is_hop_by_hop);
}

/// Removes what `Connection` says is for the next hop alone.
fn remove_named_by_connection(headers: &mut HeaderMap, seen: Seen) {
    let named: Vec<HeaderName> = seen
        .all(headers, &CONNECTION)
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        // The usual ones go anyway; these two say how long the message is and whom it is for.
        .filter(|name| !is_usual(name) && !is_kept(name))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    for name in named {
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
    remove_where(headers, |name| is_alias(name.as_bytes()));
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
    remove_what_apps_may_not_say(trailers, Kept::AsTheAppSays);
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
