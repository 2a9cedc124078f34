//! One service: its ports to click, what can be done with it, and the tabs below; the first of them is here.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use model::life::duration_words;
use model::{LifeLimits, RequestUuid, Timestamp};

use super::problem::{NoPage, Problem};
use super::signed_in::SignedIn;
use super::stop::Heading;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::upstream::LOG_LINES;
use crate::view::draft::image_of;
use crate::view::log_lines::LogLine;
use crate::view::service::Service;
use crate::view::state::State as ServiceState;
use crate::view::{shell, size, time};

/// The tabs of a service's page, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    Overview,
    Logs,
    Metrics,
    Terminal,
    Access,
    Events,
    Details,
}

impl Tab {
    const ALL: [(Self, &'static str, &'static str); 7] = [
        (Self::Overview, "", "Overview"),
        (Self::Logs, "/logs", "Logs"),
        (Self::Metrics, "/metrics", "Metrics"),
        (Self::Terminal, "/terminal", "Terminal"),
        (Self::Access, "/access", "Access"),
        (Self::Events, "/events", "Events"),
        (Self::Details, "/details", "Details"),
    ];
}

/// The request that an address of ours names.
pub(crate) fn request_uuid(text: &str) -> Result<RequestUuid, Problem> {
    RequestUuid::parse(text).map_err(|_not_one| Problem::not_found("service"))
}

/// The service that a page's address names, and who asks for it: what the pages of a service begin with.
pub(crate) struct Asked {
    pub(super) me: SignedIn,
    pub(super) service: Service,
}

impl FromRequestParts<App> for Asked {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let me = SignedIn::from_request_parts(parts, app).await?;
        let path = Path::<String>::from_request_parts(parts, app).await;
        let Path(uuid) = path.map_err(|wrong| wrong.into_response())?;
        let no_page = |problem: NoPage| problem.into_response();
        let uuid = request_uuid(&uuid).map_err(|problem| no_page(problem.into()))?;
        let service = load(app, &me, uuid).await.map_err(no_page)?;
        Ok(Self { me, service })
    }
}

/// Asks for one service with all that belongs to it.
pub(crate) async fn load(app: &App, me: &SignedIn, uuid: RequestUuid) -> Result<Service, NoPage> {
    let records = me.api.service(uuid).await.map_err(|error| me.no_page(error, "service"))?;
    let mut services = records.put_together(&app.0.config.service_domain, &me.user);
    me.api.note_writable(&mut services).await;
    let mut service = services.pop().ok_or_else(|| Problem::not_found("service"))?;
    if service.state.can_stop() {
        service.n_sockets = me.api.n_sockets(uuid).await;
    }
    Ok(service)
}

pub(crate) async fn page(Asked { me, service }: Asked) -> Result<Response, NoPage> {
    let uuid = service.request.uuid;
    // A page without its log is better than no page.
    let log = me.api.log_tail(uuid, LOG_LINES).await;
    let now = App::now();
    let live = match service.state.is_over() {
        true => Live::Events,
        false => Live::EventsAndBeat,
    };
    let body = html! {
        div.columns #overview data-live {
            (start_up(&service, &now))
            (facts(&service))
        }
        section aria-labelledby="log-title" {
            h2 #log-title { "Last log lines" }
            div #log data-live { (log_lines(log.as_deref(), &service.state)) }
            p { a href=(format!("/services/{uuid}/logs")) { "All of the log" } }
        }
    };
    Ok(framed(&me, &service, Tab::Overview, live, &body))
}

/// A tab below the service's head: name, state, ports, what can be done.
pub(super) fn framed(
    me: &SignedIn,
    service: &Service,
    tab: Tab,
    live: Live,
    body: &Markup,
) -> Response {
    let uuid = service.request.uuid;
    let now = App::now();
    let page = html! {
        p.trail { a href="/" { "Services" } }
        div #service data-live {
            div.title {
                h1 { (service.name()) }
                p.state data-say=(format!("{}: {}", service.name(), service.state.word())) data-key=(uuid) {
                    (parts::chip(&service.state)) span.since { (parts::since(service, &now)) }
                }
            }
            @if let Some(why) = service.state.why() { p.failure { strong { "Why it failed: " } (why) } }
            (super::extend::life(service, &me.session.form_token, &now))
            (parts::ports(service))
            (actions(service))
        }
        nav.tabs aria-label="About this service" {
            ul {
                @for (at, path, text) in Tab::ALL {
                    li { a href=(format!("/services/{uuid}{path}")) aria-current=[(at == tab).then_some("page")] { (text) } }
                }
            }
        }
        (body)
        @if service.may_stop() {
            dialog #stop-dialog aria-labelledby="stop-title" { (super::stop::question(service, &me.session.form_token, Heading::Dialog)) }
        }
    };
    me.page(service.name(), Place::Services, live, page)
}

fn actions(service: &Service) -> Markup {
    let uuid = service.request.uuid;
    html! {
        p.actions {
            @if service.may_stop() {
                a.button.danger href=(format!("/services/{uuid}/stop")) data-dialog="stop-dialog" { "Stop" }
                a.button.plain href=(format!("/services/{uuid}/restart")) { "Restart" }
            } @else if service.may_write && service.state.is_over() {
                a.button href=(format!("/services/{uuid}/restart")) { "Run it again" }
            }
            a.button.plain href=(format!("/launch?from={uuid}")) { "Duplicate" }
            @if !service.state.is_over() { (copy_links(service)) }
        }
    }
}

/// The addresses to pass on: without a code, so that each person comes in as who they are.
fn copy_links(service: &Service) -> Markup {
    let is_one = service.ports.len() == 1;
    html! {
        @for port in &service.ports {
            @if let Some(address) = &port.address {
                button.plain type="button" data-copy=(address.initial(&port.initial_path)) hidden {
                    "Copy link" @if !is_one { " to " (port.label) }
                }
            }
        }
    }
}

fn facts(service: &Service) -> Markup {
    let request = &service.request;
    let constraints = &request.runtime_constraints;
    html! {
        section aria-labelledby="facts-title" {
            h2 #facts-title { "What it is" }
            dl.facts {
                dt { "Command" }
                dd { @if request.command.is_empty() { "the image's own" } @else { code { (shell::join(&request.command)) } } }
                dt { "Image" } dd { code { (image_of(request)) } }
                dt { "Resources" }
                dd {
                    (constraints.vcpus) " CPU" @if constraints.vcpus != 1 { "s" }
                    ", " (size::words(constraints.ram)) " memory"
                }
                @if service.state.is_over() && !service.ports.is_empty() {
                    dt { "Ports" }
                    dd {
                        @for (index, port) in service.ports.iter().enumerate() {
                            @if index > 0 { ", " }
                            (port.number) " (" (port.label) ")"
                        }
                    }
                }
                @if let Some(words) = limits(service) { dt { "Ends by itself" } dd { (words) } }
                @if let Some(code) = service.container.as_ref().and_then(|it| it.exit_code) { dt { "Exit code" } dd { (code) } }
                dt { "Request" } dd { code { (request.uuid) } }
            }
        }
    }
}

/// By which limits it ends.
fn limits(service: &Service) -> Option<String> {
    let limits = LifeLimits::of(&service.request.scheduling_parameters);
    let words = [
        limits.idle.map(|limit| format!("when nobody has used it for {}", duration_words(limit))),
        limits.max_run.map(|limit| format!("when it has run for {}", duration_words(limit))),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    (!words.is_empty()).then(|| words.join(", or "))
}

/// Each step of the start with how long it took.
fn start_up(service: &Service, now: &Timestamp) -> Markup {
    let asked = &service.request.created_at;
    let started = service.started_at();
    html! {
        section aria-labelledby="start-title" {
            h2 #start-title { "How its start went" }
            ol.timeline {
                li.done { "Requested " (parts::ago(asked, now)) }
                @match started {
                    Some(at) => li.done { "Container started after " (time::between(asked, at)) },
                    None if service.state.is_over() => li { "Container was never started" },
                    None => li { "Container is not started yet" },
                }
                @if let (Some(container), Some(started)) = (&service.container, started) {
                    @for (number, port) in container.published_ports.iter() {
                        @match port.ready_at.flatten() {
                            Some(at) => li.done {
                                "Port " (number) " answered " (time::between(started, &at)) " later"
                                @if let Some(since) = &port.silent_since { ", and nothing listens on it since " (parts::ago(since, now)) }
                            },
                            None if service.state.is_over() => li { "Port " (number) " never answered" },
                            None => li { "Port " (number) " does not answer yet" },
                        }
                    }
                }
                @if let Some(at) = service.ended_at() { li.done { "Ended " (parts::ago(at, now)) } }
            }
        }
    }
}

/// Lines of a log, each with its time and stream.
pub(super) fn log_lines(log: Option<&[LogLine]>, state: &ServiceState) -> Markup {
    html! {
        @match log {
            None => p.note { "The log cannot be read right now." },
            Some([]) if state.is_over() => p.note { "It wrote nothing." },
            Some([]) => p.note { "Nothing written yet." },
            Some(lines) => {
                pre.log tabindex="0" role="region" aria-label="Log lines" { (lines_of(lines)) }
            },
        }
    }
}

pub(super) fn lines_of(lines: &[LogLine]) -> Markup {
    html! {
        @for line in lines {
            span.line data-stream=(line.stream) data-t=(line.time) {
                @if !line.time.is_empty() { span.clock { (line.clock()) } " " }
                @if line.stream == "stderr" { span.stream { "err " } }
                @if line.stream == "crunch-run" { span.stream { "wharf " } }
                (line.text) "\n"
            }
        }
    }
}
