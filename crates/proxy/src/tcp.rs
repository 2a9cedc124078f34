//! Raw TCP for `wharf forward`: an HTTP/1.1 upgrade under our reserved prefix, then the app's bytes and no others.
//!
//! Only a bearer opens one, on public ports too: bytes that are no HTTP carry none of what we tell an app about its
//! client, so whoever sends them has a name. No page can open one. Where it leads, the service host says alone (T18).

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderValue, Response, StatusCode};

use crate::body::ProxyBody;
use crate::client_stream::ClientStream;
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
pub(crate) async fn carry(client: ClientStream, app: Box<dyn Io>, lease: Lease) {
    let Some(client) = client.arrived().await else { return };
    Pump::new(client, app, &[]).run_while_allowed(lease).await;
}
