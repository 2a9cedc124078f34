//! Invitations on the page of who may enter: make one, shown once; take it back; and the guests who came in.

use axum::Form;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use client::{Invitation, NewInvitation};
use maud::{Markup, html};
use model::{ContainerPort, GuestSessionUuid, InvitationUuid};
use serde::Deserialize;

use super::access::{Said, gone, holders, private, show};
use super::problem::{NoPage, Problem};
use super::service::{load, request_uuid};
use super::signed_in::SignedIn;
use crate::app::App;
use crate::html::parts;
use crate::upstream::UpstreamError;
use crate::view::service::Service;

/// What a form may ask for, in hours.
const LIFETIMES: [(u64, &str); 5] =
    [(1, "1 hour"), (8, "8 hours"), (24, "1 day"), (168, "1 week"), (720, "30 days")];
/// Which of them stands there first.
const LIFETIME_H: u64 = 24;

/// The part of the page about invitations.
#[derive(Default)]
pub(super) struct Shown {
    all: Vec<Invitation>,
    /// The one that was just made: its addresses are never shown again.
    made: Option<Invitation>,
    /// Why none was made.
    wrong: Option<String>,
}

impl Shown {
    pub(super) async fn load(&mut self, me: &SignedIn, service: &Service) -> Result<(), NoPage> {
        let all = me.api.client.list_invitations(service.request.uuid).await;
        self.all = match all.map_err(UpstreamError::from) {
            Ok(all) => all,
            // Of somebody who writes the request and does not manage it.
            Err(UpstreamError::Refused(_)) => Vec::new(),
            Err(error) => return Err(me.no_page(error, "list of invitations")),
        };
        Ok(())
    }
}

#[derive(Deserialize)]
pub(crate) struct InviteForm {
    form_token: String,
    /// Empty for every private one.
    port: String,
    hours: u64,
    uses: u32,
    #[serde(default)]
    note: String,
}

#[derive(Deserialize)]
pub(crate) struct EndForm {
    form_token: String,
    uuid: String,
}

/// Makes an invitation; the answer is the page with its address.
pub(crate) async fn create(
    State(app): State<App>,
    me: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<InviteForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let uuid = request_uuid(&uuid)?;
    let ports = match form.port.as_str() {
        "" => Vec::new(),
        port => vec![ContainerPort::parse(port).map_err(|_no_port| Problem::not_found("port"))?],
    };
    let new = NewInvitation {
        request_uuid: uuid,
        all_ports: ports.is_empty(),
        ports,
        expires_in_s: Some(form.hours.saturating_mul(3600)),
        uses: form.uses,
        note: form.note.trim().to_owned(),
    };
    let mut said = Said::default();
    let status = match me.api.client.invite(&new).await.map_err(UpstreamError::from) {
        Ok(made) => {
            said.invitations.made = Some(made);
            StatusCode::OK
        }
        Err(UpstreamError::Refused(words)) => {
            said.invitations.wrong = Some(words);
            StatusCode::UNPROCESSABLE_ENTITY
        }
        Err(error) => return Err(me.no_page(error, "service")),
    };
    let service = load(&app, &me, uuid).await?;
    let holders = holders(&me, &service).await?;
    let mut response = show(&me, &service, holders, said).await?;
    *response.status_mut() = status;
    Ok(response)
}

/// Takes an invitation back, and cuts off who came in by it.
pub(crate) async fn revoke(
    me: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<EndForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let uuid = request_uuid(&uuid)?;
    let found = InvitationUuid::parse(&form.uuid);
    let found = found.map_err(|_not_one| Problem::not_found("invitation"))?;
    gone(&me, uuid, "invitation", me.api.client.delete_invitation(found).await)
}

/// Signs one guest out.
pub(crate) async fn sign_out(
    me: SignedIn,
    Path(uuid): Path<String>,
    Form(form): Form<EndForm>,
) -> Result<Response, NoPage> {
    me.check_form(&form.form_token)?;
    let uuid = request_uuid(&uuid)?;
    let found = GuestSessionUuid::parse(&form.uuid);
    let found = found.map_err(|_not_one| Problem::not_found("guest"))?;
    gone(&me, uuid, "invitation", me.api.client.delete_guest(found).await)
}

pub(super) fn section(service: &Service, form_token: &str, shown: &Shown) -> Markup {
    html! {
        section aria-labelledby="invitations-title" {
            h2 #invitations-title { "Invitations" }
            p.note { "A link for each port that lets whoever has it in, without an account, until it expires or you take it back." }
            @if let Some(made) = &shown.made { (addresses(service, made)) }
            @if !shown.all.is_empty() {
                ul.rows { @for invitation in &shown.all { (row(service, invitation, form_token)) } }
            }
            @if let Some(wrong) = &shown.wrong { p.notice role="alert" { (wrong) } }
            @if !service.state.is_over() { (new_form(service, form_token)) }
        }
    }
}

/// Of a new one, shown once.
fn addresses(service: &Service, made: &Invitation) -> Markup {
    let is_one = made.ports.len() == 1;
    html! {
        div.notice role="status" {
            @if is_one { p { strong { "Send this link to whom you invite. " } "It is not shown again." } }
            @else { p { strong { "Send these links to whom you invite. " } "They are not shown again." } }
            @for port in &made.ports {
                @if let Some(url) = &port.url {
                    @if !is_one { p { (label_of(service, port.port)) } }
                    (parts::command(url))
                }
            }
        }
    }
}

/// `JupyterLab`, or `port 8888` where there is no such port any more.
fn label_of(service: &Service, number: u16) -> String {
    let known = service.ports.iter().find(|port| port.number.get() == number);
    known.map_or_else(|| format!("port {number}"), |port| port.label.clone())
}

fn new_form(service: &Service, form_token: &str) -> Markup {
    html! {
        form.inline.many method="post" action=(format!("/services/{}/access/invite", service.request.uuid)) {
            (parts::form_token(form_token))
            label { span { "Port" }
                select name="port" {
                    @for port in private(service) { option value=(port.number) { (port.number) " · " (port.label) } }
                    @if private(service).nth(1).is_some() { option value="" { "Every private port" } }
                }
            }
            label { span { "For" }
                select name="hours" {
                    @for (hours, words) in LIFETIMES { option value=(hours) selected[hours == LIFETIME_H] { (words) } }
                }
            }
            label { span { "Uses" } input name="uses" type="number" min="1" value="1" required; }
            label { span { "Note" } input name="note" maxlength="200" autocomplete="off" placeholder="Review on Friday"; }
            button type="submit" { "Make a link" }
        }
    }
}

fn row(service: &Service, invitation: &Invitation, form_token: &str) -> Markup {
    let (request, now) = (service.request.uuid, App::now());
    let is_over = invitation.expires_at <= now;
    let name = if invitation.note.is_empty() { "Invitation" } else { &invitation.note };
    html! {
        li.row {
            span.row-name { (name) }
            p.state { span.since {
                @for port in &invitation.ports { (label_of(service, port.port)) " used " (port.n_used) " of " (invitation.uses_max) ", " }
                "made "
                (parts::ago(&invitation.created_at, &now))
                @if is_over { ", expired" } @else { ", until " time datetime=(invitation.expires_at) { (until(invitation)) } }
            } }
            form method="post" action=(format!("/services/{request}/access/revoke")) {
                (parts::form_token(form_token))
                input type="hidden" name="uuid" value=(invitation.uuid);
                button.plain type="submit" { "Take back" span.unseen { " " (name) } }
            }
            @for guest in &invitation.guests {
                form.guest method="post" action=(format!("/services/{request}/access/sign-out")) {
                    (parts::form_token(form_token))
                    input type="hidden" name="uuid" value=(guest.uuid);
                    span.since { "A guest from " (guest.address) ", " (parts::ago(&guest.created_at, &now)) " " }
                    button.plain type="submit" { "Sign out" span.unseen { " the guest from " (guest.address) } }
                }
            }
        }
    }
}

/// To the minute, in UTC; the page's script shows it in local time.
fn until(invitation: &Invitation) -> String {
    let text: String = invitation.expires_at.to_string().chars().take(16).collect();
    format!("{} UTC", text.replace('T', " "))
}
