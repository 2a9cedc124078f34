//! Stop: a page that asks, and the change itself.

use axum::Form;
use axum::extract::Path;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::problem::NoPage;
use super::service::{Asked, request_uuid};
use super::signed_in::SignedIn;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::view::service::Service;

#[derive(Deserialize)]
pub(crate) struct StopForm {
    pub(super) form_token: String,
}

pub(crate) async fn ask(Asked { me, service }: Asked) -> Result<Response, NoPage> {
    let uuid = service.request.uuid;
    if !service.state.can_stop() {
        return Ok(Redirect::to(&format!("/services/{uuid}")).into_response());
    }
    let body = html! {
        p.trail { a href="/" { "Services" } " / " a href=(format!("/services/{uuid}")) { (service.name()) } }
        div.narrow { (question(&service, &me.session.form_token, Heading::Page)) }
    };
    Ok(me.page("Stop a service", Place::Services, Live::No, body))
}

/// The question's heading; a page has it as its `h1`, a dialog over a page as an `h2`.
#[derive(Clone, Copy)]
pub(crate) enum Heading {
    Page,
    Dialog,
}

/// The question, for the page and for the dialog over the service's page.
pub(crate) fn question(service: &Service, form_token: &str, heading: Heading) -> Markup {
    let uuid = service.request.uuid;
    // In the dialog the safe answer has the focus; a page leaves it to the reader.
    let safe_first = matches!(heading, Heading::Dialog);
    html! {
        @match heading {
            Heading::Page => h1 #stop-title { "Stop " (service.name()) "?" },
            Heading::Dialog => h2 #stop-title { "Stop " (service.name()) "?" },
        }
        p { "Its program is asked to end and gets a little time to save. Then its addresses answer that it is over, and whoever is connected is cut off. What it kept inside the container, and did not write to " code { (service.request.output_path) } ", is lost." }
        @match service.n_sockets {
            Some(0) => p { "Nobody is connected to it now." },
            Some(1) => p { strong { "One session is open" } " (a WebSocket or a raw connection); it is cut off." },
            Some(n) => p { strong { (n) " sessions are open" } " (WebSockets and raw connections); they are cut off." },
            None => {}
        }
        form.choices method="post" action=(format!("/services/{uuid}/stop")) {
            (parts::form_token(form_token))
            button.danger type="submit" { "Stop it" }
            a.button.plain href=(format!("/services/{uuid}")) data-close autofocus[safe_first] { "Keep it running" }
        }
    }
}

pub(crate) async fn stop(
    me: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<StopForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let uuid = request_uuid(&uuid)?;
    me.api.stop(uuid).await.map_err(|error| me.no_page(error, "service"))?;
    Ok(Redirect::to(&format!("/services/{uuid}")).into_response())
}
