//! From a token in the address to a session cookie of one service host, and cookies that are none of ours.

use http::header::{LOCATION, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode};
use limits::{Miss, Tick};

use crate::access_log::Reason;
use crate::authorize;
use crate::body::ProxyBody;
use crate::gate::{Asking, Place};
use crate::origin::{self, Origin};
use crate::pages;
use crate::proxy::Shared;
use crate::refusal::Refusal;
use crate::session::cookie;
use crate::session::seal::{Holder, Session};
use crate::tenant::{self, Met};

impl Shared {
    /// Takes the token out of the address bar; a valid one becomes a session cookie of this host, any other is marked
    /// as a [`Miss`].
    ///
    /// Not for a page of somebody else, which could sign its visitors in to another's account out of sight (T48): its
    /// request gets the same answer without a cookie, and a code stays as good as it was.
    pub(crate) async fn redirect(
        &self,
        parts: &Parts,
        asking: &Asking,
        place: Place<'_>,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let Place { origin, tenant, .. } = place;
        let mut response = Response::new(ProxyBody::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        let path = parts.uri.path_and_query().map_or("/", |text| text.as_str());
        let location = HeaderValue::try_from(format!("{}{path}", origin.text()));
        let location =
            location.map_err(|_bytes| Refusal::Malformed("the address cannot be read"))?;
        let headers = response.headers_mut();
        headers.insert(LOCATION, location);
        pages::harden(headers);
        if !origin::is_from_own_pages(parts, origin, false) {
            return Ok(response);
        }
        let Some(cookie) = self.session_cookie(asking, place).await? else {
            response.extensions_mut().insert(Miss);
            return Ok(response);
        };
        headers.append(SET_COOKIE, cookie);
        if let Some(tenant) = tenant {
            tenant.mark(headers, &asking.names, origin.https);
            if tenant.met(&asking.credentials.cookies.tenants) != Met::Same {
                tenant::forget_all(headers, &parts.headers);
            }
        }
        Ok(response)
    }

    async fn session_cookie(
        &self,
        asking: &Asking,
        place: Place<'_>,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let Place { target: Some(target), origin, .. } = place else { return Ok(None) };
        let Some(query) = &asking.credentials.query else { return Ok(None) };
        let marks = &asking.credentials.cookies.browsers;
        let Some(credential) = authorize::of_query(query, target, origin, marks) else {
            return Ok(None);
        };
        let allowed = authorize::allowed(&*self.directory, target, credential).await?;
        let Some(authorize::Allowed { principal, .. }) = allowed else { return Ok(None) };
        let now_s = authorize::now_s();
        let longest_s = now_s.saturating_add(self.config.session_lifetime_max.as_secs());
        let expires_at_s = authorize::expires_at_s(&principal).unwrap_or(u64::MAX).min(longest_s);
        let holder = Holder::User { token: principal.token, user: principal.user };
        Ok(self.sealed(asking, &Session { holder, expires_at_s }, origin))
    }

    /// The cookie of a session at this service host; `None` when there is no randomness to be had.
    pub(crate) fn sealed(
        &self,
        asking: &Asking,
        session: &Session,
        origin: &Origin,
    ) -> Option<HeaderValue> {
        let sealed = self.seal.seal(session, &origin.text())?;
        let lifetime_s = session.expires_at_s.saturating_sub(authorize::now_s());
        cookie::set(&asking.names.session, &sealed, lifetime_s, origin.https)
    }

    /// Two session cookies mean that a neighbour planted one for the whole domain: both go (T1).
    pub(crate) fn tossed(&self, asking: &Asking) -> Vec<HeaderValue> {
        if !asking.credentials.cookies.is_tossed {
            return Vec::new();
        }
        if self.refusal_lines.may_write(Reason::TossedCookie, Tick::now()) {
            tracing::warn!("two session cookies in one request: ignored and cleared");
        }
        let name = &asking.names.session;
        let own = cookie::clear(name, None);
        let planted =
            self.rules.parent_domain().and_then(|parent| cookie::clear(name, Some(parent)));
        own.into_iter().chain(planted).collect()
    }
}
