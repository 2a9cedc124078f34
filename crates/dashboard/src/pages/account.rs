//! Account: who I am, tokens and sessions, how to use the clients, the way out.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};
use model::{ApiToken, Timestamp, TokenRecord};

use super::problem::NoPage;
use super::signed_in::SignedIn;
use crate::app::App;
use crate::html::layout::{Live, Place};
use crate::html::parts;

/// Lifetimes that the form offers, in days.
pub(super) const DAYS: [(&str, &str); 4] =
    [("1", "a day"), ("30", "30 days"), ("365", "a year"), ("", "no end")];

pub(crate) async fn page(State(app): State<App>, me: SignedIn) -> Result<Response, NoPage> {
    render(&app, &me, None, None).await
}

/// The page, with a token that was just made, or what is wrong with the form.
pub(super) async fn render(
    app: &App,
    me: &SignedIn,
    made: Option<&ApiToken>,
    wrong: Option<&str>,
) -> Result<Response, NoPage> {
    let tokens = me.api.client.list_tokens().await;
    let tokens = tokens.map_err(|error| me.no_page(error.into(), "list of tokens"))?;
    // Administrators see everybody's; this page is about one's own.
    let tokens: Vec<TokenRecord> =
        tokens.into_iter().filter(|token| token.owner_uuid == me.user.uuid).collect();
    let user = &me.user;
    let form_token = &me.session.form_token;
    let body = html! {
        div.title { h1 { "Account" } }
        @if let Some(made) = made { (made_token(made)) }
        div.columns {
            section aria-labelledby="me-title" {
                h2 #me-title { "Signed in as" }
                dl.facts {
                    dt { "Name" } dd { (user.full_name()) }
                    dt { "User name" } dd { (user.username) }
                    @if !user.email.is_empty() { dt { "Mail" } dd { (user.email) } }
                    dt { "Rights" } dd { @if user.is_admin { "administrator" } @else { "ordinary user" } }
                    dt { "Identifier" } dd { code { (user.uuid) } }
                }
                div.choices {
                    form method="post" action="/sign-out" {
                        (parts::form_token(form_token))
                        button.plain type="submit" { "Sign out" }
                    }
                    form method="post" action="/account/sign-out-everywhere" {
                        (parts::form_token(form_token))
                        button.plain type="submit" { "Sign out everywhere else" }
                    }
                }
                p.note { "Everywhere else: every session and token of yours that ends by itself is revoked, and what is open by it ends at once. Tokens without an end stay." }
            }
            (new_token(form_token, wrong))
        }
        (token_list(&tokens, me))
        (terminal(app))
    };
    Ok(me.page("Account", Place::Account, Live::No, body))
}

fn made_token(made: &ApiToken) -> Markup {
    html! {
        section.made aria-labelledby="made-title" {
            h2 #made-title { "Your new token" }
            p { "Copy it now: it is shown this once and kept nowhere." }
            (parts::command(&made.expose()))
        }
    }
}

fn new_token(form_token: &str, wrong: Option<&str>) -> Markup {
    html! {
        section aria-labelledby="new-title" {
            h2 #new-title { "Make a token" }
            @if let Some(wrong) = wrong { p.notice #wrong-token role="alert" { (wrong) } }
            form.stack method="post" action="/account/tokens" {
                (parts::form_token(form_token))
                label for="lives" { "It lasts for" }
                select #lives name="days" { @for (days, words) in DAYS { option value=(days) selected[days == "30"] { (words) } } }
                label for="may" { "It may" }
                select #may name="may" {
                    option value="all" { "do all that I may" }
                    option value="read" { "read records, change nothing" }
                    option value="some" { "make the calls below" }
                }
                label for="scopes" { "Calls, for the last choice" }
                textarea.mono #scopes name="scopes" rows="2" spellcheck="false" placeholder="GET /arvados/v1/container_requests/" aria-describedby="scopes-help" aria-invalid=[wrong.map(|_| "true")] {}
                p.note #scopes-help { "One method and path a line; a path that ends with / stands for all below it. Only a token for everything opens private ports." }
                button type="submit" { "Make it" }
            }
        }
    }
}

fn token_list(tokens: &[TokenRecord], me: &SignedIn) -> Markup {
    let now = App::now();
    html! {
        section aria-labelledby="tokens-title" {
            h2 #tokens-title { "Tokens and sessions" }
            div.table-box {
                table {
                    thead { tr { th scope="col" { "Identifier" } th scope="col" { "May" } th scope="col" { "Made" } th scope="col" { "Ends" } th scope="col" { span.unseen { "Revoke" } } } }
                    tbody { @for token in tokens { (token_row(token, me, &now)) } }
                }
            }
            p.note { "Each sign-in here has a token of its own, so sessions stand in this list too." }
        }
    }
}

fn token_row(token: &TokenRecord, me: &SignedIn, now: &Timestamp) -> Markup {
    let is_this = token.uuid == me.session.token.uuid();
    let is_over = token.expires_at.is_some_and(|at| at <= *now);
    html! {
        tr {
            th scope="row" { code { (token.uuid) } }
            td { @if token.is_unscoped() { "everything" } @else { (token.scopes.join(", ")) } }
            td { (parts::ago(&token.created_at, now)) }
            td {
                @match &token.expires_at {
                    None => "never",
                    Some(at) if is_over => { (parts::ago(at, now)) }
                    Some(at) => { "in " (parts::until(at, now)) }
                }
            }
            td {
                @if is_this { "this session" }
                @else {
                    form method="post" action="/account/tokens/delete" {
                        (parts::form_token(&me.session.form_token))
                        input type="hidden" name="uuid" value=(token.uuid);
                        button.plain.small type="submit" { "Revoke" span.unseen { " " (token.uuid) } }
                    }
                }
            }
        }
    }
}

fn terminal(app: &App) -> Markup {
    let config = &app.0.config;
    let mut exports = format!("export ARVADOS_API_HOST={}\n", config.api_host);
    exports.push_str("export ARVADOS_API_TOKEN=…   # one made above");
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
    html! {
        section aria-labelledby="clients-title" {
            h2 #clients-title { "Use it from a terminal" }
            p { "On the machine that runs Wharf, this sets up Arvados clients and the " code { "wharf" } " command alike:" }
            (parts::command("eval \"$(wharf env)\""))
            p { "Anywhere else, set these:" }
            (parts::command(&exports))
            p { "Then any HTTP client will do:" }
            (parts::command(&curl))
        }
    }
}
