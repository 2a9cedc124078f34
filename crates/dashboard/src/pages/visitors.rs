//! Who is connected, who was, and who was refused, on the page of who may enter.

use std::collections::HashMap;

use maud::{Markup, html};
use model::UserUuid;
use model::visitors::{Visit, Visitors};

use super::signed_in::SignedIn;
use crate::app::App;
use crate::html::parts;
use crate::view::service::Service;

/// What the controllers have seen, with the names of those whom it saw; nothing where it is not for this person to know.
pub(super) async fn load(
    me: &SignedIn,
    service: &Service,
) -> (Visitors, HashMap<UserUuid, String>) {
    // A page without its visitors is better than no page.
    let seen = me.api.client.visitors(service.request.uuid).await.unwrap_or_default();
    let people = if seen.visits.is_empty() { HashMap::new() } else { me.api.people().await };
    (seen, people)
}

pub(super) fn section(seen: &Visitors, people: &HashMap<UserUuid, String>) -> Markup {
    let n_open: u64 = seen.visits.iter().map(|visit| visit.n_open).sum();
    html! {
        section aria-labelledby="visitors-title" #visitors {
            h2 #visitors-title { "Visitors" }
            p { strong { (n_open) @if n_open == 1 { " open connection" } @else { " open connections" } } " now. " }
            @if seen.n_silent > 0 { p.notice { "Another controller of this site does not answer: what goes through it is missing here." } }
            @if seen.visits.is_empty() { p.note { "Nobody came in yet, as far as Wharf has seen since it started." } }
            @else {
                div.table-box { table {
                    thead { tr { th scope="col" { "Who" } th scope="col" { "Port" } th scope="col" { "From" } th scope="col" { "Last" } th scope="col" { "Requests" } th scope="col" { "Open" } } }
                    tbody { @for visit in &seen.visits { (row(visit, people)) } }
                } }
            }
            @if !seen.refused.is_empty() {
                h3 { "Refused" }
                ul.plain {
                    @for refused in &seen.refused {
                        li { (refused.address) " at port " (refused.port) ": " (refused.why) ", "
                            (refused.n) @if refused.n == 1 { " time, " } @else { " times, last " } (parts::ago(&refused.last, &App::now())) }
                    }
                }
            }
        }
    }
}

fn row(visit: &Visit, people: &HashMap<UserUuid, String>) -> Markup {
    html! {
        tr {
            th scope="row" {
                @match (&visit.user_uuid, &visit.guest_uuid) {
                    (Some(user), _) => (people.get(user).map_or(user.as_str(), String::as_str)),
                    (None, Some(_)) => "A guest",
                    (None, None) => "Anyone",
                }
            }
            td { (visit.port) }
            td { (visit.address) }
            td { (parts::ago(&visit.last, &App::now())) }
            td { (visit.n_requests) }
            td { (visit.n_open) }
        }
    }
}
