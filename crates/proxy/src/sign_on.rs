//! From a token in the address to a session cookie of one service host, and cookies that are none of ours.

use http::header::{LOCATION, SET_COOKIE};
use http::{HeaderValue, Response, StatusCode, Uri};

use crate::authorize;
use crate::body::ProxyBody;
use crate::directory::Target;
use crate::gate::Asking;
use crate::origin::Origin;
use crate::pages;
use crate::proxy::Shared;
use crate::refusal::Refusal;
use crate::session::QueryCredential;
use crate::session::cookie;
use crate::session::seal::Session;

impl Shared {
    /// Takes the token out of the address bar; a valid one becomes a session cookie of this host.
    pub(crate) async fn redirect(
        &self,
        query: &QueryCredential,
        target: Option<&Target>,
        origin: &Origin,
        uri: &Uri,
        asking: &Asking,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let mut response = Response::new(ProxyBody::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        let path = uri.path_and_query().map_or("/", |text| text.as_str());
        let location = HeaderValue::try_from(format!("{}{path}", origin.text()));
        let location =
            location.map_err(|_bytes| Refusal::Malformed("the address cannot be read"))?;
        response.headers_mut().insert(LOCATION, location);
        pages::harden(response.headers_mut());
        if let Some(cookie) = self.session_cookie(query, target, origin, asking).await? {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(response)
    }

    async fn session_cookie(
        &self,
        query: &QueryCredential,
        target: Option<&Target>,
        origin: &Origin,
        asking: &Asking,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let Some(target) = target else { return Ok(None) };
        let Some(credential) = authorize::of_query(query, target, origin) else { return Ok(None) };
        let allowed = authorize::allowed(&*self.directory, target, credential).await?;
        let Some(principal) = allowed else { return Ok(None) };
        let now_s = authorize::now_s();
        let longest_s = now_s.saturating_add(self.config.session_lifetime_max.as_secs());
        let expires_at_s = authorize::expires_at_s(&principal).unwrap_or(u64::MAX).min(longest_s);
        let session = Session { token: principal.token, user: principal.user, expires_at_s };
        let sealed = self.seal.seal(&session, &origin.text());
        let lifetime_s = expires_at_s.saturating_sub(now_s);
        Ok(sealed.and_then(|sealed| {
            cookie::set(&asking.names.session, &sealed, lifetime_s, origin.https)
        }))
    }

    /// Two session cookies mean that a neighbour planted one for the whole domain: both go (T1).
    pub(crate) fn tossed(&self, asking: &Asking) -> Vec<HeaderValue> {
        if !asking.credentials.cookies.is_tossed {
            return Vec::new();
        }
        tracing::warn!("two session cookies in one request: ignored and cleared");
        let name = &asking.names.session;
        let own = cookie::clear(name, None);
        let planted =
            self.rules.parent_domain().and_then(|parent| cookie::clear(name, Some(parent)));
        own.into_iter().chain(planted).collect()
    }
}
