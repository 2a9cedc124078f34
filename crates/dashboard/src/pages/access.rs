//! Who may enter a service: each port in words, whom it was opened to, and what somebody else would get.

use std::collections::HashMap;

use axum::Form;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};
use client::{Holder, MayOpen};
use maud::{Markup, html};
use model::visitors::Visitors;
use model::{Access, ContainerPort, Link, LinkUuid, RequestUuid, UserUuid};
use serde::Deserialize;

use super::invitations;
use super::problem::{NoPage, Problem};
use super::service::{Asked, Tab, framed, load, request_uuid};
use super::signed_in::SignedIn;
use super::visitors;
use crate::app::App;
use crate::html::layout::Live;
use crate::html::parts;
use crate::upstream::UpstreamError;
use crate::view::service::Service;

#[derive(Deserialize, Default)]
pub(crate) struct AccessQuery {
    /// A host name that the launch could not have.
    name: Option<String>,
    /// About whom it is asked what they would get, and at which port.
    who: Option<String>,
    port: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct AddForm {
    form_token: String,
    who: String,
    /// Empty for every port.
    #[serde(default)]
    port: String,
}

#[derive(Deserialize)]
pub(crate) struct RemoveForm {
    form_token: String,
    link: String,
}

/// What stands on the page besides the records of the service.
#[derive(Default)]
pub(super) struct Said {
    /// Above everything.
    notice: Option<String>,
    /// What was typed into the form of those who are added, and what is wrong with it.
    wrong: Option<(String, String)>,
    /// About whom it was asked, and what they would get.
    answer: Option<(String, Result<MayOpen, String>)>,
    pub(super) invitations: invitations::Shown,
    visitors: Option<(Visitors, HashMap<UserUuid, String>)>,
}

pub(crate) async fn page(
    Asked { me, service }: Asked,
    Query(query): Query<AccessQuery>,
) -> Result<Response, NoPage> {
    let holders = holders(&me, &service).await?;
    let notice = query.name.map(|name| format!("The service was launched, but not under the host name {name}: somebody has it, or it is reserved. Choose another below."));
    let answer = match (query.who, query.port) {
        (Some(who), Some(port)) if !who.trim().is_empty() => {
            let answer = would_get(&me, &service, holders.clone(), &who, &port).await;
            Some((who, answer))
        }
        _ => None,
    };
    let said = Said { notice, answer, ..Said::default() };
    show(&me, &service, holders, said).await
}

/// The page with what is to be said, and the invitations as they are.
pub(super) async fn show(
    me: &SignedIn,
    service: &Service,
    holders: Vec<Holder>,
    mut said: Said,
) -> Result<Response, NoPage> {
    if shares(me, service) {
        said.invitations.load(me, service).await?;
        said.visitors = Some(visitors::load(me, service).await);
    }
    Ok(render(me, service, &holders, &said))
}

/// Opens a port, or every port, to a person or a group.
pub(crate) async fn add(
    State(app): State<App>,
    me: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<AddForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let uuid = request_uuid(&uuid)?;
    let service = load(&app, &me, uuid).await?;
    let port = match form.port.as_str() {
        "" => None,
        port => Some(ContainerPort::parse(port).map_err(|_no_port| Problem::not_found("port"))?),
    };
    let holders = holders(&me, &service).await?;
    let words = match Holder::find(holders.clone(), &form.who) {
        Err(words) => words,
        Ok(holder) => match me.api.client.open_port_to(uuid, port, holder.uuid()).await {
            Ok(_link) => {
                return Ok(Redirect::to(&format!("/services/{uuid}/access")).into_response());
            }
            Err(error) => match error.into() {
                UpstreamError::Refused(words) => words,
                other => return Err(me.no_page(other, "service")),
            },
        },
    };
    let said = Said { wrong: Some((form.who, words)), ..Said::default() };
    let mut response = show(&me, &service, holders, said).await?;
    *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
    Ok(response)
}

/// Takes access back; whoever is connected under it is cut off.
pub(crate) async fn remove(
    me: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<RemoveForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let uuid = request_uuid(&uuid)?;
    let link = LinkUuid::parse(&form.link).map_err(|_not_one| Problem::not_found("access"))?;
    gone(&me, uuid, "access", me.api.client.delete_link(link).await)
}

/// Back to the page after something was to end; gone already is what was asked for.
pub(super) fn gone(
    me: &SignedIn,
    uuid: RequestUuid,
    what: &'static str,
    ended: Result<(), client::ClientError>,
) -> Result<Response, NoPage> {
    match ended.map_err(UpstreamError::from) {
        Ok(()) | Err(UpstreamError::NotFound) => {
            Ok(Redirect::to(&format!("/services/{uuid}/access")).into_response())
        }
        Err(error) => Err(me.no_page(error, what)),
    }
}

/// Whom the person who looks could open it to; nobody where that is not theirs to say.
pub(super) async fn holders(me: &SignedIn, service: &Service) -> Result<Vec<Holder>, NoPage> {
    if !shares(me, service) {
        return Ok(Vec::new());
    }
    me.api.holders().await.map_err(|error| me.no_page(error, "list of people"))
}

/// Whether it is for the person who looks to say who may enter; the API has the last word.
fn shares(me: &SignedIn, service: &Service) -> bool {
    service.mine || me.user.is_admin
}

async fn would_get(
    me: &SignedIn,
    service: &Service,
    holders: Vec<Holder>,
    who: &str,
    port: &str,
) -> Result<MayOpen, String> {
    let Holder::Person(user) = Holder::find(holders, who)? else {
        return Err("a group is asked about by one of the people in it".to_owned());
    };
    let port = ContainerPort::parse(port).map_err(|error| error.to_string())?;
    let answer = me.api.client.may_open(service.request.uuid, port, user.uuid).await;
    answer.map_err(|error| error.to_string())
}

fn render(me: &SignedIn, service: &Service, holders: &[Holder], said: &Said) -> Response {
    let uuid = service.request.uuid;
    let any_public = service.ports.iter().any(|port| port.access == Access::Public);
    let any_private = service.ports.iter().any(|port| port.access == Access::Private);
    let form_token = &me.session.form_token;
    let body = html! {
        @if let Some(notice) = &said.notice { p.notice role="alert" { (notice) } }
        section aria-labelledby="who-title" {
            h2 #who-title { "Who may enter" }
            @if any_public {
                p.notice { strong { "A port of this service is public: " } "everyone who has its address is in, without signing in." }
            }
            @if service.ports.is_empty() { p.note { "It publishes no port, so there is nothing to enter." } }
            @else { (ports_table(service)) }
            p.note { "A private port opens for who submitted the request, for those whom that person opened it to, and for administrators. Whether a port is public is part of a request and does not change while it runs: "
                a href=(format!("/launch?from={uuid}")) { "duplicate it" } " to choose anew." }
        }
        @if any_private && shares(me, service) {
            (opened_to(service, holders, form_token, said))
            (invitations::section(service, form_token, &said.invitations))
            (what_would(service, said))
        }
        @if let Some((seen, people)) = &said.visitors { (visitors::section(seen, people)) }
        (host_names(service, form_token))
        (from_a_program(service))
        datalist #holders {
            @for holder in holders {
                @match holder {
                    Holder::Person(user) if !user.email.is_empty() => option value=(user.email) { (holder.name()) },
                    _ => option value=(holder.name()) {},
                }
            }
        }
    };
    framed(me, service, Tab::Access, Live::Page, &body)
}

fn ports_table(service: &Service) -> Markup {
    html! {
        div.table-box {
            table {
                thead { tr { th scope="col" { "Port" } th scope="col" { "Label" } th scope="col" { "Who" } th scope="col" { "Address" } } }
                tbody {
                    @for port in &service.ports {
                        tr {
                            td { (port.number) }
                            th scope="row" { (port.label) }
                            td { (parts::access(port)) }
                            td {
                                @match &port.address {
                                    Some(address) => { (parts::copyable(&address.initial(&port.initial_path), address.shown())) }
                                    None => "not before it runs"
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn opened_to(service: &Service, holders: &[Holder], form_token: &str, said: &Said) -> Markup {
    let uuid = service.request.uuid;
    let names: HashMap<&str, String> =
        holders.iter().map(|holder| (holder.uuid(), holder.name())).collect();
    html! {
        section aria-labelledby="opened-title" {
            h2 #opened-title { "Opened to" }
            @if service.access.is_empty() { p.note { "Nobody yet besides you and administrators." } }
            @else {
                ul.rows {
                    @for link in &service.access { (opened_row(service, link, &names, form_token)) }
                }
            }
            @if let Some((_, wrong)) = &said.wrong { p.notice #wrong role="alert" { (wrong) } }
            form.inline method="post" action=(format!("/services/{uuid}/access")) {
                (parts::form_token(form_token))
                label { span { "Person or group" }
                    input name="who" required list="holders" autocomplete="off" autocapitalize="none" spellcheck="false"
                        placeholder="ada@example.com" value=[said.wrong.as_ref().map(|(who, _)| who)]
                        aria-describedby=[said.wrong.as_ref().map(|_| "wrong")] aria-invalid=[said.wrong.as_ref().map(|_| "true")];
                }
                label { span { "Port" }
                    select name="port" {
                        option value="" { "Every port" }
                        @for port in private(service) { option value=(port.number) { (port.number) " · " (port.label) } }
                    }
                }
                button type="submit" { "Open to them" }
            }
            p.note { "They see the service under Shared and read its request. Taking it back cuts off whoever is connected." }
        }
    }
}

pub(super) fn private(service: &Service) -> impl Iterator<Item = &crate::view::service::Port> {
    service.ports.iter().filter(|port| port.access == Access::Private)
}

fn opened_row(
    service: &Service,
    link: &Link,
    names: &HashMap<&str, String>,
    form_token: &str,
) -> Markup {
    let tail = link.tail_uuid.as_deref().unwrap_or_default();
    let name = names.get(tail).map_or(tail, String::as_str);
    html! {
        li.row {
            span.row-name { (name) }
            p.state { span.since {
                @match link.port() { Some(port) => { "may open port " (port) } None => "may open every port" }
            } }
            form method="post" action=(format!("/services/{}/access/remove", service.request.uuid)) {
                (parts::form_token(form_token))
                input type="hidden" name="link" value=(link.uuid);
                button.plain type="submit" { "Take back" span.unseen { " from " (name) } }
            }
        }
    }
}

fn what_would(service: &Service, said: &Said) -> Markup {
    html! {
        section aria-labelledby="would-title" {
            h2 #would-title { "What would somebody get?" }
            form.inline method="get" action=(format!("/services/{}/access", service.request.uuid)) {
                label { span { "Person" }
                    input name="who" required list="holders" autocomplete="off" autocapitalize="none" spellcheck="false"
                        value=[said.answer.as_ref().map(|(who, _)| who)];
                }
                label { span { "Port" }
                    select name="port" {
                        @for port in &service.ports { option value=(port.number) { (port.number) " · " (port.label) } }
                    }
                }
                button.plain type="submit" { "Ask" }
            }
            @if let Some((who, answer)) = &said.answer {
                p.notice role="status" {
                    @match answer {
                        Ok(MayOpen { may_open: true, why }) => { strong { (who) " gets in: " } (why) "." }
                        Ok(MayOpen { may_open: false, why }) => { strong { (who) " is refused with 403: " } (why) "." }
                        Err(words) => (words),
                    }
                }
            }
        }
    }
}

fn host_names(service: &Service, form_token: &str) -> Markup {
    let uuid = service.request.uuid;
    html! {
        section aria-labelledby="names-title" {
            h2 #names-title { "Host names" }
            @if service.host_names.is_empty() {
                p { "None. A host name is an address people remember; it can be moved to another service later." }
            } @else {
                ul.plain {
                    @for link in &service.host_names {
                        li { strong { (link.name) } @if let Some(port) = link.port() { " leads to port " (port) } }
                    }
                }
            }
            @if !service.state.is_over() && !service.ports.is_empty() {
                form.inline method="post" action="/host-names/set" {
                    (parts::form_token(form_token))
                    input type="hidden" name="back" value=(uuid);
                    label { span { "New host name" }
                        input name="name" required maxlength="63" autocomplete="off" autocapitalize="none" spellcheck="false" placeholder="jupyter";
                    }
                    label { span { "Port" }
                        select name="target" {
                            @for port in &service.ports { option value=(format!("{uuid} {}", port.number)) { (port.number) " · " (port.label) } }
                        }
                    }
                    button type="submit" { "Add" }
                }
            }
        }
    }
}

fn from_a_program(service: &Service) -> Markup {
    html! {
        @if let Some(first) = private(service).next() && let Some(address) = &first.address {
            section aria-labelledby="program-title" {
                h2 #program-title { "From a program" }
                p { "Any HTTP client enters a private port with your API token:" }
                (parts::command(&format!("curl -H \"Authorization: Bearer $ARVADOS_API_TOKEN\" \\\n  {}", address.initial(&first.initial_path))))
                p { "And any TCP client by a port of its own machine:" }
                (parts::command(&format!("wharf forward {} {}", service.request.uuid, first.number)))
            }
        }
    }
}
