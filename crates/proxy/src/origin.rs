//! Our own origin as the client sees it, and whether a request with a cookie comes from it.

use std::net::IpAddr;

use http::request::Parts;
use http::{HeaderMap, Method};

use crate::host::Authority;

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
pub(crate) fn is_https(tls: bool, headers: &HeaderMap, peer: IpAddr, fronts: &[IpAddr]) -> bool {
    if tls || !fronts.contains(&peer) {
        return tls;
    }
    headers.get("x-forwarded-proto").is_some_and(|value| value.as_bytes() == b"https")
}

/// Whether a request that a cookie vouches for was made by the service's own pages, or by following a link.
///
/// Services are *same-site* to each other, so `SameSite` does not tell their requests apart. An unsafe method or a
/// WebSocket needs our own origin in `Origin`; a missing one is not enough. Other requests may come from elsewhere
/// only as a navigation of a whole page (where the browser says what it is).
pub(crate) fn is_from_own_pages(parts: &Parts, origin: &Origin, opens_socket: bool) -> bool {
    let is_safe = matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let mut named = parts.headers.get_all(http::header::ORIGIN).iter();
    match (named.next(), named.next()) {
        (Some(one), None) => {
            if origin.is_named_by(one.as_bytes()) {
                return true;
            }
            if opens_socket || !is_safe {
                return false;
            }
        }
        (None, _) if opens_socket || !is_safe => return false,
        (None, _) => {}
        (Some(_), Some(_)) => return false,
    }
    let metadata = |name| parts.headers.get(name).map(|value| value.as_bytes());
    match metadata("sec-fetch-site") {
        None | Some(b"same-origin" | b"none") => true,
        Some(_) => {
            metadata("sec-fetch-mode") == Some(b"navigate")
                && metadata("sec-fetch-dest") == Some(b"document")
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
        }
    }

    #[test]
    fn a_read_from_elsewhere_is_a_navigation_or_refused() {
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
