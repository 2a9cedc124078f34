//! Host names: which name leads where, set, move, remove.

use axum::Form;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::{Markup, html};
use model::{ContainerPort, Link, LinkUuid, RequestUuid};
use serde::Deserialize;

use super::problem::{NoPage, Problem};
use super::signed_in::SignedIn;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::upstream::UpstreamError;
use crate::view::address::is_label;
use crate::view::service::Service;

#[derive(Deserialize)]
pub(crate) struct SetForm {
    form_token: String,
    name: String,
    /// `<request uuid> <port>`.
    target: String,
    /// The service page that the form is on, else the list.
    #[serde(default)]
    back: String,
    /// Given once somebody was told what moving it ends.
    #[serde(default)]
    move_it: String,
}

#[derive(Deserialize)]
pub(crate) struct RemoveForm {
    form_token: String,
    uuid: String,
}

#[derive(Deserialize)]
pub(crate) struct RemoveQuery {
    name: String,
}

pub(crate) async fn page(State(app): State<App>, me: SignedIn) -> Result<Response, NoPage> {
    let names = me.api.host_names().await.map_err(|error| me.no_page(error, "list"))?;
    render(&app, &me, &names, None, "").await
}

/// The list, with what went wrong above the form and the name still in it.
async fn render(
    app: &App,
    me: &SignedIn,
    names: &[Link],
    wrong: Option<&str>,
    typed: &str,
) -> Result<Response, NoPage> {
    let records = me.api.services().await.map_err(|error| me.no_page(error, "list of services"))?;
    let services = records.put_together(&app.0.config.service_domain, &me.user);
    let body = html! {
        div.title { h1 { "Host names" } }
        p.lead { "A host name is an address people remember. It leads to one port of one service and can be moved to the next one without anybody noticing." }
        @if names.is_empty() { p.note { "You have none yet." } }
        @else {
            ul.rows {
                @for link in names { (row(app, link, &services)) }
            }
        }
        section aria-labelledby="set-title" {
            h2 #set-title { "Set a host name" }
            @if let Some(wrong) = wrong { p.notice #wrong role="alert" { (wrong) } }
            (set_form(me, &services, typed, wrong.is_some()))
        }
    };
    let mut response = me.page("Host names", Place::HostNames, Live::No, body);
    if wrong.is_some() {
        *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    }
    Ok(response)
}

fn row(app: &App, link: &Link, services: &[Service]) -> Markup {
    let target =
        services.iter().find(|s| link.head_uuid.as_deref() == Some(s.request.uuid.as_str()));
    let query =
        form_urlencoded::Serializer::new(String::new()).append_pair("name", &link.name).finish();
    html! {
        li.row {
            span.row-name {
                @if app.0.config.service_domain.is_wildcard() && is_label(&link.name) {
                    (parts::host_name(&app.0.config.service_domain.host_of(&link.name)))
                } @else { (link.name) }
            }
            p.state {
                span.since {
                    "leads to "
                    @if let Some(port) = link.port() { "port " (port) " of " }
                    @match target {
                        Some(service) => { a href=(format!("/services/{}", service.request.uuid)) { (service.name()) } }
                        None => { (link.head_uuid.as_deref().unwrap_or("nothing")) }
                    }
                }
                @if let Some(service) = target { (parts::chip(&service.state)) }
            }
            a.quiet href=(format!("/host-names/remove?{query}")) { "Remove" span.unseen { " " (link.name) } }
        }
    }
}

fn set_form(me: &SignedIn, services: &[Service], typed: &str, wrong: bool) -> Markup {
    let targets: Vec<&Service> =
        services.iter().filter(|s| !s.state.is_over() && !s.ports.is_empty()).collect();
    html! {
        @if targets.is_empty() {
            p.note { "Nothing runs that publishes a port, so there is nothing to lead to." }
        } @else {
            form.inline method="post" action="/host-names/set" {
                (parts::form_token(&me.session.form_token))
                label { span { "Name" }
                    input name="name" value=(typed) required maxlength="63" autocomplete="off" autocapitalize="none"
                        spellcheck="false" placeholder="jupyter" aria-describedby=[wrong.then_some("wrong")] aria-invalid=[wrong.then_some("true")];
                }
                label { span { "Leads to" }
                    select name="target" {
                        @for service in targets {
                            @for port in &service.ports {
                                option value=(format!("{} {}", service.request.uuid, port.number)) {
                                    (service.name()) ", port " (port.number) " (" (port.label) ")"
                                }
                            }
                        }
                    }
                }
                button type="submit" { "Set" }
            }
        }
    }
}

pub(crate) async fn set(
    State(app): State<App>,
    me: SignedIn,
    Form(form): Form<SetForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let name = form.name.trim().to_ascii_lowercase();
    let (request, port) = target(&form.target)?;
    if form.move_it.is_empty()
        && let Some(question) = ask_to_move(&me, &name, &form, request).await?
    {
        return Ok(question);
    }
    match me.api.set_host_name(&name, request, port).await {
        Ok(()) if form.back == request.as_str() => {
            Ok(Redirect::to(&format!("/services/{request}/access")).into_response())
        }
        Ok(()) => Ok(Redirect::to("/host-names").into_response()),
        Err(UpstreamError::Refused(words)) => {
            let names = me.api.host_names().await.map_err(|error| me.no_page(error, "list"))?;
            render(&app, &me, &names, Some(&words), &form.name).await
        }
        Err(error) => Err(me.no_page(error, "service")),
    }
}

/// Where the name leads to another service now: a page that says what moving it ends.
async fn ask_to_move(
    me: &SignedIn,
    name: &str,
    form: &SetForm,
    to: RequestUuid,
) -> Result<Option<Response>, NoPage> {
    let link = me.api.host_name(name).await.map_err(|error| me.no_page(error, "host name"))?;
    let head = link.and_then(|link| RequestUuid::parse(link.head_uuid.as_deref()?).ok());
    let Some(from) = head.filter(|from| *from != to) else { return Ok(None) };
    // Of a service that is another's to manage, who is connected is not told.
    let seen = me.api.client.visitors(from).await.ok();
    let n_open: Option<u64> = seen.map(|seen| seen.visits.iter().map(|visit| visit.n_open).sum());
    let body = html! {
        p.trail { a href="/host-names" { "Host names" } }
        div.narrow {
            h1 { "Move " (name) "?" }
            p { "It leads to " a href=(format!("/services/{from}")) { "another service" } " now, which goes on under its own address." }
            p { "New requests go to the new service at once. What is open through the name ends within a second: "
                @match n_open {
                    Some(0) => "nobody is connected to that service.",
                    Some(1) => "1 connection is open to that service.",
                    Some(n) => { (n) " connections are open to that service." }
                    None => "how many are connected is for its owner to see.",
                }
            }
            form.choices method="post" action="/host-names/set" {
                (parts::form_token(&me.session.form_token))
                input type="hidden" name="name" value=(name);
                input type="hidden" name="target" value=(form.target);
                input type="hidden" name="back" value=(form.back);
                input type="hidden" name="move_it" value="yes";
                button type="submit" { "Move it" }
                a.button.plain href="/host-names" { "Leave it" }
            }
        }
    };
    Ok(Some(me.page("Move a host name", Place::HostNames, Live::No, body)))
}

fn target(text: &str) -> Result<(RequestUuid, ContainerPort), Problem> {
    let wrong = || Problem::not_found("port");
    let (request, port) = text.split_once(' ').ok_or_else(wrong)?;
    let request = RequestUuid::parse(request).map_err(|_not_one| wrong())?;
    Ok((request, ContainerPort::parse(port).map_err(|_not_one| wrong())?))
}

pub(crate) async fn ask(
    me: SignedIn,
    Query(query): Query<RemoveQuery>,
) -> Result<Response, NoPage> {
    let found = me.api.host_name(&query.name).await;
    let link = found.map_err(|error| me.no_page(error, "host name"))?;
    let link = link.ok_or_else(|| Problem::not_found("host name"))?;
    let body = html! {
        p.trail { a href="/host-names" { "Host names" } }
        div.narrow {
            h1 { "Remove " (link.name) "?" }
            p { "Its address stops working at once, and anybody may then take the name. The service itself goes on under its own address." }
            form.choices method="post" action="/host-names/remove" {
                (parts::form_token(&me.session.form_token))
                input type="hidden" name="uuid" value=(link.uuid);
                button.danger type="submit" { "Remove it" }
                a.button.plain href="/host-names" { "Keep it" }
            }
        }
    };
    Ok(me.page("Remove a host name", Place::HostNames, Live::No, body))
}

pub(crate) async fn remove(me: SignedIn, Form(form): Form<RemoveForm>) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let uuid = LinkUuid::parse(&form.uuid).map_err(|_not_one| Problem::not_found("host name"))?;
    match me.api.remove_host_name(uuid).await {
        // Gone already: that is what was asked for.
        Ok(()) | Err(UpstreamError::NotFound) => Ok(Redirect::to("/host-names").into_response()),
        Err(error) => Err(me.no_page(error, "host name")),
    }
}
