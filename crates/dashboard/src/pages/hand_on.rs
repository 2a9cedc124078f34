//! `/login` and `/logout`: where other clients of the API, such as Workbench, send people to sign in and out. `/login`
//! is also where the provider leads back to, as Arvados has it, so that a site's registration there need not change.
//!
//! Such a client gets a token of whoever signs in, in the address that it asked to be returned to. So only origins that
//! the config trusts are returned to (and our own): anywhere else a link would hand somebody's token to its author.

use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use model::{ApiToken, Timestamp};
use serde::Deserialize;

use super::openid::{self, Answer};
use super::problem::Problem;
use crate::app::App;
use crate::config::{DashboardConfig, Transport};
use crate::guard;
use crate::session;
use crate::upstream::{Upstream, UpstreamError};

/// How long a token holds that a client is handed: a working day.
const TOKEN_SECONDS: i64 = 12 * 60 * 60;

#[derive(Deserialize)]
pub(crate) struct LoginQuery {
    return_to: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct LogoutQuery {
    return_to: Option<String>,
    api_token: Option<String>,
}

/// Signs in, if need be, and returns to the client with a new token; or takes the provider's answer.
pub(crate) async fn login(
    State(app): State<App>,
    transport: Option<Extension<Transport>>,
    method: Method,
    headers: HeaderMap,
    Query(answer): Query<Answer>,
    Query(query): Query<LoginQuery>,
) -> Response {
    let tls = transport.is_some_and(|Extension(transport)| transport.tls);
    // Only the provider sends people here with a state.
    if answer.state.is_some() {
        return openid::finish(&app, &method, &headers, tls, &answer).await;
    }
    let Some(return_to) = query.return_to.filter(|text| !text.is_empty()) else {
        return Redirect::to("/sign-in").into_response();
    };
    if !is_trusted(&app.0.config, &return_to) {
        return untrusted().into_response();
    }
    if method == Method::HEAD || guard::is_prefetch(&headers) {
        return StatusCode::NO_CONTENT.into_response();
    }
    let Some(session) = app.0.sealer.find(&headers, tls, App::now_seconds()) else {
        return Redirect::to(&sign_in_first(&return_to)).into_response();
    };
    let api = Upstream::of(&app.0.client, &session.token);
    let expires_at = jiff::Timestamp::from_second(App::now_seconds() + TOKEN_SECONDS);
    let Ok(expires_at) = expires_at else {
        return failed("The clock of this machine is wrong.").into_response();
    };
    match api.make_session_token(Timestamp::from_jiff(expires_at)).await {
        Ok((token, _expires_at)) => Redirect::to(&with_token(&return_to, &token)).into_response(),
        Err(UpstreamError::SignedOut) => {
            let mut response = Redirect::to(&sign_in_first(&return_to)).into_response();
            response.headers_mut().insert(header::SET_COOKIE, session::clear_cookie(tls));
            response
        }
        Err(UpstreamError::Refused(words) | UpstreamError::Unavailable(words)) => {
            failed(&words).into_response()
        }
        Err(UpstreamError::NotFound) => failed("The API makes no tokens.").into_response(),
    }
}

/// Revokes the token that the client shows, ends the session here if it is the same person's, and returns.
pub(crate) async fn logout(
    State(app): State<App>,
    transport: Option<Extension<Transport>>,
    headers: HeaderMap,
    Query(query): Query<LogoutQuery>,
) -> Response {
    let tls = transport.is_some_and(|Extension(transport)| transport.tls);
    let trusted = query.return_to.filter(|to| is_trusted(&app.0.config, to));
    let mut response = Redirect::to(trusted.as_deref().unwrap_or("/sign-in")).into_response();
    let token = query.api_token.and_then(|text| ApiToken::parse(&text).ok());
    // Without a token of theirs, any page could sign people out.
    let Some(token) = token else { return response };
    let api = Upstream::of(&app.0.client, &token);
    let Ok(client_user) = api.me().await else { return response };
    if let Some(session) = app.0.sealer.find(&headers, tls, App::now_seconds()) {
        let own = Upstream::of(&app.0.client, &session.token);
        if own.me().await.is_ok_and(|me| me.uuid == client_user.uuid) {
            forget(&own, &session.token).await;
            response.headers_mut().insert(header::SET_COOKIE, session::clear_cookie(tls));
        }
    }
    forget(&api, &token).await;
    response
}

async fn forget(api: &Upstream, token: &ApiToken) {
    if let Err(error) = api.delete_token(token.uuid()).await {
        tracing::warn!(?error, "a token was not revoked at sign-out");
    }
}

/// Whether people may be sent there with a token. The origin is compared as it is written, so whatever a browser might
/// read differently (a user before an @, a backslash) is no origin of the list.
fn is_trusted(config: &DashboardConfig, url: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\';
    if !url.bytes().all(plain) {
        return false;
    }
    let own = config.controller_url.trim_end_matches('/');
    let trusted = config.trusted_clients.iter().map(String::as_str).chain([own]);
    trusted.into_iter().any(|origin| {
        url.strip_prefix(origin).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
    })
}

/// The address with the token in its query, in front of a fragment.
fn with_token(url: &str, token: &ApiToken) -> String {
    let (address, fragment) = match url.split_once('#') {
        Some((address, fragment)) => (address, format!("#{fragment}")),
        None => (url, String::new()),
    };
    let joint = if address.contains('?') { '&' } else { '?' };
    format!("{address}{joint}api_token={}{fragment}", token.expose())
}

fn sign_in_first(return_to: &str) -> String {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let next = format!("/login?return_to={}", encode(return_to));
    format!("/sign-in?next={}", encode(&next))
}

fn untrusted() -> Problem {
    let words = "The page that sent you here is not among those that may get a token of yours. \
        The administrator of this site can add its origin to Login.TrustedClients.";
    Problem::new(StatusCode::FORBIDDEN, "Not a page of this site", words)
}

fn failed(words: &str) -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Signing in did not work", words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::ServiceDomain;

    fn config() -> DashboardConfig {
        DashboardConfig {
            session_key: [0; 32],
            service_domain: ServiceDomain::parse("http://*.s.localhost:8000/").unwrap(),
            api_host: String::new(),
            ca_file: None,
            controller_url: "http://localhost:8000/".to_owned(),
            trusted_clients: vec!["https://wb.example.com".to_owned()],
            templates: Vec::new(),
            terminals: true,
        }
    }

    #[test]
    fn only_listed_origins_and_our_own_are_returned_to() {
        for good in [
            "https://wb.example.com/token",
            "https://wb.example.com",
            "https://wb.example.com?x=y#z",
            "http://localhost:8000/x",
        ] {
            assert!(is_trusted(&config(), good), "{good}");
        }
        for bad in [
            "",
            "/token",
            "https://wb.example.com.evil.example/",
            "https://wb.example.com@evil.example/",
            "https://wb.example.com:444/",
            "https://wb.example.com\\@evil.example/",
            "https://evil.example/?https://wb.example.com/",
            "http://wb.example.com/",
            "http://localhost:80001/",
            "https://wb.example.com/\r\nx",
            "javascript:alert(1)",
        ] {
            assert!(!is_trusted(&config(), bad), "{bad}");
        }
    }

    #[test]
    fn the_token_goes_into_the_query() {
        let uuid = model::TokenUuid::parse("wharf-gj3su-000000000000001").unwrap();
        let token = ApiToken::new(uuid, "sss".to_owned());
        let place = "api_token=v2/wharf-gj3su-000000000000001/sss";
        for (url, expected) in [
            ("https://a/token", format!("https://a/token?{place}")),
            ("https://a/?x=y", format!("https://a/?x=y&{place}")),
            ("https://a/t#/b", format!("https://a/t?{place}#/b")),
        ] {
            assert_eq!(with_token(url, &token), expected);
        }
    }
}
