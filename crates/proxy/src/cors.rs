//! Pages of other origins that use private services with a token: which may, and what browsers are told (T13, T14).
//!
//! Before such a page's request a browser asks without credentials (a preflight: Fetch standard, "CORS-preflight
//! fetch"). For a public port the app answers. Any other preflight has the same answer whether or not there is such a
//! service, and reaches no app: a refusal, or, for the origins that the site lists, leave to send a bearer. Never leave
//! to send cookies, and nothing at all for origins that are not listed: what an app says of them is its own business.

use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
    VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};

use crate::body::ProxyBody;
use crate::pages;

/// How long a browser need not ask again; the list changes with a restart only.
const MAX_AGE_S: HeaderValue = HeaderValue::from_static("600");
/// What the answer to a preflight depends on.
const VARY_PREFLIGHT: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
);

/// The origins whose pages may use private ports with a bearer.
#[derive(Debug)]
pub(crate) struct ListedOrigins(Vec<HeaderValue>);

impl ListedOrigins {
    /// `scheme://host[:port]` each, as browsers write them; what no header can hold is left out.
    pub(crate) fn new(origins: &[String]) -> Self {
        Self(origins.iter().filter_map(|origin| HeaderValue::from_str(origin).ok()).collect())
    }

    /// The origin that a request names, where it is a listed one.
    pub(crate) fn named_in(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        if self.0.is_empty() {
            return None;
        }
        let named = headers.get(ORIGIN)?;
        self.0.contains(named).then(|| named.clone())
    }
}

/// Whether a browser asks on behalf of a page, before that page's request.
pub(crate) fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(ORIGIN)
        && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to a preflight of a listed origin: any method and any header, without cookies.
pub(crate) fn leave(asked: &HeaderMap) -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    pages::harden(headers);
    headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE_S);
    headers.insert(VARY, VARY_PREFLIGHT);
    for (ours, theirs) in [
        (ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_REQUEST_METHOD),
        (ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_REQUEST_HEADERS),
    ] {
        if let Some(wanted) = asked.get(theirs) {
            headers.insert(ours, wanted.clone());
        }
    }
    response
}

/// Lets the page of a listed origin read an answer, where the app says nothing of that itself.
pub(crate) fn expose(headers: &mut HeaderMap, origin: HeaderValue) {
    if !headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
}
