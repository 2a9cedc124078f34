//! The extractor that every page behind the sign-in begins with.

use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::Markup;
use model::User;

use super::problem::{NoPage, Problem};
use crate::app::App;
use crate::config::Transport;
use crate::html::layout::{Live, Page, Person, Place, respond};
use crate::session::Session;
use crate::upstream::{Upstream, UpstreamError};

/// A signed-in person and the API as that person sees it.
pub(crate) struct SignedIn {
    pub(crate) user: User,
    pub(crate) api: Upstream,
    pub(crate) session: Session,
    pub(crate) tls: bool,
}

impl FromRequestParts<App> for SignedIn {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let tls = tls(parts);
        let found = app.0.sealer.find(&parts.headers, tls, App::now_seconds());
        let Some(session) = found else { return Err(to_sign_in(parts)) };
        let api = Upstream::of(&app.0.client, &session.token);
        let user =
            api.me().await.map_err(|error| NoPage::of(error, "account", tls).into_response())?;
        Ok(Self { user, api, session, tls })
    }
}

impl SignedIn {
    /// What to answer when an API call failed.
    pub(crate) fn no_page(&self, error: UpstreamError, what: &str) -> NoPage {
        NoPage::of(error, what, self.tls)
    }

    /// Lets a change through only with this session's form token.
    pub(crate) fn check_form(&self, form_token: &str) -> Result<(), Problem> {
        if self.session.accepts_form(form_token) { Ok(()) } else { Err(Problem::stale_form()) }
    }

    /// A page for this person.
    pub(crate) fn page(&self, title: &str, place: Place, live: Live, body: Markup) -> Response {
        let name = self.user.full_name();
        let name = if name.trim().is_empty() { self.user.email.clone() } else { name };
        let person = Some(Person { name: &name, is_admin: self.user.is_admin });
        respond(Page { title, place, live, person, body }.render())
    }
}

/// Whether the request came over TLS, as the listener says.
pub(crate) fn tls(parts: &Parts) -> bool {
    parts.extensions.get::<Transport>().is_some_and(|transport| transport.tls)
}

/// The way to sign in and back here. Only pages are come back to: a change is not repeated.
fn to_sign_in(parts: &Parts) -> Response {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    if !reads || path == "/" || path == "/events" {
        return Redirect::to("/sign-in").into_response();
    }
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("next", path).finish();
    Redirect::to(&format!("/sign-in?{query}")).into_response()
}
