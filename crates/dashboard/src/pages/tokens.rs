//! Tokens: made and shown once, revoked one by one or all together.

use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use client::NewToken;
use model::{Timestamp, TokenUuid};
use serde::Deserialize;

use super::account::{DAYS, render};
use super::problem::{NoPage, Problem};
use super::signed_in::SignedIn;
use crate::app::App;

const DAY_SECONDS: i64 = 24 * 60 * 60;

#[derive(Deserialize)]
pub(crate) struct NewTokenForm {
    form_token: String,
    /// One of [`DAYS`]; empty for no end.
    days: String,
    /// `all`, `read` or `some`.
    may: String,
    #[serde(default)]
    scopes: String,
}

#[derive(Deserialize)]
pub(crate) struct DeleteForm {
    form_token: String,
    uuid: String,
}

#[derive(Deserialize)]
pub(crate) struct PlainForm {
    form_token: String,
}

/// The answer holds the token and is kept nowhere (`no-store`); a reload asks whether to make another one.
pub(crate) async fn create(
    State(app): State<App>,
    me: SignedIn,
    Form(form): Form<NewTokenForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let new = NewToken { expires_at: end(&form.days)?, scopes: scopes(&form), owner_uuid: None };
    if new.scopes.as_ref().is_some_and(Vec::is_empty) {
        let words = "Say which calls it may make, one method and path a line.";
        return refused(&app, &me, words).await;
    }
    match me.api.client.create_token(&new).await {
        Ok((token, _record)) => render(&app, &me, Some(&token), None).await,
        Err(error) if error.status() == Some(StatusCode::UNPROCESSABLE_ENTITY) => {
            refused(&app, &me, &error.api_errors().join("; ")).await
        }
        Err(error) => Err(me.no_page(error.into(), "token")),
    }
}

async fn refused(app: &App, me: &SignedIn, words: &str) -> Result<Response, NoPage> {
    let mut response = render(app, me, None, Some(words)).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

fn end(days: &str) -> Result<Option<Timestamp>, Problem> {
    let wrong = || Problem::not_found("lifetime");
    let known = DAYS.iter().any(|(offered, _)| *offered == days);
    if !known {
        return Err(wrong());
    }
    let Ok(days) = days.parse::<i64>() else { return Ok(None) };
    let at = jiff::Timestamp::from_second(App::now_seconds() + days * DAY_SECONDS);
    at.map(|at| Some(Timestamp::from_jiff(at))).map_err(|_out_of_range| wrong())
}

fn scopes(form: &NewTokenForm) -> Option<Vec<String>> {
    match form.may.as_str() {
        "all" => None,
        "read" => Some(vec!["GET /arvados/v1/".to_owned(), "HEAD /arvados/v1/".to_owned()]),
        _ => {
            let lines = form.scopes.lines().map(str::trim).filter(|line| !line.is_empty());
            Some(lines.map(str::to_owned).collect())
        }
    }
}

pub(crate) async fn delete(me: SignedIn, Form(form): Form<DeleteForm>) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let uuid = TokenUuid::parse(&form.uuid).map_err(|_not_one| Problem::not_found("token"))?;
    match me.api.client.delete_token(uuid).await {
        Err(error) if !error.is_not_found() => Err(me.no_page(error.into(), "token")),
        // Gone already: that is what was asked for.
        _ => Ok(Redirect::to("/account").into_response()),
    }
}

/// Revokes every token of this person that has an end, but for this session's: those are sessions, here and of other
/// clients. What was made to last stays, as scripts depend on it.
pub(crate) async fn sign_out_everywhere(
    me: SignedIn,
    Form(form): Form<PlainForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let no_page = |error: client::ClientError| me.no_page(error.into(), "list of tokens");
    let tokens = me.api.client.list_tokens().await.map_err(no_page)?;
    let own = me.session.token.uuid();
    for token in tokens {
        let ends = token.owner_uuid == me.user.uuid && token.expires_at.is_some();
        if !ends || token.uuid == own {
            continue;
        }
        match me.api.client.delete_token(token.uuid).await {
            Err(error) if !error.is_not_found() => return Err(no_page(error)),
            _ => {}
        }
    }
    Ok(Redirect::to("/account").into_response())
}
