//! Services, the home page: what runs, its ports first and to click; what is over, below.

use std::collections::HashMap;

use axum::extract::{Query, State};
use axum::response::Response;
use futures_util::future::join;
use maud::{Markup, html};
use model::metrics::RecentUsage;
use model::{ContainerUuid, Timestamp, UserUuid};

use super::extend::near;
use super::problem::NoPage;
use super::signed_in::SignedIn;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::upstream::REQUESTS_MAX;
use crate::view::filter::{self, PAGE_ROWS, Wanted};
use crate::view::service::Service;

/// With more than so many, each has a row instead of a card.
const CARDS_MAX: usize = 6;

/// What every row is rendered with.
#[derive(Clone, Copy)]
struct Shown<'s> {
    now: Timestamp,
    /// Names of those whose services are among the shown ones; empty where all are one's own.
    people: &'s HashMap<UserUuid, String>,
    /// What runs used lately.
    usage: &'s HashMap<ContainerUuid, RecentUsage>,
    /// Whether several can be chosen, to be stopped together.
    choosing: bool,
}

pub(crate) async fn page(
    State(app): State<App>,
    me: SignedIn,
    Query(wanted): Query<Wanted>,
) -> Result<Response, NoPage> {
    let (records, usage) = join(Box::pin(me.api.services()), Box::pin(me.api.recent_usage())).await;
    let records = records.map_err(|error| me.no_page(error, "list of services"))?;
    let mut services = records.put_together(&app.0.config.service_domain, &me.user);
    me.api.note_writable(&mut services).await;
    let people = match services.iter().all(|service| service.mine) {
        true => HashMap::new(),
        false => me.api.people().await,
    };
    let how = Shown { now: App::now(), people: &people, usage: &usage, choosing: false };
    let body = html! {
        div.title {
            h1 { "Services" }
            a.button.end href="/launch" { "Launch a service" }
        }
        @if !services.is_empty() { (tools(&wanted, &services, me.user.is_admin)) }
        div #services data-live { (list(&wanted, services, how)) }
    };
    Ok(me.page("Services", Place::Services, Live::Events, body))
}

fn list(wanted: &Wanted, services: Vec<Service>, how: Shown<'_>) -> Markup {
    let is_new_here = services.is_empty();
    let looked_at_all = services.len() < REQUESTS_MAX;
    let in_scope: Vec<Service> = services.into_iter().filter(|it| wanted.in_scope(it)).collect();
    let counts = filter::counts(&in_scope);
    let n_live: usize = counts.iter().map(|count| count.n).sum();
    let chosen = wanted.choose(in_scope);
    let (n, page) = (chosen.len(), wanted.page_of(chosen.len()));
    let shown: Vec<&Service> = chosen.iter().skip(page * PAGE_ROWS).take(PAGE_ROWS).collect();
    let (over, live): (Vec<&Service>, Vec<&Service>) =
        shown.into_iter().partition(|service| service.state.is_over());
    let (without, with_ports): (Vec<&Service>, Vec<&Service>) =
        live.into_iter().partition(|service| service.ports.is_empty());
    let n_stoppable = with_ports.iter().chain(&without).filter(|it| it.may_stop()).count();
    let how = Shown { choosing: n_stoppable > 1, ..how };
    html! {
        @if !counts.is_empty() { (count_links(wanted, &counts)) }
        @if is_new_here { (empty()) }
        @else if n == 0 { (nothing_found(wanted)) }
        @else if n_live == 0 { (nothing_runs()) }
        form method="get" action="/stop" {
            @if !with_ports.is_empty() {
                @if with_ports.len() > CARDS_MAX {
                    ul.rows.dense aria-label="Running services" { @for service in with_ports { (dense_row(service, &how)) } }
                } @else {
                    ul.cards aria-label="Running services" { @for service in with_ports { (card(service, &how)) } }
                }
            }
            @if !without.is_empty() {
                h2 { "Running without published ports" }
                ul.rows { @for service in without { (row(service, &how)) } }
            }
            @if how.choosing { p.choose-foot { button.plain type="submit" { "Stop the chosen ones…" } } }
        }
        @if !over.is_empty() {
            h2 { "No longer running" }
            ul.rows { @for service in over { (row(service, &how)) } }
        }
        @if n > PAGE_ROWS { (pages(wanted, page, n)) }
        @if !looked_at_all { p.note { "Only the newest " (REQUESTS_MAX) " are looked at here." } }
    }
}

/// Whose services, a text to look for, and the order.
fn tools(wanted: &Wanted, services: &[Service], is_admin: bool) -> Markup {
    let n_mine = services.iter().filter(|service| service.mine).count();
    let scopes = [
        ("", "All", services.len()),
        ("mine", "Mine", n_mine),
        // Administrators see all there is, also what nobody shares.
        ("shared", if is_admin { "Of others" } else { "Shared with me" }, services.len() - n_mine),
    ];
    let orders = [
        ("", "To open first"),
        ("name", "By name"),
        ("started", "Newest start first"),
        ("state", "By state"),
    ];
    html! {
        div.tools {
            @if n_mine < services.len() {
                ul.scopes aria-label="Whose services" {
                    @for (word, text, n) in scopes {
                        li { a href=(wanted.address("scope", word)) aria-current=[(wanted.scope == word).then_some("true")] { (text) " " span.n { (n) } } }
                    }
                }
            }
            @if services.len() > 3 || wanted.is_narrow() {
                form.search method="get" action="/" role="search" {
                    @if !wanted.scope.is_empty() { input type="hidden" name="scope" value=(wanted.scope); }
                    @if !wanted.state.is_empty() { input type="hidden" name="state" value=(wanted.state); }
                    input type="search" name="q" value=(wanted.q) placeholder="Name, port, host name" aria-label="Find services";
                    select name="sort" aria-label="Order" {
                        @for (word, text) in orders { option value=(word) selected[wanted.sort == word] { (text) } }
                    }
                    button.plain type="submit" { "Find" }
                }
            }
        }
    }
}

/// `2 ready · 1 starting`, each a link that shows only those.
fn count_links(wanted: &Wanted, counts: &[filter::Count]) -> Markup {
    html! {
        p.counts {
            @for (index, count) in counts.iter().enumerate() {
                @if index > 0 { " · " }
                @let word = count.word.to_lowercase();
                @if wanted.state == word {
                    strong { (count.n) " " (word) } " (" a href=(wanted.address("state", "")) { "show all" } ")"
                } @else {
                    a href=(wanted.address("state", &word)) { (count.n) " " (word) }
                }
            }
        }
    }
}

fn pages(wanted: &Wanted, page: usize, n: usize) -> Markup {
    let last = (n - 1) / PAGE_ROWS;
    let (from, to) = (page * PAGE_ROWS + 1, ((page + 1) * PAGE_ROWS).min(n));
    html! {
        nav.pages aria-label="Pages" {
            @if page > 0 { a.button.plain rel="prev" href=(wanted.address("page", &page.to_string())) { "Before" } }
            span { (from) " to " (to) " of " (n) }
            @if page < last { a.button.plain rel="next" href=(wanted.address("page", &(page + 2).to_string())) { "Next" } }
        }
    }
}

fn card(service: &Service, how: &Shown<'_>) -> Markup {
    let uuid = service.request.uuid;
    html! {
        li.card data-key=(uuid) {
            article aria-labelledby=(format!("name-{uuid}")) {
                div.card-head {
                    h2 id=(format!("name-{uuid}")) { a href=(format!("/services/{uuid}")) { (service.name()) } }
                    (state_line(service, &how.now))
                }
                (parts::ports(service))
                (used(service, how))
                (near(service))
                p.card-foot {
                    (choose(service, how))
                    (owner(service, how))
                    a href=(format!("/services/{uuid}")) { "Details" span.unseen { " of " (service.name()) } }
                    a href=(format!("/services/{uuid}/logs")) { "Logs" span.unseen { " of " (service.name()) } }
                    @if service.may_stop() {
                        a.quiet href=(format!("/services/{uuid}/stop")) { "Stop" span.unseen { " " (service.name()) } }
                    }
                }
            }
        }
    }
}

/// One line of a long list: name and state, buttons, what it is.
fn dense_row(service: &Service, how: &Shown<'_>) -> Markup {
    let uuid = service.request.uuid;
    html! {
        li.row data-key=(uuid) {
            div.who {
                h2 { a href=(format!("/services/{uuid}")) { (service.name()) } }
                (state_line(service, &how.now))
                (used(service, how))
                (near(service))
            }
            (parts::buttons(service))
            p.more {
                (choose(service, how))
                (owner(service, how))
                a href=(format!("/services/{uuid}/logs")) { "Logs" span.unseen { " of " (service.name()) } }
                @if service.may_stop() {
                    a.quiet href=(format!("/services/{uuid}/stop")) { "Stop" span.unseen { " " (service.name()) } }
                }
            }
        }
    }
}

/// CPU and memory of the last 15 minutes as small bars, and what they are now.
fn used(service: &Service, how: &Shown<'_>) -> Markup {
    let container = service.container.as_ref();
    let used = container.and_then(|it| Some((it, how.usage.get(&it.uuid)?)));
    html! { @if let Some((container, usage)) = used { (parts::used(container, usage)) } }
}

/// A box to choose it with, for whoever may stop it.
fn choose(service: &Service, how: &Shown<'_>) -> Markup {
    html! {
        @if how.choosing && service.may_stop() {
            label.choose {
                input type="checkbox" name="uuid" value=(service.request.uuid);
                span.unseen { "Choose " (service.name()) }
            }
        }
    }
}

fn owner(service: &Service, how: &Shown<'_>) -> Markup {
    let name = how.people.get(&service.request.modified_by_user_uuid);
    html! {
        @if !service.mine { span.since { "by " (name.map_or("somebody else", String::as_str)) } }
    }
}

/// Chip and sentence; what the script reads aloud when it changes.
fn state_line(service: &Service, now: &Timestamp) -> Markup {
    let said = format!("{}: {}", service.name(), service.state.word());
    html! {
        p.state data-say=(said) data-key=(service.request.uuid) {
            (parts::chip(&service.state))
            span.since { (parts::since(service, now)) }
        }
    }
}

fn row(service: &Service, how: &Shown<'_>) -> Markup {
    let uuid = service.request.uuid;
    html! {
        li.row data-key=(uuid) {
            (choose(service, how))
            a.row-name href=(format!("/services/{uuid}")) { (service.name()) }
            (owner(service, how))
            (used(service, how))
            (state_line(service, &how.now))
            @if let Some(why) = service.state.why() { p.why-line { (why) } }
        }
    }
}

fn nothing_found(wanted: &Wanted) -> Markup {
    html! {
        div.empty {
            p.lead { "Nothing is like that." }
            p { a.button.plain href="/" { "Show all" } }
            @if wanted.scope == "shared" {
                p.note { "What others share with you by a project appears here." }
            }
        }
    }
}

fn nothing_runs() -> Markup {
    html! {
        div.empty {
            p.lead { "Nothing runs right now." }
            p { a.button href="/launch" { "Launch a service" } }
            p.note { "Or from a terminal; it appears here by itself:" }
            (parts::command("wharf run --name notebook --publish 8888:private:Jupyter \\\n  --image IMAGE -- COMMAND"))
        }
    }
}

fn empty() -> Markup {
    html! {
        div.empty {
            p.lead { "A service is a program in a container with an address of its own. Yours appear here, each port a button to click." }
            ol.steps {
                li {
                    h2 { "Bring an image" }
                    p { "An archive that " code { "docker save" } " or " code { "podman save" } " wrote." }
                    (parts::command("wharf image import notebook.tar --name notebook:1"))
                }
                li {
                    h2 { "Run it with a published port" }
                    p { "From " a href="/launch" { "the launch page" } " or a terminal. 8888 is where the program listens inside its container, on 127.0.0.1 if it likes." }
                    (parts::command("wharf run --name notebook --image notebook:1 \\\n  --publish 8888:private:Jupyter -- jupyter lab"))
                }
                li {
                    h2 { "Give it a name people remember" }
                    p { "The address keeps working when the service is replaced." }
                    (parts::command("wharf hostname set jupyter notebook 8888"))
                }
            }
        }
    }
}
