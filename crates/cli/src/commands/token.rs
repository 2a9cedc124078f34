//! `wharf token`: API tokens.

use std::time::Duration;

use anyhow::Context as _;
use client::NewToken;
use model::{Timestamp, TokenRecord, UserUuid};
use serde_json::json;

use crate::args::TokenCommand;
use crate::context::Context;
use crate::output;
use crate::table::{Table, shorten};

/// Scopes are cut to this on the screen; `--json` has them whole.
const SCOPE_COLUMNS: usize = 40;

pub(crate) async fn token(context: &Context, command: TokenCommand) -> anyhow::Result<()> {
    match command {
        TokenCommand::Create { expires, scope, user } => {
            let owner_uuid = owner(context, user).await?;
            create(context, expires, scope, owner_uuid).await
        }
        TokenCommand::List { user, json } => {
            let owner_uuid = owner(context, user).await?;
            list(context, json, owner_uuid).await
        }
        TokenCommand::Revoke { uuid } => {
            context.client.delete_token(uuid).await?;
            if uuid == context.access.token.uuid() {
                output::remark("That was the token in use: `wharf up` makes a new one.");
            }
            Ok(())
        }
        TokenCommand::Current(args) => current(context, args.json).await,
    }
}

async fn owner(context: &Context, user: Option<String>) -> anyhow::Result<Option<UserUuid>> {
    match user {
        Some(name) => Ok(Some(super::user::find(context, &name).await?.uuid)),
        None => Ok(None),
    }
}

/// The token alone on stdout, so that it can go into a variable.
async fn create(
    context: &Context,
    expires: Option<Duration>,
    scopes: Vec<String>,
    owner_uuid: Option<UserUuid>,
) -> anyhow::Result<()> {
    let expires_at = expires.map(from_now).transpose()?;
    let scopes = (!scopes.is_empty()).then_some(scopes);
    let new = NewToken { expires_at, scopes, owner_uuid };
    let (token, record) = context.client.create_token(&new).await?;
    output::print_line(&token.expose())?;
    output::remark(&format!("It {}. It is not shown again.", expiry(&record)));
    Ok(())
}

fn from_now(after: Duration) -> anyhow::Result<Timestamp> {
    let now = jiff::Timestamp::now();
    let then = now.checked_add(after).context("--expires is too far away")?;
    Ok(Timestamp::from_jiff(then))
}

async fn list(context: &Context, json: bool, owner_uuid: Option<UserUuid>) -> anyhow::Result<()> {
    let mut tokens = context.client.list_tokens().await?;
    tokens.retain(|token| owner_uuid.is_none_or(|owner| token.owner_uuid == owner));
    if json {
        return output::print_json(&tokens);
    }
    let mut table = Table::new(&["ID", "USER", "EXPIRES", "SCOPES"]);
    for token in tokens {
        table.row([
            token.uuid.to_string(),
            token.owner_uuid.to_string(),
            token.expires_at.map_or_else(|| "never".to_owned(), day),
            scope_words(&token),
        ]);
    }
    output::print(&table.render(context.width()))?;
    Ok(())
}

async fn current(context: &Context, json: bool) -> anyhow::Result<()> {
    let (user, token) =
        tokio::try_join!(context.client.current_user(), context.client.current_token())?;
    if json {
        return output::print_json(&json!({ "user": user, "token": token }));
    }
    let role = if user.is_admin { ", administrator" } else { "" };
    let name = crate::table::printable(&user.full_name());
    output::print(&format!(
        "You are {name} ({}{role}) at {}.\nThe token {} {} and may do: {}.\n",
        user.uuid,
        context.access.api_host,
        token.uuid,
        expiry(&token),
        scope_words(&token),
    ))?;
    Ok(())
}

fn expiry(token: &TokenRecord) -> String {
    match token.expires_at {
        Some(at) => format!("lapses at {at}"),
        None => "does not lapse".to_owned(),
    }
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(16).collect::<String>().replace('T', " ")
}

fn scope_words(token: &TokenRecord) -> String {
    if token.is_unscoped() {
        "everything".to_owned()
    } else {
        shorten(&token.scopes.join(", "), SCOPE_COLUMNS)
    }
}
