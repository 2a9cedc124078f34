//! `/.wharf/enter`: the way into a private service by the dashboard, which makes a code for the browser that asks here.
//!
//! ```text
//! dashboard ─► HOST/.wharf/enter?path=/lab ─► dashboard/open?host&path&browser=DIGEST ─► HOST/lab?api_token=wc1_….b ─► HOST/lab
//!              (leaves a mark)                 (signs in, asks for a code)               (redeems it with the mark)
//! ```
//!
//! No record is read: the answer is the same for every host, and leads to the site's own dashboard alone.

use http::header::{LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use percent_encoding::utf8_percent_encode;

use crate::body::ProxyBody;
use crate::gate::Asking;
use crate::origin::Origin;
use crate::pages::{self, QUERY_VALUE};
use crate::proxy::Shared;
use crate::refusal::Refusal;
use crate::session::browser;
use crate::session::cookie;
use crate::session::query::value_of;

impl Shared {
    /// Leaves a mark in the browser and sends it to the dashboard.
    pub(crate) fn enter(
        &self,
        parts: &Parts,
        asking: &Asking,
        origin: &Origin,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let path = value_of(parts.uri.query().unwrap_or_default(), "path");
        let path = path.filter(|path| path.starts_with('/')).unwrap_or_else(|| "/".to_owned());
        // Two tabs that are opened at once share the mark: neither takes the other's code away.
        let mark = match &asking.credentials.cookies.browsers[..] {
            [mark] => Some(mark.clone()),
            _ => browser::new_mark(),
        };
        let mark = mark.ok_or(Refusal::Malformed("this machine gives no random numbers"))?;
        let value = |text| utf8_percent_encode(text, QUERY_VALUE);
        let location = format!(
            "{}open?host={}&path={}&browser={}",
            self.config.dashboard_url,
            value(&origin.host),
            value(&path),
            browser::digest_of(&mark)
        );
        let location = HeaderValue::try_from(location)
            .map_err(|_bytes| Refusal::Malformed("the address cannot be read"))?;
        let mut response = Response::new(ProxyBody::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        let headers = response.headers_mut();
        headers.insert(LOCATION, location);
        pages::harden(headers);
        let name = &asking.names.browser;
        if let Some(cookie) = cookie::set(name, &mark, browser::LIFETIME_S, origin.https) {
            headers.append(SET_COOKIE, cookie);
        }
        Ok(response)
    }
}
