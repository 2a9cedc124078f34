//! Account: who I am, how to use the clients, the way out.

use axum::extract::State;
use axum::response::Response;
use maud::html;

use super::signed_in::SignedIn;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;

pub(crate) async fn page(State(app): State<App>, me: SignedIn) -> Response {
    let config = &app.0.config;
    let user = &me.user;
    let mut exports = format!("export ARVADOS_API_HOST={}\n", config.api_host);
    exports.push_str("export ARVADOS_API_TOKEN=…   # from: wharf token create");
    if let Some(path) = &config.ca_file {
        exports.push_str("\nexport SSL_CERT_FILE=");
        exports.push_str(&path.display().to_string());
    }
    let ca = config.ca_file.as_ref().map(|path| format!("--cacert {} ", path.display()));
    let curl = format!(
        "curl {}-H \"Authorization: Bearer $ARVADOS_API_TOKEN\" \\\n  https://{}/arvados/v1/users/current",
        ca.unwrap_or_default(),
        config.api_host
    );
    let body = html! {
        div.title { h1 { "Account" } }
        section aria-labelledby="me-title" {
            h2 #me-title { "Signed in as" }
            dl.facts {
                dt { "Name" } dd { (user.full_name()) }
                dt { "User name" } dd { (user.username) }
                @if !user.email.is_empty() { dt { "Mail" } dd { (user.email) } }
                dt { "Rights" } dd { @if user.is_admin { "administrator" } @else { "ordinary user" } }
                dt { "Identifier" } dd { code { (user.uuid) } }
            }
            form method="post" action="/sign-out" {
                (parts::form_token(&me.session.form_token))
                button.plain type="submit" { "Sign out" }
            }
        }
        section aria-labelledby="clients-title" {
            h2 #clients-title { "Use it from a terminal" }
            p { "On the machine that runs Wharf, this sets up Arvados clients and the " code { "wharf" } " command alike:" }
            (parts::command("eval \"$(wharf env)\""))
            p { "Anywhere else, set these. The token is never shown on a page:" }
            (parts::command(&exports))
            p { "Then any HTTP client will do:" }
            (parts::command(&curl))
        }
    };
    me.page("Account", Place::Account, Live::No, body)
}
