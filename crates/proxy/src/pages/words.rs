//! The pages that say what is in the way, and what can be done about it.

use maud::{Markup, html};
use percent_encoding::utf8_percent_encode;

use super::layout::{self, Content};
use super::{Asked, QUERY_VALUE};
use crate::authorize::Denied;
use crate::directory::Target;
use crate::refusal::{GatewayProblem, Refusal};

/// A page for everything but a service that starts.
pub(super) fn page(refusal: &Refusal, dashboard_url: &str, asked: Asked<'_>) -> Markup {
    let (title, body) = words(refusal);
    let content = Content {
        title,
        code: refusal.status().as_str().to_owned(),
        body,
        actions: actions(refusal, dashboard_url, asked),
        head: html! {},
        script: None,
    };
    layout::page(&content, asked.exchange.request_id.as_str())
}

fn words(refusal: &Refusal) -> (String, Markup) {
    let (title, body) = match refusal {
        Refusal::Host(_) | Refusal::Malformed(_) if refusal.status() == 400 => {
            ("This address cannot be read", sentence(refusal))
        }
        Refusal::Host(_) | Refusal::Malformed(_) | Refusal::NotFound => (
            "No such service",
            html! { p { "Nothing is served under this address. It may have been misspelt, or its name was given up." } },
        ),
        Refusal::Denied(Denied::NoCredentials) => (
            "Sign in to open this service",
            html! { p { "This service is private. After signing in you come back to this page." } },
        ),
        Refusal::Denied(Denied::NotAllowed | Denied::Ended) => (
            "You cannot open this service",
            html! {
                p { "It is private, and what you are signed in with does not open it: it has expired, is limited, or belongs to somebody else." }
                p.soft { "Whoever started the service can open it to you, and so can an administrator." }
            },
        ),
        Refusal::NotInvited => (
            "This invitation does not open anything",
            html! {
                p { "It was used up, taken back or has expired, its service is over, or the address was not copied whole." }
                p.soft { "Ask whoever sent it for another one." }
            },
        ),
        Refusal::ForeignOrigin => (
            "Refused: this came from another site",
            html! { p { "Another page tried to use this service in your name. Open the service itself instead." } },
        ),
        Refusal::Preflight => ("Refused: this came from another site", sentence(refusal)),
        Refusal::Starting(..) | Refusal::Unreachable(..) => ("Not ready yet", sentence(refusal)),
        Refusal::Stopped(target) => ("This service is over", stopped(target)),
        Refusal::Replaced => ("Another service lives here now", sentence(refusal)),
        Refusal::Gateway(problem) => {
            ("The application does not answer", gateway(*problem, refusal))
        }
        Refusal::BrokenBody | Refusal::StalledBody => {
            ("The request did not arrive whole", sentence(refusal))
        }
        Refusal::TooSlow => ("The application takes too long", sentence(refusal)),
        Refusal::UnknownProtocol => ("Not carried here", sentence(refusal)),
        Refusal::Exceeded(_) => ("Too much at once", sentence(refusal)),
        Refusal::NoRecords(_) | Refusal::Full => ("Try again in a moment", sentence(refusal)),
    };
    (title.to_owned(), body)
}

fn sentence(refusal: &Refusal) -> Markup {
    let text = refusal.message();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    html! { p { (first) (letters.as_str()) "." } }
}

fn stopped(target: &Target) -> Markup {
    html! {
        @if !target.name.is_empty() { p { b { (target.name) } } }
        p {
            "Container " (target.state.as_str())
            @if !target.exit_words.is_empty() { ": " (target.exit_words) }
            "."
        }
        p.soft { "Its log says more. It can be run again from its own page." }
    }
}

fn gateway(problem: GatewayProblem, refusal: &Refusal) -> Markup {
    html! {
        (sentence(refusal))
        @if let GatewayProblem::Refused(port) = problem {
            p.soft { "If the application is still starting, reload in a moment. It has to listen on port " (port) " of 127.0.0.1 or 0.0.0.0." }
        }
    }
}

fn actions(
    refusal: &Refusal,
    dashboard_url: &str,
    asked: Asked<'_>,
) -> Vec<(&'static str, String)> {
    let services = || ("All services", dashboard_url.to_owned());
    match refusal {
        Refusal::Denied(Denied::NoCredentials) => {
            vec![("Sign in", sign_in_url(dashboard_url, asked))]
        }
        Refusal::Denied(Denied::NotAllowed | Denied::Ended) => {
            vec![("Sign in as somebody else", sign_in_url(dashboard_url, asked)), services()]
        }
        Refusal::Stopped(target) => match target.request {
            Some(request) => {
                let page = format!("{dashboard_url}services/{request}");
                vec![("Run again", page.clone()), ("Logs", format!("{page}/logs"))]
            }
            None => vec![services()],
        },
        // The address has a secret in it, so nobody is sent on with it.
        Refusal::NotInvited => Vec::new(),
        Refusal::ForeignOrigin | Refusal::Replaced => vec![("Open the service", "/".to_owned())],
        _ => vec![services()],
    }
}

/// Where the dashboard signs people in and sends them back here with a single-use code.
fn sign_in_url(dashboard_url: &str, asked: Asked<'_>) -> String {
    let value = |text| utf8_percent_encode(text, QUERY_VALUE);
    format!("{dashboard_url}open?host={}&path={}", value(asked.host), value(asked.path))
}
