//! Open: from here to a service host, with a single-use code in the address and never a token.
//!
//! The code lives a minute, works once and only on that host; the gate there changes it for a
//! cookie of its own and takes it out of the address bar.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use model::ContainerPort;
use serde::Deserialize;

use super::problem::{NoPage, Problem};
use super::service::request_uuid;
use super::signed_in::SignedIn;
use crate::app::App;
use crate::guard;
use crate::view::address::service_url;

/// What the sign-in link of a service host's page says.
#[derive(Deserialize)]
pub(crate) struct Host {
    /// Service host with its port.
    host: String,
    /// Path and query that a person wanted.
    #[serde(default)]
    path: String,
}

/// A port's button.
pub(crate) async fn port(
    State(app): State<App>,
    me: SignedIn,
    headers: HeaderMap,
    Path((uuid, port)): Path<(String, String)>,
) -> Result<Response, NoPage> {
    refuse_prefetch(&headers)?;
    let uuid = request_uuid(&uuid)?;
    let port = ContainerPort::parse(&port).map_err(|_no_port| Problem::not_found("port"))?;
    let url = me.api.hand_off(uuid, port).await.map_err(|error| me.no_page(error, "service"))?;
    lead(&app, &url)
}

/// The way back to a service host that asked somebody to sign in.
pub(crate) async fn host(
    State(app): State<App>,
    me: SignedIn,
    headers: HeaderMap,
    Query(wanted): Query<Host>,
) -> Result<Response, NoPage> {
    refuse_prefetch(&headers)?;
    let scheme = if app.0.config.service_domain.is_https() { "https" } else { "http" };
    let path = if wanted.path.is_empty() { "/" } else { &wanted.path };
    let url = format!("{scheme}://{}{path}", wanted.host);
    // Checked before the API is asked: nobody else's host may learn anything from us.
    if !path.starts_with('/') || service_url(&app.0.config.service_domain, &url).is_none() {
        return Err(Problem::not_found("service host").into());
    }
    let url = me
        .api
        .hand_off_to_host(&wanted.host, path)
        .await
        .map_err(|error| me.no_page(error, "service host"))?;
    lead(&app, &url)
}

/// Fetching ahead would burn the code before anybody clicks.
fn refuse_prefetch(headers: &HeaderMap) -> Result<(), Problem> {
    if guard::is_prefetch(headers) {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Not ahead of time", ""));
    }
    Ok(())
}

/// There, if it is one of our service hosts; whatever the API says, nowhere else.
fn lead(app: &App, url: &str) -> Result<Response, NoPage> {
    if service_url(&app.0.config.service_domain, url).is_none() {
        tracing::error!("the API's hand-off leads to no service host of ours");
        let words = "The address that the API gave is not one of this site's service hosts, so it was not opened. Services.ContainerWebServices.ExternalURL may differ between parts of the site.";
        return Err(Problem::new(StatusCode::BAD_GATEWAY, "Not opened", words).into());
    }
    Ok(Redirect::to(url).into_response())
}
