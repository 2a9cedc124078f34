//! One service: its ports to click, what it is, how its start went, its last words.

use axum::extract::{Path, State};
use axum::response::Response;
use maud::{Markup, html};
use model::{RequestUuid, Timestamp};

use super::problem::{NoPage, Problem};
use super::signed_in::SignedIn;
use super::stop::Heading;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::upstream::LOG_LINES;
use crate::view::log_lines::LogLine;
use crate::view::service::Service;
use crate::view::state::State as ServiceState;
use crate::view::time;

/// The request that an address of ours names.
pub(crate) fn request_uuid(text: &str) -> Result<RequestUuid, Problem> {
    RequestUuid::parse(text).map_err(|_not_one| Problem::not_found("service"))
}

/// Asks for one service with all that belongs to it.
pub(crate) async fn load(app: &App, me: &SignedIn, uuid: RequestUuid) -> Result<Service, NoPage> {
    let records = me.api.service(uuid).await.map_err(|error| me.no_page(error, "service"))?;
    let mut services = records.put_together(&app.0.config.service_domain, me.user.uuid);
    services.pop().ok_or_else(|| Problem::not_found("service").into())
}

pub(crate) async fn page(
    State(app): State<App>,
    me: SignedIn,
    Path(uuid): Path<String>,
) -> Result<Response, NoPage> {
    let uuid = request_uuid(&uuid)?;
    let service = load(&app, &me, uuid).await?;
    // A page without its log is better than no page.
    let log = me.api.log_tail(uuid).await;
    let now = App::now();
    let live = match service.state.is_over() {
        true => Live::Events,
        false => Live::EventsAndBeat,
    };
    let body = html! {
        p.trail { a href="/" { "Services" } }
        div #service data-live {
            div.title {
                h1 { (service.name()) }
                p.state data-say=(format!("{}: {}", service.name(), service.state.word())) data-key=(uuid) {
                    (parts::chip(&service.state)) span.since { (parts::since(&service, &now)) }
                }
            }
            @if let Some(why) = service.state.why() { p.failure { strong { "Why it failed: " } (why) } }
            (parts::ports(&service))
            @if service.state.can_stop() {
                p { a.button.danger href=(format!("/services/{uuid}/stop")) data-dialog="stop-dialog" { "Stop this service" } }
            }
            div.columns {
                (facts(&service))
                (start_up(&service, &now))
            }
        }
        (host_names(&service, &me.session.form_token))
        section aria-labelledby="log-title" {
            h2 #log-title { "Last log lines" }
            div #log data-live { (log_lines(log.as_deref(), &service.state)) }
            (parts::command(&format!("wharf logs -f {uuid}")))
        }
        @if service.state.can_stop() {
            dialog #stop-dialog aria-labelledby="stop-title" { (super::stop::question(&service, &me.session.form_token, Heading::Dialog)) }
        }
    };
    Ok(me.page(service.name(), Place::Services, live, body))
}

fn facts(service: &Service) -> Markup {
    let request = &service.request;
    let image = match request.properties.get("container_image_name").and_then(|v| v.as_str()) {
        Some(name) => name,
        None => &request.container_image,
    };
    html! {
        section aria-labelledby="facts-title" {
            h2 #facts-title { "What it is" }
            dl.facts {
                dt { "Command" }
                dd { @if request.command.is_empty() { "the image's own" } @else { code { (shell_words(&request.command)) } } }
                dt { "Image" } dd { code { (image) } }
                dt { "Resources" }
                dd {
                    (request.runtime_constraints.vcpus) " CPU" @if request.runtime_constraints.vcpus != 1 { "s" }
                    ", " (memory(request.runtime_constraints.ram)) " memory"
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
                dt { "Request" } dd { code { (request.uuid) } }
                @if let Some(container) = &service.container {
                    dt { "Container" } dd { code { (container.uuid) } }
                    @if let Some(code) = container.exit_code { dt { "Exit code" } dd { (code) } }
                }
            }
        }
    }
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
                            Some(at) => li.done { "Port " (number) " answered " (time::between(started, &at)) " later" },
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

fn log_lines(log: Option<&[LogLine]>, state: &ServiceState) -> Markup {
    html! {
        @match log {
            None => p.note { "The log cannot be read right now." },
            Some([]) if state.is_over() => p.note { "It wrote nothing." },
            Some([]) => p.note { "Nothing written yet." },
            Some(lines) => {
                pre.log tabindex="0" role="region" aria-label=(format!("Last {LOG_LINES} log lines at most")) {
                    @for line in lines {
                        span.line data-stream=(line.stream) {
                            @if !line.clock.is_empty() { span.clock { (line.clock) } " " }
                            @if line.stream == "stderr" { span.stream { "err " } }
                            @if line.stream == "crunch-run" { span.stream { "wharf " } }
                            (line.text) "\n"
                        }
                    }
                }
            },
        }
    }
}

/// The command as one would type it: words with anything special in single quotes.
fn shell_words(command: &[String]) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    let word = |word: &String| match !word.is_empty() && word.chars().all(plain) {
        true => word.clone(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    };
    command.iter().map(word).collect::<Vec<_>>().join(" ")
}

/// `512 MiB`, `1.5 GiB`.
fn memory(bytes: u64) -> String {
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    match bytes {
        b if b >= GIB && b % GIB == 0 => format!("{} GiB", b / GIB),
        b if b >= GIB => format!("{}.{} GiB", b / GIB, b % GIB * 10 / GIB),
        b => format!("{} MiB", b.div_ceil(MIB)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_one_would_type_it() {
        let words = ["sh", "-c", "echo \"it's\"", ""].map(str::to_owned);
        assert_eq!(shell_words(&words), r#"sh -c 'echo "it'\''s"' ''"#);
    }

    #[test]
    fn memory_is_in_binary_units() {
        assert_eq!(memory(1 << 30), "1 GiB");
        assert_eq!(memory((1 << 30) + (1 << 29)), "1.5 GiB");
        assert_eq!(memory(256 << 20), "256 MiB");
    }
}
