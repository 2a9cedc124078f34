//! The address at which the caller reaches us, for documents that tell clients where to go on.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, header};

use crate::router::Api;

/// `https://name[:port]/`: where the caller is now, or where the config says that clients find us.
///
/// A site's config decides. On a machine of one's own it says `http`, while Arvados's clients speak TLS only, on the
/// same port: then it is the name that the caller used, with the scheme that it used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicUrl(pub(crate) String);

impl PublicUrl {
    fn of(authority: Option<&Authority>, scheme: Option<&Scheme>, configured: &str) -> Self {
        match (authority, scheme) {
            (Some(authority), Some(scheme))
                if *scheme == Scheme::HTTPS || configured.starts_with("http://") =>
            {
                Self(format!("{scheme}://{}/", authority.as_str().to_ascii_lowercase()))
            }
            _ => Self(configured.to_owned()),
        }
    }

    /// The same for WebSockets.
    pub(crate) fn websocket(&self) -> String {
        let place = self.0.trim_start_matches("http");
        format!("ws{place}websocket")
    }
}

impl FromRequestParts<Api> for PublicUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, Infallible> {
        let named = parts.uri.authority().cloned().or_else(|| host(&parts.headers));
        // Whoever accepts connections knows how they came; in memory there is nothing to know.
        let scheme = parts.extensions.get::<Scheme>();
        Ok(Self::of(named.as_ref(), scheme, &api.config().external_url))
    }
}

fn host(headers: &HeaderMap) -> Option<Authority> {
    Authority::try_from(headers.get(header::HOST)?.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(host: &'static str, scheme: Option<&Scheme>, configured: &str, expected: &str) {
        let authority = Authority::from_static(host);
        let found = PublicUrl::of(Some(&authority), scheme, configured);
        assert_eq!(found.0, expected, "{host} {scheme:?} {configured}");
    }

    #[test]
    fn the_callers_way_in_is_told_unless_the_site_has_a_name_of_its_own() {
        let (http, https) = (Some(&Scheme::HTTP), Some(&Scheme::HTTPS));
        let (local, site) = ("http://localhost:8000/", "https://wharf.example.com/");
        check("localhost:8000", https, local, "https://localhost:8000/");
        check("127.0.0.1:8000", http, local, "http://127.0.0.1:8000/");
        check("wharf.example.com", https, site, site);
        check("wharf.example.com", http, site, site);
        check("localhost:8000", None, local, local);
        assert_eq!(PublicUrl::of(None, https, local).0, local);
    }

    #[test]
    fn events_are_at_the_same_place() {
        assert_eq!(PublicUrl("https://a:1/".to_owned()).websocket(), "wss://a:1/websocket");
        assert_eq!(PublicUrl("http://a/".to_owned()).websocket(), "ws://a/websocket");
    }
}
