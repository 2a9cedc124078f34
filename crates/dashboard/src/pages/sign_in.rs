//! Signing in, with a one-time link or with a pasted token, and out.
//!
//! A link that was typed or opened from a terminal is redeemed at once. One that was followed from
//! another site asks first, so that nobody is signed in to somebody else's account by a link on a
//! page (login CSRF, T8); fetching ahead and HEAD never burn the code.

use axum::Form;
use axum::extract::{Extension, Query, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
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
        return form_page(StatusCode::OK, said, next);
    };
    if method == Method::HEAD || guard::is_prefetch(&headers) {
        return StatusCode::NO_CONTENT.into_response();
    }
    if guard::followed_from_another_site(&headers) {
        return confirm_page(&code, next);
    }
    finish(&app, redeem(&app, &code).await, next, tls)
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
    finish(&app, result, next, tls)
}

pub(crate) async fn sign_out(
    me: SignedIn,
    Form(form): Form<SignOutForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    // The token was made for this session alone; without it a copy of the cookie is worth nothing.
    match me.api.delete_token(me.session.token.uuid()).await {
        Ok(()) | Err(UpstreamError::SignedOut | UpstreamError::NotFound) => {}
        Err(error) => return Err(me.no_page(error, "session")),
    }
    let mut response = Redirect::to("/sign-in").into_response();
    response.headers_mut().insert(header::SET_COOKIE, session::clear_cookie(me.tls));
    Ok(response)
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

fn finish(app: &App, result: SignInResult, next: &str, tls: bool) -> Response {
    let cookie = result.and_then(|session| {
        app.0
            .sealer
            .set_cookie(&session, tls, App::now_seconds())
            .map_err(|_no_randomness| "This machine gives no random numbers; nobody can sign in.")
    });
    match cookie {
        Ok(cookie) => signed_in_page(cookie, next),
        Err(words) => form_page(StatusCode::FORBIDDEN, Some(words), next),
    }
}

/// Goes on to `next`. Where that leads to a service host or another site, not by redirect: `form-action` covers the
/// redirects that follow a form, and those are not in it.
fn signed_in_page(cookie: HeaderValue, next: &str) -> Response {
    let mut response = if next.starts_with("/open") || next.starts_with("/login") {
        let body = html! {
            div.narrow {
                h1 { "Signed in" }
                p.lead { a href=(next) { "Go on" } }
            }
        };
        let refresh = HeaderValue::try_from(format!("0; url={next}"));
        let mut response = outside("Signed in", StatusCode::OK, body);
        if let Ok(refresh) = refresh {
            response.headers_mut().insert(header::REFRESH, refresh);
        }
        response
    } else {
        Redirect::to(next).into_response()
    };
    response.headers_mut().insert(header::SET_COOKIE, cookie);
    response
}

/// A path of ours to go on to: never another origin, however it is spelled.
fn local_path(next: Option<&str>) -> &str {
    let plain = |path: &&str| {
        path.starts_with('/')
            && !path.starts_with("//")
            && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\')
            && !path.starts_with("/sign-")
    };
    next.filter(plain).unwrap_or("/")
}

fn outside(title: &str, status: StatusCode, body: Markup) -> Response {
    let page = Page { title, place: Place::Outside, live: Live::No, person: None, body };
    let mut response = (status, page.render()).into_response();
    // The form here has no session to prove itself by, so the browser must send its Origin, which
    // `no-referrer` would turn into "null". To other sites this sends as little.
    let policy = HeaderValue::from_static("same-origin");
    response.headers_mut().insert(header::REFERRER_POLICY, policy);
    response
}

fn form_page(status: StatusCode, said: Option<&str>, next: &str) -> Response {
    let body = html! {
        div.narrow {
            h1 { "Sign in" }
            @if let Some(said) = said { p.notice role="alert" { (said) } }
            p { "The quick way: in a terminal on the machine that runs Wharf, this opens the dashboard signed in:" }
            (parts::command("wharf open"))
            form.stack method="post" action="/sign-in" {
                input type="hidden" name="next" value=(next);
                label for="username" { "Or with name and password, where you have one" }
                input #username name="username" required autocomplete="username" spellcheck="false" placeholder="Name";
                input name="password" type="password" required autocomplete="current-password"
                    aria-label="Password" placeholder="Password";
                button type="submit" { "Sign in" }
            }
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
