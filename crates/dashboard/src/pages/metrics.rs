//! What a service uses and what is asked of it, as plots over a range that the address names.

use axum::extract::Query;
use axum::response::Response;
use maud::{Markup, html};
use model::Timestamp;
use model::metrics::{ContainerMetrics, Slots};
use serde::Deserialize;

use super::problem::NoPage;
use super::service::{Asked, Tab, framed};
use crate::html::layout::Live;
use crate::html::plot::{Times, plot};
use crate::upstream::UpstreamError;
use crate::view::plot::{Curve, Plot, Unit};
use crate::view::service::Service;
use crate::view::time;

/// Ranges as the API knows them, and in words.
const RANGES: [(&str, &str); 4] =
    [("15m", "15 minutes"), ("1h", "1 hour"), ("24h", "24 hours"), ("7d", "7 days")];

#[derive(Deserialize)]
pub(crate) struct RangeQuery {
    #[serde(default)]
    range: String,
}

pub(crate) async fn page(
    Asked { me, service }: Asked,
    Query(query): Query<RangeQuery>,
) -> Result<Response, NoPage> {
    let uuid = service.request.uuid;
    let (range, _) = *RANGES.iter().find(|(word, _)| *word == query.range).unwrap_or(&RANGES[0]);
    let figures = me.api.metrics(uuid, range).await;
    let live = if service.state.is_over() { Live::Events } else { Live::EventsAndBeat };
    let body = html! {
        ul.scopes.ranges aria-label="Range" {
            @for (word, text) in RANGES {
                li { a href=(format!("/services/{uuid}/metrics?range={word}")) aria-current=[(word == range).then_some("true")] { (text) } }
            }
        }
        div #metrics data-live {
            @match &figures {
                Ok(figures) => (plots(figures)),
                Err(UpstreamError::NotFound) => p.note { "It has no container yet, so there is nothing to show." },
                Err(_) => p.note { "The figures cannot be read right now." },
            }
            (start_up(&service))
        }
    };
    Ok(framed(&me, &service, Tab::Metrics, live, &body))
}

fn plots(figures: &ContainerMetrics) -> Markup {
    let times = Times { start: &figures.start, period_seconds: figures.period_seconds };
    let has_traffic = figures.open_connections.iter().any(Option::is_some);
    html! {
        div.plots {
            (plot(&cpu(figures), times))
            (plot(&memory(figures), times))
            @if has_traffic { @for of_requests in traffic(figures) { (plot(&of_requests, times)) } }
        }
        @if !has_traffic { p.note { "Nothing was asked of it by way of Wharf in this time." } }
        p.note { "All times are UTC; each step is " (time::length(i64::try_from(figures.period_seconds).unwrap_or(0))) ". Requests are those through Wharf, by all its controllers together." }
    }
}

fn cpu(figures: &ContainerMetrics) -> Plot {
    let limit = (figures.vcpus > 0).then(|| f64::from(figures.vcpus));
    Plot {
        limit,
        ..lines("cpu", "CPU", Unit::Percent, vec![curve("CPU", "a", &figures.cpu_cores)])
    }
}

fn memory(figures: &ContainerMetrics) -> Plot {
    let values = figures.memory_bytes.iter().map(|bytes| bytes.map(number)).collect();
    let limit = (figures.memory_limit_bytes > 0).then(|| number(figures.memory_limit_bytes));
    let killed = figures.oom_kills.iter().enumerate().filter(|(_, n)| n.is_some_and(|n| n > 0));
    let marks = killed.map(|(slot, _)| slot).collect();
    let used = Curve { name: "Memory", tone: "b", values };
    Plot { limit, marks, ..lines("memory", "Memory", Unit::Bytes, vec![used]) }
}

fn traffic(figures: &ContainerMetrics) -> [Plot; 4] {
    let by = &figures.requests_per_second;
    let classes = vec![
        curve("2xx", "ok", &by.success),
        curve("1xx and 3xx", "still", &both(&by.informational, &by.redirection)),
        curve("4xx", "warn", &by.client_error),
        curve("5xx", "bad", &by.server_error),
    ];
    let first = &figures.first_byte_seconds;
    let latency = vec![curve("p50", "a", &first.p50), curve("p95", "warn", &first.p95)];
    let network = vec![
        curve("In", "a", &figures.bytes_in_per_second),
        curve("Out", "warn", &figures.bytes_out_per_second),
    ];
    let open = vec![curve("Open", "a", &figures.open_connections)];
    [
        Plot {
            is_stacked: true,
            ..lines("requests", "Requests by status", Unit::PerSecond, classes)
        },
        lines("latency", "Time to the first byte", Unit::Seconds, latency),
        lines("network", "Network", Unit::BytesPerSecond, network),
        lines("open", "Open requests and sockets", Unit::Number, open),
    ]
}

fn lines(id: &'static str, title: &'static str, unit: Unit, curves: Vec<Curve>) -> Plot {
    Plot {
        id,
        title,
        unit,
        is_stacked: false,
        curves,
        limit: None,
        marks: Vec::new(),
        mark_words: "ended for want of memory",
    }
}

fn curve(name: &'static str, tone: &'static str, values: &Slots<f64>) -> Curve {
    Curve { name, tone, values: values.clone() }
}

fn both(one: &Slots<f64>, other: &Slots<f64>) -> Slots<f64> {
    one.iter().zip(other).map(|(one, other)| Some((*one)? + (*other)?)).collect()
}

#[expect(clippy::cast_precision_loss, reason = "a plot has fewer digits than 2^52")]
fn number(bytes: u64) -> f64 {
    bytes as f64
}

/// How long each step of the start took, to scale and in words.
fn start_up(service: &Service) -> Markup {
    let steps = steps(service);
    let total: i64 = steps.iter().map(|step| step.millis).sum();
    html! {
        @if total > 0 {
            section.plot aria-labelledby="start-up-title" {
                h2 #start-up-title { "Start-up" }
                svg.start-up viewBox=(format!("0 0 {total} 10")) preserveAspectRatio="none" aria-hidden="true" {
                    @for (at, step) in steps.iter().enumerate() {
                        @let from: i64 = steps[..at].iter().map(|step| step.millis).sum();
                        rect.area data-tone=(step.tone) x=(from) y="0" width=(step.millis) height="10" {}
                    }
                }
                ol.legend {
                    @for step in &steps {
                        li { svg.swatch viewBox="0 0 16 16" aria-hidden="true" { rect.area data-tone=(step.tone) x="1" y="3" width="14" height="10" {} } (step.name) " " strong { (step.words) } }
                    }
                }
            }
        }
    }
}

struct Step {
    name: String,
    tone: &'static str,
    millis: i64,
    words: String,
}

fn steps(service: &Service) -> Vec<Step> {
    let step = |name: String, tone, from: &Timestamp, to: &Timestamp| Step {
        name,
        tone,
        millis: (to.as_jiff().as_millisecond() - from.as_jiff().as_millisecond()).max(0),
        words: time::between(from, to),
    };
    let mut steps = Vec::new();
    let Some(started) = service.started_at() else { return steps };
    steps.push(step(
        "Until its program began".into(),
        "still",
        &service.request.created_at,
        started,
    ));
    let ports = service.container.iter().flat_map(|it| it.published_ports.iter());
    let mut ready: Vec<_> =
        ports.filter_map(|(number, port)| Some((port.ready_at.flatten()?, number))).collect();
    ready.sort();
    let mut before = *started;
    for ((at, number), tone) in ready.into_iter().zip(["a", "warn"].into_iter().cycle()) {
        steps.push(step(format!("Until port {number} answered"), tone, &before, &at));
        before = at;
    }
    steps
}
