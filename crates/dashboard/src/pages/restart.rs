//! Restart: the same request once more, under the same host names.
//!
//! A committed request does not change, so the new run is a new one. The names move first, then the old one is stopped:
//! whoever comes meanwhile is shown the new one's start, and never an address that leads nowhere.

use axum::Form;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;

use super::problem::NoPage;
use super::service::{Asked, load, request_uuid};
use super::signed_in::SignedIn;
use super::stop::StopForm;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::view::draft::same_again;

pub(crate) async fn ask(Asked { me, service }: Asked) -> Result<Response, NoPage> {
    let uuid = service.request.uuid;
    let (title, verb) = match service.state.is_over() {
        true => ("Run again", "Run it again"),
        false => ("Restart", "Restart it"),
    };
    let names: Vec<&str> = service.host_names.iter().map(|link| link.name.as_str()).collect();
    let body = html! {
        p.trail { a href="/" { "Services" } " / " a href=(format!("/services/{uuid}")) { (service.name()) } }
        div.narrow {
            h1 { (title) " " (service.name()) "?" }
            @if !service.state.is_over() {
                p { "Its program is asked to end, and whoever is connected is cut off. What it kept inside the container is lost." }
            }
            p { "A new run of the same image, command, ports, resources and mounts begins." }
            @if names.is_empty() {
                p { "It has no host name, so the new run has an address of its own." }
            } @else {
                p { "It keeps " @if names.len() == 1 { "the host name " } @else { "the host names " } strong { (names.join(", ")) } "." }
            }
            @if !service.access.is_empty() { p { "Those whom its ports were opened to may open the new run's, too." } }
            p.note { "Secret mounts cannot be read back, so they are not kept." }
            form.choices method="post" action=(format!("/services/{uuid}/restart")) {
                (parts::form_token(&me.session.form_token))
                button type="submit" { (verb) }
                a.button.plain href=(format!("/services/{uuid}")) { "Leave it as it is" }
            }
        }
    };
    Ok(me.page("Restart a service", Place::Services, Live::No, body))
}

pub(crate) async fn restart(
    State(app): State<App>,
    me: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<StopForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let uuid = request_uuid(&uuid)?;
    let service = load(&app, &me, uuid).await?;
    let client = &me.api.client;
    let no_page = |error: client::ClientError| me.no_page(error.into(), "service");
    let new = client.create_request_of(&same_again(&service.request)).await.map_err(no_page)?;
    let copied = me.api.copy_access(&service.access, &new).await;
    copied.map_err(|error| me.no_page(error, "service"))?;
    for link in &service.host_names {
        if let Some(port) = link.port() {
            client.move_hostname(link.uuid, new.uuid, port).await.map_err(no_page)?;
        }
    }
    if service.state.can_stop() {
        client.cancel_request(uuid).await.map_err(no_page)?;
    }
    Ok(Redirect::to(&format!("/services/{}", new.uuid)).into_response())
}
