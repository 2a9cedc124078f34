//! Extend: a service that would end by itself goes on for some time.

use axum::Form;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use client::ContainerLife;
use maud::{Markup, html};
use model::Timestamp;
use model::life::{NOTICE, parse_duration};
use serde::Deserialize;

use super::problem::{NoPage, Problem};
use super::service::request_uuid;
use super::signed_in::SignedIn;
use crate::html::parts;
use crate::view::service::Service;

/// What can be chosen, in the words that it is sent in.
const LENGTHS: [&str; 4] = ["1 h", "2 h", "8 h", "1 d"];
/// What is chosen to begin with.
const LENGTH: &str = "2 h";

#[derive(Deserialize)]
pub(crate) struct ExtendForm {
    form_token: String,
    #[serde(rename = "for")]
    length: String,
}

pub(crate) async fn extend(
    me: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<ExtendForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let uuid = request_uuid(&uuid)?;
    let length = parse_duration(&form.length).map_err(Problem::refused)?;
    let extended = me.api.client.extend(uuid, length).await;
    extended.map_err(|error| me.no_page(error.into(), "service"))?;
    Ok(Redirect::to(&format!("/services/{uuid}")).into_response())
}

/// When it was last used and when it ends by itself, and how to put that off.
pub(super) fn life(service: &Service, form_token: &str, now: &Timestamp) -> Markup {
    let Some(life) = service.life.as_ref().filter(|_| service.state.can_stop()) else {
        return html! {};
    };
    let is_near = is_told(service);
    html! {
        @if life.stops_at.is_some() {
            div.life.notice[is_near] role=[is_near.then_some("status")] {
                p { (sentence(life, now)) @if is_near { " What it has not saved is lost then." } }
                @if service.may_write { form.extend method="post" action=(format!("/services/{}/extend", service.request.uuid)) {
                    (parts::form_token(form_token))
                    label { span { "Go on for" } " "
                        select name="for" {
                            @for length in LENGTHS { option value=(length) selected[length == LENGTH] { (length) } }
                        }
                    }
                    button.plain type="submit" { "Extend" }
                } }
            }
        } @else if life.last_used_at.is_some() { p.life { (sentence(life, now)) } }
    }
}

/// `Last used 3 min ago, stops in 2 h if nobody uses it.`
fn sentence(life: &ContainerLife, now: &Timestamp) -> Markup {
    html! {
        span {
            @if let Some(at) = &life.last_used_at { "Last used " (parts::ago(at, now)) }
            @if let Some(at) = &life.stops_at {
                ", stops in " (parts::until(at, now))
                @if life.ends_for_want_of_use() { " if nobody uses it" } @else { ", at the end of its maximum life" }
            }
            "."
        }
    }
}

/// Whether its end was told, as it is near.
pub(super) fn is_told(service: &Service) -> bool {
    let container = service.container.as_ref();
    let told = container.and_then(|it| it.runtime_status.get("warning")).and_then(|it| it.as_str());
    service.state.can_stop() && told.is_some_and(|words| words.starts_with(NOTICE))
}

/// What the list says of one whose end is near.
pub(super) fn near(service: &Service) -> Markup {
    html! {
        @if is_told(service) && service.may_write {
            p.why-line { a href=(format!("/services/{}", service.request.uuid)) { "Stops soon: extend" span.unseen { " " (service.name()) } } }
        }
    }
}
