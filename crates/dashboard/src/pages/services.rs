//! Services, the home page: what runs, its ports first and to click; what is over, below.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use model::Timestamp;

use super::problem::NoPage;
use super::signed_in::SignedIn;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::upstream::REQUESTS_MAX;
use crate::view::service::{self, Service};

/// How many of those that are over are listed.
const OVER_SHOWN_MAX: usize = 20;

pub(crate) async fn page(State(app): State<App>, me: SignedIn) -> Result<Response, NoPage> {
    let records = me.api.services().await.map_err(|error| me.no_page(error, "list of services"))?;
    let mut services = records.put_together(&app.0.config.service_domain, me.user.uuid);
    service::home_order(&mut services);
    let now = App::now();
    let over_from = services.iter().position(|s| s.state.is_over()).unwrap_or(services.len());
    let (running, over) = services.split_at(over_from);
    let (with_ports, without) =
        running.split_at(running.iter().position(|s| s.ports.is_empty()).unwrap_or(running.len()));
    let body = html! {
        div #services data-live {
            div.title {
                h1 { "Services" }
                @if !running.is_empty() { p.counts { (counts(running)) } }
            }
            @if services.is_empty() { (empty()) }
            @else if running.is_empty() { (nothing_runs()) }
            @if !with_ports.is_empty() {
                ul.cards aria-label="Running services" {
                    @for service in with_ports { (card(service, &now)) }
                }
            }
            @if !without.is_empty() {
                h2 { "Running without published ports" }
                ul.rows { @for service in without { (row(service, &now)) } }
            }
            @if !over.is_empty() {
                h2 { "No longer running" }
                ul.rows { @for service in over.iter().take(OVER_SHOWN_MAX) { (row(service, &now)) } }
                @if over.len() > OVER_SHOWN_MAX {
                    p.note { (over.len() - OVER_SHOWN_MAX) " older ones are not shown here; " code { "wharf ps -a" } " lists all." }
                }
            }
            @if services.len() >= REQUESTS_MAX {
                p.note { "Only the newest " (REQUESTS_MAX) " are looked at here." }
            }
        }
    };
    Ok(me.page("Services", Place::Services, Live::Events, body))
}

/// `2 ready · 1 starting`, in order of life.
fn counts(running: &[Service]) -> String {
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for service in running {
        let word = service.state.word();
        match counts.iter_mut().find(|(found, _)| *found == word) {
            Some((_, count)) => *count += 1,
            None => counts.push((word, 1)),
        }
    }
    let parts: Vec<String> =
        counts.iter().map(|(word, n)| format!("{n} {}", word.to_ascii_lowercase())).collect();
    parts.join(" · ")
}

fn card(service: &Service, now: &Timestamp) -> Markup {
    let uuid = service.request.uuid;
    html! {
        li.card data-key=(uuid) {
            article aria-labelledby=(format!("name-{uuid}")) {
                div.card-head {
                    h2 id=(format!("name-{uuid}")) { a href=(format!("/services/{uuid}")) { (service.name()) } }
                    (state_line(service, now))
                }
                (parts::ports(service))
                p.card-foot {
                    a href=(format!("/services/{uuid}")) { "Details and logs" span.unseen { " of " (service.name()) } }
                    @if service.state.can_stop() {
                        a.quiet href=(format!("/services/{uuid}/stop")) { "Stop" span.unseen { " " (service.name()) } }
                    }
                }
            }
        }
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

fn row(service: &Service, now: &Timestamp) -> Markup {
    let uuid = service.request.uuid;
    html! {
        li.row data-key=(uuid) {
            a.row-name href=(format!("/services/{uuid}")) { (service.name()) }
            (state_line(service, now))
            @if let Some(why) = service.state.why() { p.why-line { (why) } }
        }
    }
}

fn nothing_runs() -> Markup {
    html! {
        div.empty {
            p.lead { "Nothing runs right now." }
            p { "Start a service from a terminal; it appears here by itself:" }
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
                    p { "8888 is where the program listens inside its container, on 127.0.0.1 if it likes." }
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
