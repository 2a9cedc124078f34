//! Raw TCP for `wharf forward`: an HTTP/1.1 upgrade under our reserved prefix, then the app's bytes and no others.
//!
//! Only a bearer opens one, on public ports too: bytes that are no HTTP carry none of what we tell an app about its
//! client, so whoever sends them has a name. No page can open one. Where it leads, the service host says alone (T18).

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::body::ProxyBody;
use crate::dial::Io;
use crate::pump::{Lease, Pump};

/// Our answer; the client's bytes begin behind it.
pub(crate) fn switching() -> Response<ProxyBody> {
    let mut response = Response::new(ProxyBody::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("tcp"));
    response
}

/// Carries bytes until both sides have ended, one breaks off, or access is withdrawn.
pub(crate) async fn carry(client: OnUpgrade, app: Box<dyn Io>, lease: Lease) {
    match client.await {
        Ok(client) => Pump::new(TokioIo::new(client), app, &[]).run_while_allowed(lease).await,
        Err(error) => tracing::debug!(error = %error, "a raw connection ended before it began"),
    }
}
