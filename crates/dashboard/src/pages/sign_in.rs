//! Signing in, with a one-time link or with a pasted token, and out.
//!
//! A link that was typed or opened from a terminal is redeemed at once. One that was followed from
//! another site asks first, so that nobody is signed in to somebody else's account by a link on a
//! page (login CSRF, T8); fetching ahead and HEAD never burn the code.

use axum::Form;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use client::SignInMethods;
use maud::{Markup, html};
use model::{ApiToken, Timestamp};
use serde::Deserialize;

use super::problem::{NoPage, Problem};
use super::signed_in::SignedIn;
use crate::app::App;
use crate::config::Transport;
use crate::guard;
use crate::html::layout::{Live, Page, Place};
use crate::html::parts;
use crate::session::{self, Session};
use crate::upstream::{Upstream, UpstreamError};

/// How long a session made from a pasted token lasts.
const SESSION_SECONDS: i64 = 12 * 60 * 60;

#[derive(Deserialize)]
pub(crate) struct SignInQuery {
    code: Option<String>,
    next: Option<String>,
    /// Present when a session just ended.
    over: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct SignInForm {
    #[serde(default)]
    code: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    next: String,
}

#[derive(Deserialize)]
pub(crate) struct SignOutForm {
    form_token: String,
}

/// The session that a sign-in gave, or why there is none, in words for the page.
type SignInResult = Result<Session, &'static str>;

pub(crate) async fn page(
    State(app): State<App>,
    transport: Option<Extension<Transport>>,
    method: Method,
    headers: HeaderMap,
    Query(query): Query<SignInQuery>,
) -> Response {
    let tls = transport.is_some_and(|Extension(transport)| transport.tls);
    let next = local_path(query.next.as_deref());
    let Some(code) = query.code else {
        let signed_in = app.0.sealer.find(&headers, tls, App::now_seconds()).is_some();
        if signed_in && query.over.is_none() {
            return Redirect::to(next).into_response();
        }
        let said = query.over.map(|_| "Your session is over. Sign in again to go on.");
        return form_page(&app, StatusCode::OK, said, "", next).await;
    };
    if method == Method::HEAD || guard::is_prefetch(&headers) {
        return StatusCode::NO_CONTENT.into_response();
    }
    if guard::followed_from_another_site(&headers) {
        return confirm_page(&code, next);
    }
    finish(&app, redeem(&app, &code).await, "", next, tls).await
}

pub(crate) async fn submit(
    State(app): State<App>,
    transport: Option<Extension<Transport>>,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Response {
    if !guard::is_surely_own_form(&headers) {
        return Problem::stale_form().into_response();
    }
    let tls = transport.is_some_and(|Extension(transport)| transport.tls);
    let next = local_path(Some(&form.next));
    let result = if !form.code.is_empty() {
        redeem(&app, &form.code).await
    } else if !form.username.is_empty() {
        from_password(&app, form.username.trim(), &form.password).await
    } else {
        from_token(&app, form.token.trim()).await
    };
    finish(&app, result, &form.username, next, tls).await
}

/// Ends the session, and leads to where the one at the provider ends, if it began there.
pub(crate) async fn sign_out(
    State(app): State<App>,
    me: SignedIn,
    Form(form): Form<SignOutForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    // The token was made for this session alone; without it a copy of the cookie is worth nothing.
    match me.api.delete_token(me.session.token.uuid()).await {
        Ok(()) | Err(UpstreamError::SignedOut | UpstreamError::NotFound) => {}
        Err(error) => return Err(me.no_page(error, "session")),
    }
    let elsewhere = if me.session.is_by_provider { provider_sign_out(&app).await } else { None };
    let mut response = match elsewhere {
        Some(url) => signed_out_page(&url),
        None => Redirect::to("/sign-in").into_response(),
    };
    response.headers_mut().insert(header::SET_COOKIE, session::clear_cookie(me.tls));
    Ok(response)
}

async fn provider_sign_out(app: &App) -> Option<String> {
    match app.0.client.openid_sign_out_url().await {
        Ok(url) => url,
        Err(error) => {
            tracing::warn!(%error, "where to sign out of the provider is not known");
            None
        }
    }
}

/// Not by redirect, as after signing in: the provider is not in `form-action`.
fn signed_out_page(url: &str) -> Response {
    let body = html! {
        div.narrow {
            h1 { "Signed out here" }
            p.lead { a href=(url) { "Sign out of the provider too" } }
        }
    };
    onward("Signed out", url, body)
}

async fn redeem(app: &App, code: &str) -> SignInResult {
    // Anything else would only cost the API a look-up.
    if !code.starts_with("wc1_") || code.len() > 100 {
        return Err(CODE_SPENT);
    }
    match app.0.client.redeem_login(code).await {
        Ok(login) => new_session(login.token, login.expires_at),
        Err(error) => Err(why_not(&error.into(), CODE_SPENT)),
    }
}

const CODE_SPENT: &str = "This sign-in link was used already or is too old: each one works once, \
    for ten minutes. `wharf open` in a terminal opens the dashboard with a new one.";
const TOKEN_WRONG: &str = "This token is not accepted. It may be mistyped, expired or revoked.";
const TOKEN_LIMITED: &str = "This token is limited to some calls (it has scopes), and the \
    dashboard needs one without limits. `wharf token create` makes one.";

const PASSWORD_WRONG: &str = "Name and password do not fit.";
const PASSWORD_LIMITED: &str = "There were too many tries for this user. Try again in a minute.";

async fn from_password(app: &App, username: &str, password: &str) -> SignInResult {
    match app.0.client.sign_in(username, password).await {
        Ok((token, record)) => new_session(token, record.expires_at),
        Err(error) if error.status() == Some(StatusCode::TOO_MANY_REQUESTS) => {
            Err(PASSWORD_LIMITED)
        }
        Err(error) => Err(why_not(&error.into(), PASSWORD_WRONG)),
    }
}

async fn from_token(app: &App, text: &str) -> SignInResult {
    let token = ApiToken::parse(text).map_err(
        |_not_one| "That is no token: one looks like v2/abcde-gj3su-…/… and is all one word.",
    )?;
    let api = Upstream::of(&app.0.client, &token);
    api.me().await.map_err(|error| why_not(&error, TOKEN_WRONG))?;
    let expires_at = jiff::Timestamp::from_second(App::now_seconds() + SESSION_SECONDS)
        .map_err(|_out_of_range| "The clock of this machine is wrong.")?;
    let made = api.make_session_token(Timestamp::from_jiff(expires_at)).await;
    let (token, expires_at) = made.map_err(|error| why_not(&error, TOKEN_LIMITED))?;
    new_session(token, expires_at)
}

fn new_session(token: ApiToken, expires_at: Option<Timestamp>) -> SignInResult {
    Session::new(token, expires_at, App::now_seconds())
        .map_err(|_no_randomness| "This machine gives no random numbers; nobody can sign in.")
}

fn why_not(error: &UpstreamError, refused: &'static str) -> &'static str {
    match error {
        UpstreamError::SignedOut | UpstreamError::NotFound | UpstreamError::Refused(_) => refused,
        UpstreamError::Unavailable(words) => {
            tracing::warn!(error = %words, "the API did not answer a sign-in");
            "The API does not answer right now. Try again in a moment."
        }
    }
}

async fn finish(app: &App, result: SignInResult, name: &str, next: &str, tls: bool) -> Response {
    let cookie = result.and_then(|session| {
        app.0
            .sealer
            .set_cookie(&session, tls, App::now_seconds())
            .map_err(|_no_randomness| "This machine gives no random numbers; nobody can sign in.")
    });
    match cookie {
        Ok(cookie) => signed_in_page(cookie, next),
        Err(words) => form_page(app, StatusCode::FORBIDDEN, Some(words), name, next).await,
    }
}

/// Goes on after a sign-in at the provider: never by redirect, since one may follow a form of the provider, and its
/// `form-action` need not have in it where we lead.
pub(super) fn signed_in_by(app: &App, session: &Session, next: &str, tls: bool) -> Response {
    match app.0.sealer.set_cookie(session, tls, App::now_seconds()) {
        Ok(cookie) => {
            let mut response = go_on_page(next);
            response.headers_mut().insert(header::SET_COOKIE, cookie);
            response
        }
        Err(error) => {
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Not signed in", error.to_string())
                .into_response()
        }
    }
}

/// Goes on to `next`. Where that leads to a service host or another site, not by redirect: `form-action` covers the
/// redirects that follow a form, and those are not in it.
fn signed_in_page(cookie: HeaderValue, next: &str) -> Response {
    let mut response = if next.starts_with("/open") || next.starts_with("/login") {
        go_on_page(next)
    } else {
        Redirect::to(next).into_response()
    };
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

fn go_on_page(next: &str) -> Response {
    let body = html! {
        div.narrow {
            h1 { "Signed in" }
            p.lead { a href=(next) { "Go on" } }
        }
    };
    onward("Signed in", next, body)
}

/// A page that leads on by itself.
fn onward(title: &str, to: &str, body: Markup) -> Response {
    let mut response = outside(title, StatusCode::OK, body);
    if let Ok(refresh) = HeaderValue::try_from(format!("0; url={to}")) {
        response.headers_mut().insert(header::REFRESH, refresh);
    }
    response
}

/// A path of ours to go on to: never another origin, however it is spelled.
pub(super) fn local_path(next: Option<&str>) -> &str {
    let plain = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
            && !path.starts_with("/sign-")
    };
    next.filter(plain).unwrap_or("/")
}

pub(super) fn outside(title: &str, status: StatusCode, body: Markup) -> Response {
    let page = Page { title, place: Place::Outside, live: Live::No, person: None, body };
    let mut response = (status, page.render()).into_response();
    // The form here has no session to prove itself by, so the browser must send its Origin, which
    // `no-referrer` would turn into "null". To other sites this sends as little.
    let policy = HeaderValue::from_static("same-origin");
    response.headers_mut().insert(header::REFERRER_POLICY, policy);
    response
}

/// Which ways there are to sign in. Where that cannot be found out, those that there always are.
async fn methods(app: &App) -> SignInMethods {
    app.0.client.sign_in_methods().await.unwrap_or_else(|error| {
        tracing::warn!(%error, "which ways there are to sign in is not known");
        SignInMethods { passwords: true, provider: None }
    })
}

/// `name` is what was typed last, so that only the password need be typed again.
async fn form_page(
    app: &App,
    status: StatusCode,
    said: Option<&str>,
    name: &str,
    next: &str,
) -> Response {
    let ways = methods(app).await;
    let body = html! {
        div.narrow {
            h1 { "Sign in" }
            @if let Some(said) = said { p.notice role="alert" { (said) } }
            @if let Some(provider) = &ways.provider {
                p { a.button href=(to_provider(next)) { "Sign in with " (provider) } }
            }
            @if ways.passwords { (password_form(name, next)) }
            p { "In a terminal on the machine that runs Wharf, this opens the dashboard signed in:" }
            (parts::command("wharf open"))
            form.stack method="post" action="/sign-in" {
                input type="hidden" name="next" value=(next);
                label for="token" { "Or paste an API token" }
                input #token name="token" type="password" required autocomplete="off"
                    spellcheck="false" placeholder="v2/…" aria-describedby="token-help";
                p.note #token-help { "It is changed for a session of its own and not kept." }
                button type="submit" { "Sign in" }
            }
        }
    };
    outside("Sign in", status, body)
}

fn password_form(name: &str, next: &str) -> Markup {
    html! {
        form.stack method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            label for="username" { "With name and password, where you have one" }
            input #username name="username" value=[(!name.is_empty()).then_some(name)] required autocomplete="username" spellcheck="false" placeholder="Name";
            input name="password" type="password" required autocomplete="current-password"
                aria-label="Password" placeholder="Password";
            button type="submit" { "Sign in" }
        }
    }
}

/// A link and no form: what follows a form must be in `form-action`, and the provider is not.
fn to_provider(next: &str) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", next).finish();
    format!("/sign-in/openid?{query}")
}

fn confirm_page(code: &str, next: &str) -> Response {
    let body = html! {
        div.narrow {
            h1 { "Sign in with this link?" }
            p.lead { "You followed a sign-in link from another site. Go on only if you asked for it: a link from somebody else signs you in to their account." }
            form.choices method="post" action="/sign-in" {
                input type="hidden" name="code" value=(code);
                input type="hidden" name="next" value=(next);
                button type="submit" { "Sign in" }
                a.button.plain href="/" { "No" }
            }
        }
    };
    outside("Sign in", StatusCode::OK, body)
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn going_on_never_leaves_this_origin() {
        for good in ["/", "/services/x?y=z", "/open?host=a&path=%2F"] {
            assert_eq!(local_path(Some(good)), good);
        }
        let bad = [
            "",
            "//evil.example/",
            "/\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/a\r\nSet-Cookie: x",
            "/\t/evil.example",
            "/sign-out",
            "evil",
        ];
        for bad in bad {
            assert_eq!(local_path(Some(bad)), "/", "{bad:?}");
        }
        assert_eq!(local_path(None), "/");
    }
}
