//! Addresses that are used again: whoever is served there next must not inherit what a browser kept of the one before
//! (T23): storage, cache, cookies, and a service worker that would see and answer every request.
//!
//! A UUID is never used again. A name can be given to somebody else's service, and an external port to another
//! container. There a marker cookie says whom the browser met last. Where that is somebody else, the browser is told to
//! forget the site, and only a whole page that is asked for goes on (303); pages of the old tenant that are still open
//! get 410 for whatever they ask. Where there is no marker the browser is told to forget too, and goes on: a tenant can
//! push our cookie out of a full jar.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use ring::hmac;

use crate::body::ProxyBody;
use crate::config::SessionKey;
use crate::directory::{HostTarget, Target};
use crate::headers::SEC_FETCH_MODE;
use crate::origin::{self, Origin};
use crate::session::cookie::{self, CookieNames};

const SERVICE_WORKER: HeaderName = HeaderName::from_static("service-worker");
const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
/// A year, which is about the longest that browsers keep a cookie (400 days).
const MARKER_LIFE_S: u64 = 365 * 24 * 3600;
/// Bytes of the digest in a marker: enough that nobody makes one up.
const MARKER_BYTES: usize = 16;

/// Makes markers.
#[derive(Debug)]
pub(crate) struct Tenants(hmac::Key);

/// Who is served at an address that others may have had: a digest, so that the marker names nobody (T40).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tenant(String);

/// Whom a browser met last at this address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Met {
    /// This tenant.
    Same,
    /// Nobody that it says.
    Nobody,
    /// Somebody else.
    Another,
}

impl Tenants {
    pub(crate) fn new(key: &SessionKey) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &key.0))
    }

    /// The tenant of a name is whoever submitted the service, that of a port the container; none where the host has a
    /// UUID.
    pub(crate) fn of(&self, host: &HostTarget, origin: &Origin, target: &Target) -> Option<Tenant> {
        let by_submitters = match host {
            HostTarget::Container { .. } | HostTarget::Request { .. } => return None,
            HostTarget::Name(_) => !target.submitters.is_empty(),
            HostTarget::ExternalPort(_) => false,
        };
        let mut digest = hmac::Context::with_key(&self.0);
        digest.update(b"tenant\0");
        digest.update(origin.text().as_bytes());
        if by_submitters {
            for user in &target.submitters {
                digest.update(b"\0");
                digest.update(user.as_str().as_bytes());
            }
        } else {
            digest.update(b"\0");
            let container = target.container.as_ref().map(|container| container.as_str());
            digest.update(container.unwrap_or_default().as_bytes());
        }
        let digest = digest.sign();
        let marker = digest.as_ref().get(..MARKER_BYTES).unwrap_or_default();
        Some(Tenant(URL_SAFE_NO_PAD.encode(marker)))
    }
}

impl Tenant {
    /// Reads the browser's markers. A neighbour can plant more of them, so ours counts wherever it is among them.
    pub(crate) fn met(&self, markers: &[String]) -> Met {
        match markers {
            [] => Met::Nobody,
            markers if markers.contains(&self.0) => Met::Same,
            _ => Met::Another,
        }
    }

    /// Marks the browser as having met this tenant.
    pub(crate) fn mark(&self, headers: &mut HeaderMap, names: &CookieNames, https: bool) {
        if let Some(marker) = cookie::set(&names.tenant, &self.0, MARKER_LIFE_S, https) {
            headers.append(SET_COOKIE, marker);
        }
    }
}

/// Whether a browser is to forget the site with the answer to this request.
///
/// Who has no marker is told so only in answer to a request of the site's own pages or to a navigation: others come
/// without our cookie from a browser that has it, and no page elsewhere shall empty a service's storage.
pub(crate) fn must_forget(met: Met, parts: &Parts) -> bool {
    match met {
        Met::Same => false,
        Met::Another => true,
        Met::Nobody => origin::is_surely_fetched_well(parts),
    }
}

/// Tells the browser to forget what it keeps of the origin. Cookies are not named: that would reach every service.
pub(crate) fn forget(headers: &mut HeaderMap) {
    headers.insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\", \"storage\""));
}

/// The same, and the cookies that came with the request, one by one.
pub(crate) fn forget_all(headers: &mut HeaderMap, asked: &HeaderMap) {
    forget(headers);
    let names = cookie::names_of_theirs(asked);
    for gone in names.iter().filter_map(|name| cookie::clear(name, None)) {
        headers.append(SET_COOKIE, gone);
    }
}

/// Whether a whole page is asked for, and not a part of one that is open.
pub(crate) fn is_navigation(parts: &Parts) -> bool {
    match parts.headers.get(SEC_FETCH_MODE) {
        Some(mode) => mode == "navigate",
        None => true,
    }
}

/// Whether a browser asks for a service worker's script, to install it or to see whether it has changed.
pub(crate) fn is_worker_script(parts: &Parts) -> bool {
    parts.headers.get(SERVICE_WORKER).is_some_and(|value| value == "script")
}

/// A worker's script is asked for anew each time: one that lies in a cache would never hear of another tenant.
pub(crate) fn keep_worker_fresh(headers: &mut HeaderMap) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
}

/// Sends the browser to the same address with cache, storage and cookies of the old tenant gone.
pub(crate) fn clean_start(location: &str, asked: &HeaderMap) -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let headers = response.headers_mut();
    if let Ok(location) = HeaderValue::from_str(location) {
        headers.insert(LOCATION, location);
    }
    forget_all(headers, asked);
    response
}
