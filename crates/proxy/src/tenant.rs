//! External ports are used again: the first request after a change of container lets go of what the old one left.
//!
//! Where a service has a name of its own this cannot happen, since UUIDs are never used again. On a port-range site the
//! browser would give the new tenant the old one's cookies, storage and service worker (T23). A marker cookie says which
//! container the browser met last.

use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use model::ContainerUuid;

use crate::body::ProxyBody;
use crate::session::cookie::{self, CookieNames};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// A year: longer than anything a browser keeps of a service.
const MARKER_LIFE_S: u64 = 365 * 24 * 3600;

/// What the marker says about a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Tenancy {
    /// The browser met this container last.
    Same,
    /// It met none here: the answer carries the marker.
    New,
    /// It met another.
    Changed,
}

/// Compares the marker with the container that is served now.
pub(crate) fn tenancy(marker: Option<&str>, container: &ContainerUuid) -> Tenancy {
    match marker {
        None => Tenancy::New,
        Some(marker) if marker == container.as_str() => Tenancy::Same,
        Some(_) => Tenancy::Changed,
    }
}

/// Marks the browser as having met a container.
pub(crate) fn mark(
    headers: &mut HeaderMap,
    names: &CookieNames,
    container: &ContainerUuid,
    https: bool,
) {
    if let Some(marker) = cookie::set(&names.container, container.as_str(), MARKER_LIFE_S, https) {
        headers.append(SET_COOKIE, marker);
    }
}

/// Sends the browser to the same address with cache, storage and cookies of the old tenant gone.
///
/// Cookies go one by one: letting all go by header would reach every service of the site.
pub(crate) fn clean_start(location: &str, cookies: &[String]) -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(LOCATION, location);
    }
    headers.insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\", \"storage\""));
    for gone in cookies.iter().filter_map(|name| cookie::clear(name, None)) {
        headers.append(SET_COOKIE, gone);
    }
    response
}
