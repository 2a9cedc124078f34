//! Stop several services at once: chosen in the list, named on one page that asks, then asked to end one after the other.

use axum::extract::{RawForm, RawQuery, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use maud::html;
use model::RequestUuid;

use super::problem::{NoPage, Problem};
use super::signed_in::SignedIn;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;
use crate::view::service::Service;

/// As many as a page of the list has.
const AT_ONCE_MAX: usize = crate::view::filter::PAGE_ROWS;

/// Those that an address or a form names, each once.
fn named(pairs: &[u8]) -> Vec<RequestUuid> {
    let mut uuids: Vec<RequestUuid> = form_urlencoded::parse(pairs)
        .filter(|(name, _)| name == "uuid")
        .filter_map(|(_, value)| RequestUuid::parse(&value).ok())
        .take(AT_ONCE_MAX)
        .collect();
    uuids.sort_unstable();
    uuids.dedup();
    uuids
}

pub(crate) async fn ask(
    State(app): State<App>,
    me: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response, NoPage> {
    let uuids = named(query.unwrap_or_default().as_bytes());
    let records = me.api.services().await.map_err(|error| me.no_page(error, "list of services"))?;
    let mut services = records.put_together(&app.0.config.service_domain, &me.user);
    me.api.note_writable(&mut services).await;
    let chosen: Vec<&Service> =
        services.iter().filter(|it| uuids.contains(&it.request.uuid) && it.may_stop()).collect();
    if chosen.is_empty() {
        return Ok(Redirect::to("/").into_response());
    }
    let n = chosen.len();
    let body = html! {
        p.trail { a href="/" { "Services" } }
        div.narrow {
            h1 { "Stop " @if n == 1 { "one service" } @else { (n) " services" } "?" }
            ul.names { @for service in &chosen { li { strong { (service.name()) } " " (parts::chip(&service.state)) } } }
            p { "Their programs are asked to end and get a little time to save. Whoever is connected is cut off, and what they kept inside their containers is lost." }
            form.choices method="post" action="/stop" {
                (parts::form_token(&me.session.form_token))
                @for service in &chosen { input type="hidden" name="uuid" value=(service.request.uuid); }
                button.danger type="submit" { "Stop " @if n == 1 { "it" } @else { "all " (n) } }
                a.button.plain href="/" { "Keep them running" }
            }
        }
    };
    Ok(me.page("Stop services", Place::Services, Live::No, body))
}

/// Each is tried, whatever becomes of the others.
pub(crate) async fn stop(me: SignedIn, RawForm(form): RawForm) -> Result<Response, NoPage> {
    let token = form_urlencoded::parse(&form).find(|(name, _)| name == "form_token");
    me.check_form(&token.map(|(_, value)| value).unwrap_or_default())?;
    let mut refused = Vec::new();
    for uuid in named(&form) {
        if let Err(error) = me.api.stop(uuid).await {
            refused.push(format!("{uuid}: {}", error.words()));
        }
    }
    if refused.is_empty() {
        return Ok(Redirect::to("/").into_response());
    }
    Err(Problem::refused(format!("Not stopped: {}", refused.join("; "))).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_is_named_once_and_nothing_else_is() {
        let one = "wharf-xvhdp-000000000000001";
        let query =
            format!("uuid={one}&x=1&uuid={one}&uuid=nonsense&uuid=wharf-xvhdp-000000000000000");
        let uuids: Vec<String> = named(query.as_bytes()).iter().map(ToString::to_string).collect();
        assert_eq!(uuids, ["wharf-xvhdp-000000000000000", one]);
        assert!(named(b"").is_empty());
    }
}
