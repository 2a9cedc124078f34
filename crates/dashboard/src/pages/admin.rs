//! Admin: how the site does, who waits and why, machines, storage, users, images.

pub(crate) mod cordon;
mod machine;

use std::collections::HashMap;

use axum::http::StatusCode;
use axum::response::Response;
use client::{ImageSummary, ListQuery, QueueEntry, ServerStatus};
use futures_util::future::{try_join, try_join4};
use maud::{Markup, html};
use model::metrics::RecentUsage;
use model::{ContainerRequest, Timestamp, User};

use super::problem::{NoPage, Problem};
use super::signed_in::SignedIn;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::upstream::REQUESTS_MAX;
use crate::view::size;

/// Entries of the log of records that are shown.
const ENTRIES_MAX: u32 = 12;
/// Images that are built alike each time say 1970.
const YEAR_S: i64 = 366 * 24 * 60 * 60;

pub(crate) async fn page(me: SignedIn) -> Result<Response, NoPage> {
    if !me.user.is_admin {
        let words = "Only administrators look after the site. Your services are on the first page.";
        return Err(Problem::new(StatusCode::FORBIDDEN, "For administrators", words).into());
    }
    let client = &me.api.client;
    let live = ListQuery::newest_first()
        .filter("state", "=", "Committed")
        .limit(u32::try_from(REQUESTS_MAX).unwrap_or(u32::MAX));
    let records = try_join4(
        client.status(),
        client.list_users(),
        client.list_images(),
        client.list_requests(&live),
    );
    let machine = try_join(client.site(), client.list_log_entries(&[], ENTRIES_MAX));
    let all = try_join(Box::pin(records), Box::pin(machine)).await;
    let ((status, users, images, live), (site, entries)) =
        all.map_err(|error| me.no_page(error.into(), "state of the site"))?;
    let usage = me.api.recent_usage().await;
    let now = App::now();
    let body = html! {
        div.title { h1 { "Admin" } p.counts { "Wharf " (status.version) ", cluster " (status.cluster_id) } }
        div #admin data-live {
            (figures(&status, usage.values()))
            (machine::nodes(&site, &users, &me.session.form_token, &now))
            (queue(&status.queue, &live.items))
            (machine::storage(&site, &now))
            (machine::proxy(&site.proxy, &now))
            (machine::entries(&entries, &users, &now))
        }
        (user_table(&users, &live.items))
        (image_table(&images, &now))
        (machine::config(&site.config))
    };
    Ok(me.page("Admin", Place::Admin, Live::Events, body))
}

/// What runs now and what it uses; what it was promised stands with the machines.
fn figures<'u>(status: &ServerStatus, usage: impl Iterator<Item = &'u RecentUsage>) -> Markup {
    let count = |state: &str| status.containers.get(state).copied().unwrap_or(0);
    let (cores, bytes) = usage.fold((0.0, 0_u64), |(cores, bytes), of| {
        let used = of.cpu_cores.last().copied().flatten().unwrap_or_default();
        let held = of.memory_bytes.last().copied().flatten().unwrap_or_default();
        (cores + used, bytes.saturating_add(held))
    });
    let figures = [
        ("Running", count("Running").to_string()),
        ("Starting", count("Locked").to_string()),
        ("Queued", count("Queued").to_string()),
        ("CPUs used", format!("{cores:.1}")),
        ("Memory used", size::words(bytes)),
    ];
    html! {
        dl.figures { @for (word, figure) in figures { div { dt { (word) } dd { (figure) } } } }
    }
}

fn queue(queue: &[QueueEntry], live: &[ContainerRequest]) -> Markup {
    let of: HashMap<_, _> =
        live.iter().filter_map(|request| Some((request.container_uuid?, request))).collect();
    html! {
        section aria-labelledby="queue-title" {
            h2 #queue-title { "Queue" }
            @if queue.is_empty() { p.note { "Nobody waits." } }
            @else {
                ol.rows {
                    @for entry in queue {
                        li.row {
                            span.n { (entry.place.unwrap_or(0)) }
                            @match of.get(&entry.container_uuid) {
                                Some(request) => a.row-name href=(format!("/services/{}", request.uuid)) { (name_of(request)) },
                                None => span.row-name { code { (entry.container_uuid) } },
                            }
                            span.since { (entry.reason.as_deref().unwrap_or("waits for its turn")) }
                        }
                    }
                }
            }
        }
    }
}

fn name_of(request: &ContainerRequest) -> &str {
    match request.name.trim() {
        "" => request.uuid.as_str(),
        name => name,
    }
}

fn user_table(users: &[User], live: &[ContainerRequest]) -> Markup {
    let n_of = |user: &User| {
        live.iter()
            .filter(|request| request.modified_by_user_uuid == user.uuid && request.priority > 0)
            .count()
    };
    html! {
        section aria-labelledby="users-title" {
            h2 #users-title { "Users" }
            div.table-box {
                table {
                    thead { tr { th scope="col" { "Name" } th scope="col" { "User name" } th scope="col" { "Mail" } th scope="col" { "Rights" } th.number scope="col" { "Running" } } }
                    tbody {
                        @for user in users {
                            tr {
                                th scope="row" { (user.full_name()) }
                                td { (user.username) }
                                td { (user.email) }
                                td { @if !user.is_active { "not active" } @else if user.is_admin { "administrator" } @else { "ordinary user" } }
                                td.number { (n_of(user)) }
                            }
                        }
                    }
                }
            }
            (parts::command("wharf user create NAME"))
        }
    }
}

fn image_table(images: &[ImageSummary], now: &Timestamp) -> Markup {
    let total: u64 = images.iter().map(|image| image.size_bytes).sum();
    html! {
        section aria-labelledby="images-title" {
            h2 #images-title { "Images" }
            @if images.is_empty() { p.note { "There is none yet." } }
            @else {
                div.table-box {
                    table {
                        thead { tr { th scope="col" { "Name" } th scope="col" { "Digest" } th.number scope="col" { "Size" } th scope="col" { "Made" } } }
                        tbody {
                            @for image in images {
                                tr {
                                    th scope="row" { @if image.names.is_empty() { "without a name" } @else { (image.names.join(", ")) } }
                                    td { code title=(image.id) { (image.id.chars().take(19).collect::<String>()) } }
                                    td.number { (size::words(image.size_bytes)) }
                                    td { @match image.created.as_ref().filter(|at| at.as_jiff().as_second() >= YEAR_S) { Some(at) => { (parts::ago(at, now)) } None => "not said" } }
                                }
                            }
                        }
                    }
                }
                p.note { (size::words(total)) " in all, unpacked; layers that images share count once each." }
            }
            (parts::command("wharf image import FILE --name NAME:TAG"))
        }
    }
}
