//! Signing in with the provider: out to it, and back from it with a code.
//!
//! The way back is `/login`, the address that is registered with the provider. An answer counts only in the browser that
//! asked for it ([`Attempt`]), so a link with somebody else's code signs nobody in (login CSRF, T8), and a session is
//! always a new one.

use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use client::{ClientError, OpenIdOutcome, OpenIdReturn};
use maud::html;
use model::User;
use serde::Deserialize;

use super::sign_in::{local_path, outside, signed_in_by};
use crate::app::App;
use crate::attempt::{self, Attempt};
use crate::config::Transport;
use crate::guard;
use crate::session::Session;
use crate::upstream::UpstreamError;

#[derive(Deserialize)]
pub(crate) struct BeginQuery {
    next: Option<String>,
    /// Present when we led here ourselves, from another name of this site.
    here: Option<String>,
}

/// What a provider puts into the address that it leads back to.
#[derive(Deserialize)]
pub(crate) struct Answer {
    pub(crate) state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Sends the browser to the provider.
pub(crate) async fn begin(
    State(app): State<App>,
    transport: Option<Extension<Transport>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Query(query): Query<BeginQuery>,
) -> Response {
    if method == Method::HEAD || guard::is_prefetch(&headers) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let tls = transport.is_some_and(|Extension(transport)| transport.tls);
    let next = local_path(query.next.as_deref());
    let own = &app.0.config.controller_url;
    // The answer comes to one address only, and the cookie must be there.
    if query.here.is_none() && !is_at(own, &uri, &headers, tls) {
        let mut query = form_urlencoded::Serializer::new(String::new());
        let query = query.append_pair("next", next).append_pair("here", "1").finish();
        return Redirect::to(&format!("{own}sign-in/openid?{query}")).into_response();
    }
    let begun = match app.0.client.openid_start().await {
        Ok(begun) => begun,
        Err(error) => return not_begun(error),
    };
    let Ok(to) = header::HeaderValue::try_from(begun.url.clone()) else {
        return failed(StatusCode::BAD_GATEWAY, "The provider's address is none.");
    };
    let cookie = Attempt::new(begun, next, App::now_seconds()).set_cookie(&app.0.sealer, tls);
    let Ok(cookie) = cookie else { return no_randomness() };
    (StatusCode::SEE_OTHER, [(header::LOCATION, to), (header::SET_COOKIE, cookie)]).into_response()
}

/// Takes the provider's answer.
pub(crate) async fn finish(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    tls: bool,
    answer: &Answer,
) -> Response {
    // A code works once: it is not spent on looking ahead.
    if *method == Method::HEAD || guard::is_prefetch(headers) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let state = answer.state.as_deref().unwrap_or_default();
    let Some(attempt) = Attempt::find(&app.0.sealer, headers, state, tls, App::now_seconds())
    else {
        // The cookie stays: an answer that is not for it must not end another attempt.
        return failed(StatusCode::FORBIDDEN, NOT_BEGUN_HERE);
    };
    let mut response = match (&answer.code, &answer.error) {
        (Some(code), None) => redeem(app, tls, &attempt, code, answer.iss.as_deref()).await,
        (_, Some(error)) if error == "access_denied" => failed(StatusCode::FORBIDDEN, DENIED),
        (_, error) => {
            let error = error.as_deref().unwrap_or("no code and no error");
            let error: String = error.chars().filter(|c| !c.is_control()).take(100).collect();
            tracing::warn!(error, "the sign-in provider answered with an error");
            failed(StatusCode::BAD_GATEWAY, PROVIDER_ERROR)
        }
    };
    response.headers_mut().append(header::SET_COOKIE, attempt::clear_cookie(tls));
    response
}

async fn redeem(
    app: &App,
    tls: bool,
    attempt: &Attempt,
    code: &str,
    issuer: Option<&str>,
) -> Response {
    let Attempt { nonce, verifier, next, .. } = attempt;
    let returned = OpenIdReturn { code, issuer, nonce, verifier };
    match app.0.client.openid_finish(returned).await {
        Ok(OpenIdOutcome::SignedIn(login)) => {
            let now = App::now_seconds();
            match Session::new(login.token, login.expires_at, now) {
                Ok(session) => {
                    signed_in_by(app, &session.by_provider(), local_path(Some(next)), tls)
                }
                Err(_no_randomness) => no_randomness(),
            }
        }
        Ok(OpenIdOutcome::Inactive(user)) => inactive(&user),
        Ok(OpenIdOutcome::Unknown) => failed(StatusCode::FORBIDDEN, UNKNOWN),
        Err(error) => not_finished(error),
    }
}

const NOT_BEGUN_HERE: &str = "This sign-in was not begun in this browser, or too long ago, or another \
    one was begun since. Nothing was changed.";
const DENIED: &str = "The provider says that you did not allow it to tell who you are.";
const PROVIDER_ERROR: &str = "The provider did not sign you in. If that happens again, tell the \
    administrator of this site: its log says what the provider answered.";
const UNKNOWN: &str = "You signed in at the provider, but there is no account for you here. An \
    administrator of this site can make one.";
const REFUSED: &str = "The provider's answer was not accepted. If that happens again, tell the \
    administrator of this site: its log says why.";
const UNREACHABLE: &str = "The provider that people sign in with does not answer right now. Try again \
    in a moment; if that does not help, tell the administrator of this site.";

fn not_begun(error: ClientError) -> Response {
    if error.status() == Some(StatusCode::NOT_FOUND) {
        return failed(StatusCode::NOT_FOUND, "This site has no provider to sign in with.");
    }
    not_finished(error)
}

fn not_finished(error: ClientError) -> Response {
    match error.into() {
        UpstreamError::Unavailable(words) => {
            tracing::warn!(error = %words, "nobody can sign in with the provider");
            failed(StatusCode::SERVICE_UNAVAILABLE, UNREACHABLE)
        }
        UpstreamError::SignedOut | UpstreamError::NotFound | UpstreamError::Refused(_) => {
            failed(StatusCode::FORBIDDEN, REFUSED)
        }
    }
}

fn no_randomness() -> Response {
    let words = "This machine gives no random numbers; nobody can sign in.";
    failed(StatusCode::SERVICE_UNAVAILABLE, words)
}

fn failed(status: StatusCode, words: &str) -> Response {
    let body = html! {
        div.narrow {
            h1 { "Not signed in" }
            p.lead role="alert" { (words) }
            p { a.button href="/sign-in" { "Sign in" } }
        }
    };
    outside("Not signed in", status, body)
}

fn inactive(user: &User) -> Response {
    let body = html! {
        div.narrow {
            h1 { "Your account is not active" }
            p.lead {
                "You signed in at the provider, and you are " strong { (user.username) } " here. An \
                administrator of this site has to activate that account before you can use it."
            }
            p { "Ask them, and sign in again when they have. What they type:" }
            (crate::html::parts::command(&format!("wharf user activate {}", user.username)))
            p { a.button href="/sign-in" { "Sign in again" } }
        }
    };
    outside("Your account is not active", StatusCode::FORBIDDEN, body)
}

/// Whether the browser is at the site's own address, and not at another name of it.
fn is_at(own: &str, uri: &Uri, headers: &HeaderMap, tls: bool) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let host = uri.authority().map(|it| it.as_str()).or(host).unwrap_or_default();
    let (scheme, usual) = if tls { ("https", ":443") } else { ("http", ":80") };
    let bare = |host: &str| host.strip_suffix(usual).unwrap_or(host).to_ascii_lowercase();
    let own = own.trim_end_matches('/');
    own.strip_prefix(scheme)
        .and_then(|rest| rest.strip_prefix("://"))
        .is_some_and(|own| bare(own) == bare(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sites_own_address_is_known_by_scheme_and_host() {
        let check = |own: &str, host: &str, tls: bool, expected: bool| {
            let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
            let found = is_at(own, &Uri::from_static("/sign-in/openid"), &headers, tls);
            assert_eq!(found, expected, "{own} {host} {tls}");
        };
        check("http://localhost:8000/", "localhost:8000", false, true);
        check("http://localhost:8000/", "127.0.0.1:8000", false, false);
        check("http://localhost:8000/", "localhost:8000", true, false);
        check("https://w.example.com/", "W.example.com", true, true);
        check("https://w.example.com:443/", "w.example.com", true, true);
        check("https://w.example.com/", "w.example.com", false, false);
    }
}
