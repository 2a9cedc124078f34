//! What every request passes first and every answer carries.
//!
//! Requests that a browser says another site started are let in only as plain navigations to a
//! page (Fetch Metadata; T28): no other site can frame, embed, script or post to the dashboard.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Our own files only, and no way to run text as script even by mistake of ours.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// The same, and styles that a script of ours makes with this nonce: what the page with the terminal needs.
pub(crate) fn csp_with_styles(nonce: &str) -> String {
    CSP.replacen("style-src 'self'", &format!("style-src 'self' 'nonce-{nonce}'"), 1)
}

/// Whether a request may be a page of ours that opens a socket. A browser names the origin with every one; a request that
/// opens none is answered in words alone.
pub(crate) fn may_be_own_socket(request: &Request) -> bool {
    let headers = request.headers();
    let opens = headers.contains_key(header::UPGRADE) || request.method() == Method::CONNECT;
    let Some(origin) = text(headers, "origin") else { return !opens };
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    // Over HTTP/2 the host is in the target.
    let host = text(headers, "host").or(request.uri().authority().map(|it| it.as_str()));
    !authority.is_empty()
        && host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
        && text(headers, "sec-fetch-site").is_none_or(|site| site == "same-origin")
}

/// On every answer of the dashboard; a handler that needs another value sets its own.
const HEADERS: [(HeaderName, &str); 9] = [
    (header::CONTENT_SECURITY_POLICY, CSP),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::X_FRAME_OPTIONS, "DENY"),
    (header::REFERRER_POLICY, "no-referrer"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("origin-agent-cluster"), "?1"),
    (
        HeaderName::from_static("permissions-policy"),
        "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    ),
    (header::CACHE_CONTROL, "no-store"),
];

/// What answers depend on besides their address.
const VARY: &str = "Accept-Encoding, Cookie, Sec-Fetch-Site";

/// The outermost layer of the dashboard's routes.
pub(crate) async fn guard(request: Request, next: Next) -> Response {
    let mut response = if is_from_another_site(request.method(), request.headers()) {
        let text = "Refused: this request was started by another site.\n";
        (StatusCode::FORBIDDEN, text).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.insert(header::VARY, HeaderValue::from_static(VARY));
    response
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or(""))
}

/// What the browser says about where the request comes from. Programs send nothing and pass here;
/// a form still needs its token.
fn is_from_another_site(method: &Method, headers: &HeaderMap) -> bool {
    let reads = method == Method::GET || method == Method::HEAD;
    match text(headers, "sec-fetch-site") {
        Some("same-origin") => false,
        // Typed, bookmarked, opened from a terminal.
        Some("none") => !reads,
        Some(_) => {
            let navigation = text(headers, "sec-fetch-mode") == Some("navigate")
                && text(headers, "sec-fetch-dest") == Some("document");
            !(reads && navigation)
        }
        None => !reads && has_foreign_origin(headers),
    }
}

/// Older browsers, and plain HTTP to other hosts, where `Sec-Fetch-*` is not sent. `null` is what a
/// page with `Referrer-Policy: no-referrer` sends of itself, so it proves nothing either way.
fn has_foreign_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = text(headers, "origin").filter(|origin| *origin != "null") else {
        return false;
    };
    let authority = origin.split_once("://").map_or("", |(_, authority)| authority);
    text(headers, "host") != Some(authority)
}

/// Whether the browser says that a link on another site was followed.
pub(crate) fn followed_from_another_site(headers: &HeaderMap) -> bool {
    text(headers, "sec-fetch-site").is_some_and(|site| !matches!(site, "none" | "same-origin"))
}

/// Whether the browser says that a page of ours asks, or the person by hand.
pub(crate) fn is_from_own_pages(headers: &HeaderMap) -> bool {
    matches!(text(headers, "sec-fetch-site"), Some("same-origin" | "none"))
}

/// Whether the browser only fetches ahead, in case somebody clicks.
pub(crate) fn is_prefetch(headers: &HeaderMap) -> bool {
    text(headers, "sec-purpose")
        .or(text(headers, "purpose"))
        .is_some_and(|p| p.contains("prefetch"))
}

/// Whether the request's origin is shown to be ours; for the one form that has no session yet.
pub(crate) fn is_surely_own_form(headers: &HeaderMap) -> bool {
    match text(headers, "sec-fetch-site") {
        Some(site) => site == "same-origin",
        None => text(headers, "origin") != Some("null") && !has_foreign_origin(headers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(method: &Method, pairs: &[(&'static str, &'static str)], refused: bool) {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("localhost:8000"));
        for (name, value) in pairs {
            headers.insert(*name, HeaderValue::from_static(value));
        }
        assert_eq!(is_from_another_site(method, &headers), refused, "{pairs:?}");
    }

    #[test]
    fn other_sites_may_link_here_and_nothing_else() {
        let (get, post) = (&Method::GET, &Method::POST);
        let cross = ("sec-fetch-site", "cross-site");
        let (navigate, document) = (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"));
        check(get, &[cross, navigate, document], false);
        check(get, &[cross, navigate, ("sec-fetch-dest", "iframe")], true);
        check(get, &[cross, ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")], true);
        check(get, &[cross, ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")], true);
        check(get, &[cross, ("sec-fetch-mode", "websocket"), ("sec-fetch-dest", "empty")], true);
        check(post, &[cross, navigate, document], true);
        check(post, &[("sec-fetch-site", "same-site"), navigate, document], true);
        check(post, &[("sec-fetch-site", "none"), navigate, document], true);
        check(post, &[("sec-fetch-site", "same-origin"), navigate, document], false);
        check(get, &[("sec-fetch-site", "none"), navigate, document], false);
    }

    #[test]
    fn only_pages_of_our_own_open_sockets() {
        let check = |pairs: &[(&'static str, &'static str)], allowed: bool| {
            let mut request = Request::new(axum::body::Body::empty());
            let headers = request.headers_mut();
            headers.insert("host", HeaderValue::from_static("localhost:8000"));
            headers.insert("upgrade", HeaderValue::from_static("websocket"));
            for (name, value) in pairs {
                headers.insert(*name, HeaderValue::from_static(value));
            }
            assert_eq!(may_be_own_socket(&request), allowed, "{pairs:?}");
        };
        check(&[("origin", "http://localhost:8000")], true);
        check(&[("origin", "http://localhost:8000"), ("sec-fetch-site", "same-origin")], true);
        check(&[("origin", "http://localhost:8000"), ("sec-fetch-site", "same-site")], false);
        for foreign in
            ["null", "http://localhost:8001", "http://a.localhost:8000", "localhost:8000"]
        {
            check(&[("origin", foreign)], false);
        }
        check(&[], false);
    }

    #[test]
    fn without_fetch_metadata_the_origin_decides_for_forms() {
        let post = &Method::POST;
        check(post, &[("origin", "http://localhost:8000")], false);
        check(post, &[("origin", "http://x.containers.localhost:8000")], true);
        check(post, &[("origin", "http://localhost:9000")], true);
        check(post, &[], false);
        check(&Method::GET, &[("origin", "http://evil.example")], false);
    }
}
