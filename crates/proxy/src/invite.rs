//! `/.wharf/invitation`: the way in of somebody who was invited, by a page with a button.
//!
//! ```text
//! HOST/.wharf/invitation?code=wc1_…  ─ button ─►  POST, counted  ─►  a cookie of this host, and on to the port's page
//! ```
//!
//! The session is the guest's: it opens one port, on this host, until the invitation ends or is taken back.

use http::Response;
use http::header::SET_COOKIE;
use http::request::Parts;

use crate::authorize;
use crate::body::ProxyBody;
use crate::directory::HostTarget;
use crate::exchange::Exchange;
use crate::gate::Asking;
use crate::origin::{self, Origin};
use crate::proxy::Shared;
use crate::refusal::Refusal;
use crate::session::CODE_BYTES_MAX;
use crate::session::query::value_of;
use crate::session::seal::{Holder, Session};

impl Shared {
    /// Changes an invitation for a guest's session.
    pub(crate) async fn redeem_invitation(
        &self,
        parts: &Parts,
        asking: &Asking,
        host: &HostTarget,
        origin: &Origin,
        exchange: &Exchange,
    ) -> Result<Response<ProxyBody>, Refusal> {
        if !origin::is_from_own_pages(parts, origin, false) {
            return Err(Refusal::ForeignOrigin);
        }
        let secret = value_of(parts.uri.query().unwrap_or_default(), "code");
        let secret = secret.filter(|secret| secret.len() <= CODE_BYTES_MAX);
        let target = self.directory.find(host).await?;
        let (Some(secret), Some(target)) = (secret, target) else {
            return Err(Refusal::NotInvited);
        };
        let from = exchange.client_ip();
        let pass = self.directory.redeem_invitation(&secret, &target, from).await?;
        let pass = pass.ok_or(Refusal::NotInvited)?;
        let expires_at_s = authorize::seconds(pass.expires_at);
        let session = Session { holder: Holder::Guest(pass.guest), expires_at_s };
        let cookie = self.sealed(asking, &session, origin);
        let cookie = cookie.ok_or(Refusal::Malformed("this machine gives no random numbers"))?;
        let initial = target.ports.get(target.port).map(|entry| entry.initial_path.as_str());
        let url = model::initial_url(&origin.text(), initial.unwrap_or_default());
        let mut response = self.pages.invited(&url, exchange.request_id);
        response.headers_mut().append(SET_COOKIE, cookie);
        Ok(response)
    }
}
