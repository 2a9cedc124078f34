//! What a person sees when something does not work: what happened, and a way on.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::html;

use crate::html::layout::{Live, Page, Place};
use crate::session;
use crate::upstream::UpstreamError;

/// A page instead of the one that was asked for.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    title: String,
    words: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, title: &str, words: impl Into<String>) -> Self {
        Self { status, title: title.to_owned(), words: words.into() }
    }

    /// No such thing, or nothing this person may see; the two are not told apart.
    pub(crate) fn not_found(what: &str) -> Self {
        let words = format!(
            "There is no such {what}, or you may not see it. It may have been removed since this link was made."
        );
        Self::new(StatusCode::NOT_FOUND, &format!("No such {what}"), words)
    }

    /// Something that is there, and cannot be shown.
    pub(crate) fn unreadable(what: &str) -> Self {
        let words = format!("What is kept of this {what} cannot be read, so it is not shown.");
        Self::new(StatusCode::BAD_GATEWAY, "Not readable", words)
    }

    /// Something that was asked for and is not done, in the API's words or our own.
    pub(crate) fn refused(words: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "That was refused", words)
    }

    /// A form that did not come from one of our pages of this session.
    pub(crate) fn stale_form() -> Self {
        let words = "This form was not from your present session, so nothing was changed. Go back, reload the page and try again.";
        Self::new(StatusCode::FORBIDDEN, "Nothing was changed", words)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let page = Page {
            title: &self.title,
            place: Place::Outside,
            live: Live::No,
            person: None,
            body: html! {
                div.narrow {
                    h1 { (self.title) }
                    p.lead { (self.words) }
                    p { a.button href="/" { "Go to Services" } }
                }
            },
        };
        (self.status, page.render()).into_response()
    }
}

/// Why a signed-in person gets no page: the session is over, or there is a problem.
#[derive(Debug)]
pub(crate) enum NoPage {
    /// The API does not know the session's token any more.
    SignedOut {
        /// For the cookie's name.
        tls: bool,
    },
    /// A page that says what happened.
    Problem(Problem),
}

impl NoPage {
    /// Of an API call that failed; `what` names the thing asked for.
    pub(crate) fn of(error: UpstreamError, what: &str, tls: bool) -> Self {
        let problem = match error {
            UpstreamError::SignedOut => return Self::SignedOut { tls },
            UpstreamError::NotFound => Problem::not_found(what),
            UpstreamError::Refused(words) => {
                Problem::new(StatusCode::FORBIDDEN, "That was refused", words)
            }
            UpstreamError::Unavailable(words) => {
                tracing::warn!(error = %words, "the API did not answer the dashboard");
                let words = format!("The API did not answer: {words}. Reload in a moment.");
                Problem::new(StatusCode::BAD_GATEWAY, "Wharf cannot answer right now", words)
            }
        };
        Self::Problem(problem)
    }
}

impl From<Problem> for NoPage {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl IntoResponse for NoPage {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => problem.into_response(),
            Self::SignedOut { tls } => {
                let mut response = Redirect::to("/sign-in?over=1").into_response();
                let clear: HeaderValue = session::clear_cookie(tls);
                response.headers_mut().insert(header::SET_COOKIE, clear);
                response
            }
        }
    }
}
