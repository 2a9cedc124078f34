//! Open: from here to a service host, with a single-use code in the address and never a token.
//!
//! The way goes by the service host first: it leaves a mark in the browser and sends it back here with the mark's digest.
//! The code is made for that digest, lives a minute, works once, on that host and in that browser; the gate there changes
//! it for a cookie of its own and takes it out of the address bar.

use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Redirect, Response};
use model::ContainerPort;
use serde::Deserialize;

use super::problem::{NoPage, Problem};
use super::service::{load, request_uuid};
use super::signed_in::SignedIn;
use crate::app::App;
use crate::guard;
use crate::view::address::{ServiceUrl, service_url};

/// Where a service host begins the way in.
const ENTER_PATH: &str = "/.wharf/enter";

/// What a service host says of somebody whom it sends here.
#[derive(Deserialize)]
pub(crate) struct Host {
    /// Service host with its port.
    host: String,
    /// Path and query that a person wanted.
    #[serde(default)]
    path: String,
    /// Digest of the mark that it left in the browser; absent where it left none.
    browser: Option<String>,
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
    let service = load(&app, &me, uuid).await?;
    let found = service.ports.iter().find(|it| it.number == port);
    let address = found.and_then(|port| Some((port.address.as_ref()?, &port.initial_path)));
    let (address, initial_path) = address.ok_or_else(|| Problem::not_found("port"))?;
    let url = address.initial(initial_path);
    let base = address.initial("");
    let parts = service_url(&app.0.config.service_domain, &url);
    let ServiceUrl { path, .. } = parts.ok_or_else(|| Problem::not_found("port"))?;
    Ok(enter(&base, path))
}

/// A service host that asked somebody to sign in, or that left its mark.
pub(crate) async fn host(
    State(app): State<App>,
    me: SignedIn,
    headers: HeaderMap,
    Query(wanted): Query<Host>,
) -> Result<Response, NoPage> {
    refuse_prefetch(&headers)?;
    let scheme = if app.0.config.service_domain.is_https() { "https" } else { "http" };
    let path = if wanted.path.is_empty() { "/" } else { &wanted.path };
    let base = format!("{scheme}://{}/", wanted.host);
    let url = format!("{}{path}", base.trim_end_matches('/'));
    // Checked before anybody is asked: nobody else's host may learn anything from us.
    if !path.starts_with('/') || service_url(&app.0.config.service_domain, &url).is_none() {
        return Err(Problem::not_found("service host").into());
    }
    let Some(browser) = wanted.browser.filter(|digest| !digest.is_empty()) else {
        return Ok(enter(&base, path));
    };
    let url = me
        .api
        .hand_off_to_host(&wanted.host, path, &browser)
        .await
        .map_err(|error| me.no_page(error, "service host"))?;
    lead(&app, &url)
}

/// To the service host, which comes back here with a mark.
fn enter(base: &str, path: &str) -> Response {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("path", path).finish();
    Redirect::to(&format!("{}{ENTER_PATH}?{query}", base.trim_end_matches('/'))).into_response()
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
