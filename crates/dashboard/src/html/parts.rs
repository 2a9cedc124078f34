//! Parts that several pages show: state chips, port tiles, times.

use maud::{Markup, html};
use model::metrics::RecentUsage;
use model::{Access, Container, Timestamp};

use super::icons;
use crate::view::plot::{Unit, bars};
use crate::view::service::{Port, Service};
use crate::view::state::State;
use crate::view::time;

/// `3 min ago` with the exact time; the script keeps it ticking.
pub(crate) fn ago(at: &Timestamp, now: &Timestamp) -> Markup {
    html! {
        time datetime=(time::machine(at)) title=(time::exact(at)) data-ago { (time::ago(at, now)) }
    }
}

/// `3 min` from now, with the exact time beside it; the script keeps it ticking.
pub(crate) fn until(at: &Timestamp, now: &Timestamp) -> Markup {
    let seconds = at.as_jiff().as_second() - now.as_jiff().as_second();
    html! { time datetime=(time::machine(at)) title=(time::exact(at)) data-until { (time::length(seconds)) } }
}

/// `3 min`, for "for 3 min"; the script keeps it ticking as well.
pub(crate) fn lasting(from: &Timestamp, now: &Timestamp) -> Markup {
    let seconds = now.as_jiff().as_second() - from.as_jiff().as_second();
    html! {
        time datetime=(time::machine(from)) title=(time::exact(from)) data-for { (time::length(seconds)) }
    }
}

/// The state as shape and word.
pub(crate) fn chip(state: &State) -> Markup {
    sign(state, state.word())
}

/// The same shape with another word, for what is no service.
pub(crate) fn sign(state: &State, word: &str) -> Markup {
    html! {
        span.chip data-kind=(state.word().to_ascii_lowercase().replace(' ', "-")) { (icons::state(state)) (word) }
    }
}

/// The rest of the sentence that the chip begins.
pub(crate) fn since(service: &Service, now: &Timestamp) -> Markup {
    let ready_at = service.container.as_ref().and_then(|container| {
        container.published_ports.iter().filter_map(|(_, port)| port.ready_at.flatten()).min()
    });
    html! {
        @match &service.state {
            State::Draft => "not committed yet"
            State::Queued => { "for " (lasting(&service.request.created_at, now)) }
            State::Starting => {
                @match service.started_at() {
                    Some(at) => { "its program began " (ago(at, now)) }
                    None => "the container is being set up"
                }
            }
            State::Ready => { @if let Some(at) = ready_at { "for " (lasting(&at, now)) } }
            State::NotAnswering => {
                @if let Some(at) = silent_since(service) { "for " (lasting(&at, now)) ", though its program runs" }
            }
            State::Running => { @if let Some(at) = service.started_at() { "for " (lasting(at, now)) } }
            State::Stopping => "asked to stop, the program is given time to end"
            State::Stopped | State::Finished | State::Failed(_) => {
                @if let Some(at) = service.ended_at() { (ago(at, now)) }
            }
        }
    }
}

/// Since when no port answers.
fn silent_since(service: &Service) -> Option<Timestamp> {
    let ports = &service.container.as_ref()?.published_ports;
    ports.iter().filter_map(|(_, port)| port.silent_since).max()
}

/// Who may enter, in words.
pub(crate) fn access(port: &Port) -> Markup {
    let is_private = port.access == Access::Private;
    html! { span.access data-access=(port.access.as_str()) { (icons::lock(is_private)) (port.who) } }
}

/// The ports of a service, each something to click.
pub(crate) fn ports(service: &Service) -> Markup {
    html! {
        @if !service.ports.is_empty() && !service.state.is_over() {
            ul.ports aria-label=(format!("Published ports of {}", service.name())) {
                @for port in &service.ports { li { (tile(service, port)) } }
            }
        }
    }
}

/// The ports of a service as plain buttons, for lists of many.
pub(crate) fn buttons(service: &Service) -> Markup {
    html! {
        ul.buttons aria-label=(format!("Published ports of {}", service.name())) {
            @for port in &service.ports {
                li {
                    @match (&port.open, href(service, port)) {
                        (Ok(()), Some(href)) => {
                            a.button href=(href) target="_blank" rel="noopener noreferrer" title=(port_title(port)) {
                                (icons::lock(port.access == Access::Private))
                                "Open " (port.label) (icons::new_tab())
                                span.unseen { " of " (service.name()) ", " (port.access.as_str()) " (new tab)" }
                            }
                        }
                        (Ok(()), None) => span.button.shut title="this port has no address" { (port.label) },
                        (Err(why), _) => span.button.shut title=(why) { (port.label) span.unseen { ": " (why) } },
                    }
                }
            }
        }
    }
}

fn port_title(port: &Port) -> String {
    let shown =
        port.address.as_ref().map_or_else(String::new, |address| address.shown().to_owned());
    format!("{shown}. {}", port.who)
}

/// A host name that may break after a dot or before the port, and not in the middle of a word.
pub(crate) fn host_name(name: &str) -> Markup {
    html! {
        @for (index, part) in name.split('.').enumerate() {
            @if index > 0 { "." wbr; }
            @match part.split_once(':') {
                Some((word, port)) => { (word) wbr; ":" (port) }
                None => (part)
            }
        }
    }
}

/// One port. A ready one is a single link as large as the tile; opening is the dashboard's business
/// for private ports (it asks for a single-use code), public ones are linked directly.
fn tile(service: &Service, port: &Port) -> Markup {
    let below = html! {
        span.address {
            @match &port.address {
                Some(address) => (host_name(address.shown()))
                None => { "port " (port.number) }
            }
        }
        (access(port))
    };
    html! {
        @match (&port.open, href(service, port)) {
            (Ok(()), Some(href)) => {
                a.tile href=(href) target="_blank" rel="noopener noreferrer" {
                    span.open { "Open " (port.label) (icons::new_tab()) span.unseen { " (new tab)" } }
                    (below)
                }
            }
            (Ok(()), None) => {
                div.tile.shut {
                    span.open { (port.label) }
                    (below)
                    span.why { "this port has no address" }
                }
            }
            (Err(why), _) => {
                div.tile.shut {
                    span.open { (port.label) }
                    (below)
                    span.why { (why) }
                }
            }
        }
    }
}

fn href(service: &Service, port: &Port) -> Option<String> {
    let address = port.address.as_ref()?;
    Some(match port.access {
        Access::Public => address.initial(&port.initial_path),
        Access::Private => format!("/open/{}/{}", service.request.uuid, port.number),
    })
}

/// What a container used in the last minutes, each a bar, and in the last one in words.
#[expect(clippy::cast_precision_loss, reason = "a bar is ten units high")]
pub(crate) fn used(container: &Container, usage: &RecentUsage) -> Markup {
    let limits = &container.runtime_constraints;
    let memory: Vec<_> = usage.memory_bytes.iter().map(|it| it.map(|it| it as f64)).collect();
    let bar = |values: &[Option<f64>], full| {
        html! { svg.spark viewBox="0 0 15 10" preserveAspectRatio="none" aria-hidden="true" { path d=(bars(values, full)) {} } }
    };
    let latest = |values: &[Option<f64>]| values.iter().rev().find_map(|value| *value);
    html! {
        p.use {
            @if let Some(cores) = latest(&usage.cpu_cores) {
                span { "CPU " (bar(&usage.cpu_cores, f64::from(limits.vcpus))) " " (Unit::Percent.words(cores)) }
            }
            @if let Some(bytes) = latest(&memory) {
                span { "Memory " (bar(&memory, limits.ram as f64)) " " (Unit::Bytes.words(bytes)) }
            }
        }
    }
}

/// The hidden field that every form has.
pub(crate) fn form_token(token: &str) -> Markup {
    html! { input type="hidden" name="form_token" value=(token); }
}

/// A short text in one piece, with a button that copies `text` where there is script.
pub(crate) fn copyable(text: &str, shown: &str) -> Markup {
    html! {
        span.copyable {
            code { (host_name(shown)) }
            button.copy type="button" data-copy=(text) hidden aria-label=(format!("Copy {text}")) { "Copy" }
        }
    }
}

/// A command to type, with a button that copies it where there is script.
pub(crate) fn command(text: &str) -> Markup {
    html! {
        div.command {
            pre tabindex="0" { code { (text) } }
            button.copy type="button" data-copy=(text) hidden { "Copy" }
        }
    }
}
