//! Our own origin as the client sees it, and whether a request with a cookie comes from it.

use http::header::ORIGIN;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::headers::{SEC_FETCH_DEST, SEC_FETCH_MODE, SEC_FETCH_SITE, X_FORWARDED_PROTO};
use crate::host::Authority;
use crate::peer::Peer;

/// Scheme and host of one service host, as a browser writes them.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    pub(crate) https: bool,
    /// Lower-cased, with the port where that is not the scheme's own.
    pub(crate) host: String,
}

impl Origin {
    pub(crate) fn new(authority: &Authority<'_>, https: bool) -> Self {
        Self { https, host: authority.canonical(https) }
    }

    pub(crate) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }

    /// `scheme://host[:port]`.
    pub(crate) fn text(&self) -> String {
        format!("{}://{}", self.scheme(), self.host)
    }

    /// Whether an `Origin` header names this origin, scheme and port included.
    fn is_named_by(&self, header: &[u8]) -> bool {
        let Ok(header) = std::str::from_utf8(header) else { return false };
        let rest = header.strip_prefix(self.scheme()).and_then(|rest| rest.strip_prefix("://"));
        rest.and_then(|host| Authority::parse(host).ok())
            .is_some_and(|authority| authority.canonical(self.https) == self.host)
    }
}

/// Whether the client's side of the connection is https: the socket's, or what a listed front proxy says.
pub(crate) fn is_https(peer: &Peer, headers: &HeaderMap) -> bool {
    if peer.is_tls() || !peer.is_front() {
        return peer.is_tls();
    }
    headers.get(X_FORWARDED_PROTO).is_some_and(|value| value.as_bytes() == b"https")
}

/// Whether a request that a cookie vouches for was made by the service's own pages, or by following a link (T12).
///
/// Services are *same-site* to each other, so `SameSite` does not tell their requests apart. Two witnesses are heard,
/// and neither may speak against us. `Origin`: a page elsewhere that reads an answer, changes something or opens a
/// socket names itself there; what changes something or opens a socket needs our own name, a missing one is not enough.
/// Fetch metadata (`Sec-Fetch-*`, where the browser sends it): from elsewhere only a whole page may be navigated here.
pub(crate) fn is_from_own_pages(parts: &Parts, origin: &Origin, opens_socket: bool) -> bool {
    let may_be_nameless =
        !opens_socket && matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let mut named = parts.headers.get_all(ORIGIN).iter();
    let is_named_well = match (named.next(), named.next()) {
        (None, _) => may_be_nameless,
        (Some(one), None) => origin.is_named_by(one.as_bytes()),
        (Some(_), Some(_)) => false,
    };
    is_named_well && is_fetched_well(parts)
}

/// Whether the browser says nothing against a request. An older one, or one that is told to open a site without TLS,
/// says nothing at all: then `Origin` alone is heard.
fn is_fetched_well(parts: &Parts) -> bool {
    !parts.headers.contains_key(SEC_FETCH_SITE) || is_surely_fetched_well(parts)
}

/// Whether the browser says that a request is from our own pages or its user, or that a whole page is navigated to.
pub(crate) fn is_surely_fetched_well(parts: &Parts) -> bool {
    let said = |name: HeaderName| parts.headers.get(name).map(HeaderValue::as_bytes);
    match said(SEC_FETCH_SITE) {
        None => false,
        Some(b"same-origin" | b"none") => true,
        Some(_) => {
            parts.method == Method::GET
                && said(SEC_FETCH_MODE) == Some(b"navigate")
                && said(SEC_FETCH_DEST) == Some(b"document")
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn allowed(method: &str, opens_socket: bool, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let origin = Origin::new(&Authority::parse("a.test:8000").unwrap(), false);
        is_from_own_pages(&parts, &origin, opens_socket)
    }

    #[test]
    fn unsafe_methods_and_sockets_need_our_own_origin() {
        for (method, socket) in [
            ("POST", false),
            ("PUT", false),
            ("DELETE", false),
            ("PATCH", false),
            ("X", false),
            ("GET", true),
        ] {
            assert!(allowed(method, socket, &[("origin", "http://a.test:8000")]));
            assert!(allowed(method, socket, &[("origin", "http://A.test:8000")]));
            for foreign in [
                "null",
                "",
                "http://b.test:8000",
                "https://a.test:8000",
                "http://a.test",
                "http://a.test:80001",
                "http://a.test:8000.evil",
                "http://a.test:8000/",
                "http://x.a.test:8000",
                "a.test:8000",
                "http://a.test:8000 http://b.test",
            ] {
                assert!(!allowed(method, socket, &[("origin", foreign)]), "{method} {foreign}");
            }
            assert!(!allowed(method, socket, &[]), "{method} without Origin");
            let twice = [("origin", "http://a.test:8000"), ("origin", "http://b.test")];
            assert!(!allowed(method, socket, &twice));
            let sent_by_a_sibling =
                [("origin", "http://a.test:8000"), ("sec-fetch-site", "same-site")];
            assert!(!allowed(method, socket, &sent_by_a_sibling));
        }
    }

    #[test]
    fn a_read_from_elsewhere_is_a_navigation_or_refused() {
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert!(allowed(method, false, &[]) && !allowed(method, false, &[("origin", "null")]));
        }
        let site = |site, mode, dest| {
            allowed(
                "GET",
                false,
                &[("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)],
            )
        };
        assert!(allowed("GET", false, &[]));
        assert!(site("same-origin", "no-cors", "image") && site("none", "navigate", "document"));
        assert!(
            site("cross-site", "navigate", "document") && site("same-site", "navigate", "document")
        );
        for (mode, dest) in [
            ("no-cors", "image"),
            ("cors", "empty"),
            ("navigate", "iframe"),
            ("navigate", "object"),
            ("no-cors", "script"),
        ] {
            assert!(
                !site("same-site", mode, dest) && !site("cross-site", mode, dest),
                "{mode} {dest}"
            );
        }
    }
}
