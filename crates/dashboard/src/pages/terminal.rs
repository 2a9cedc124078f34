//! A terminal in the container, for whoever may open its private ports; and the socket behind it, which is the API's.

use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};
use model::ContainerState;
use ring::rand::{SecureRandom as _, SystemRandom};

use super::problem::NoPage;
use super::service::{Asked, Tab, framed, request_uuid};
use super::signed_in::SignedIn;
use crate::app::App;
use crate::assets;
use crate::guard;
use crate::html::layout::Live;
use crate::html::parts;
use crate::view::service::Service;

/// Random bytes of the nonce that styles of this page have.
const NONCE_BYTES: usize = 18;

pub(crate) async fn page(
    State(app): State<App>,
    Asked { me, service }: Asked,
) -> Result<Response, NoPage> {
    let uuid = service.request.uuid;
    let why_not = why_not(&app, &me, &service);
    let nonce = new_nonce();
    let body = html! {
        section aria-labelledby="terminal-title" {
            h2 #terminal-title { "Terminal" }
            @match &why_not {
                Some(words) => p.note { (words) },
                None => (terminal(&app, &service, &nonce)),
            }
            (parts::command(&format!("wharf shell {uuid}")))
        }
    };
    let mut response = framed(&me, &service, Tab::Terminal, Live::Page, &body);
    if why_not.is_none()
        && let Ok(policy) = HeaderValue::try_from(guard::csp_with_styles(&nonce))
    {
        response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    Ok(response)
}

/// The same the API would say, before anybody tries.
fn why_not(app: &App, me: &SignedIn, service: &Service) -> Option<&'static str> {
    let runs = service.container.as_ref().is_some_and(|it| it.state == ContainerState::Running);
    match () {
        () if !app.0.config.terminals => {
            Some("Terminals are switched off on this site (Terminals.Enabled).")
        }
        () if !service.mine && !me.user.is_admin => Some(
            "Only who submitted the request may open a terminal in its container, and administrators.",
        ),
        () if service.state.is_over() => {
            Some("The container is over: there is a terminal only while it runs.")
        }
        () if !runs => {
            Some("The container does not run yet: there is a terminal only while it runs.")
        }
        () => None,
    }
}

fn terminal(app: &App, service: &Service, nonce: &str) -> Markup {
    let uuid = service.request.uuid;
    let container = service.container.as_ref().map(|it| it.uuid.to_string()).unwrap_or_default();
    html! {
        @for style in assets::terminal_styles() { link rel="stylesheet" href=(style); }
        p.note { "In container " code { (container) } " on " code { (app.0.config.api_host) } ", as the user that runs its program. Who opened one and when is in its events." }
        noscript { p.notice { "A terminal needs script. From a command line it goes without:" } }
        form.inline #terminal-start hidden {
            label { span { "Shell" }
                select #terminal-shell {
                    option value="" { "The user's own" }
                    option value="bash" { "bash" }
                    option value="sh" { "sh" }
                }
            }
            button type="submit" { "Open a terminal" }
        }
        div.terminal-bar {
            p #terminal-state role="status" aria-live="polite" { "Not connected." }
            div #terminal-end hidden { button.plain type="button" { "End it" } }
            label.check { input #terminal-reads type="checkbox"; "For screen readers" }
        }
        div.terminal data-terminal=(uuid) nonce=(nonce) data-xterm=(assets::xterm()) data-fit=(assets::xterm_fit())
            #screen role="region" aria-label="Terminal" hidden {}
        p.note #terminal-keys { "In the terminal every key goes to the program. " kbd { "Ctrl+Alt+Esc" } " leaves it, "
            kbd { "Ctrl+Shift+C" } " copies what is marked, " kbd { "Ctrl+Shift+V" } " pastes. Loading the page again goes on with it." }
        script type="module" src=(assets::terminal_script()) {}
    }
}

fn new_nonce() -> String {
    let mut bytes = [0; NONCE_BYTES];
    // Without randomness the policy lets no style of the page's in: it looks plain, and is as safe.
    match SystemRandom::new().fill(&mut bytes) {
        Ok(()) => STANDARD.encode(bytes),
        Err(_unspecified) => String::new(),
    }
}

/// Hands a browser's socket on to the API, with the session's token for its cookie. A page of another origin could make
/// a browser open one: the browser says so, and is refused.
pub(crate) async fn socket(
    me: SignedIn,
    Path(uuid): Path<String>,
    request: Request,
) -> Result<Response, NoPage> {
    let uuid = request_uuid(&uuid)?;
    if !guard::may_be_own_socket(&request) {
        let text = "Refused: this socket was opened by another site.\n";
        return Ok((StatusCode::FORBIDDEN, text).into_response());
    }
    let answer = me.api.client.pass_on_shell(uuid, request).await;
    answer.map_err(|error| me.no_page(error.into(), "terminal"))
}
