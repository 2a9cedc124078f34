//! `wharf user`: who may sign in.

use std::io::{self, BufRead as _, IsTerminal as _};

use anyhow::{Context as _, bail};
use client::{NewUser, UserChange, UserIdentity};
use model::{User, UserUuid};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use serde_json::json;

use crate::args::{NewUserArgs, UserCommand};
use crate::context::Context;
use crate::output;
use crate::table::{Table, printable};

pub(crate) async fn user(context: &Context, command: UserCommand) -> anyhow::Result<()> {
    match command {
        UserCommand::Create(args) => create(context, args).await,
        UserCommand::List(args) => list(context, args.json).await,
        UserCommand::Show { user, json } => show(context, &user, json).await,
        UserCommand::Activate { user } => {
            change(context, &user, &UserChange { is_active: Some(true), ..UserChange::default() })
                .await
        }
        UserCommand::Deactivate { user } => {
            change(context, &user, &UserChange { is_active: Some(false), ..UserChange::default() })
                .await
        }
        UserCommand::Admin { user, remove } => {
            change(context, &user, &UserChange { is_admin: Some(!remove), ..UserChange::default() })
                .await
        }
        UserCommand::Passwd { user, remove } => passwd(context, &user, remove).await,
        UserCommand::Unlink { user } => unlink(context, &user).await,
        UserCommand::Delete { user } => delete(context, &user).await,
    }
}

/// The user with this short name, address or identifier.
pub(super) async fn find(context: &Context, name: &str) -> anyhow::Result<User> {
    if let Ok(uuid) = UserUuid::parse(name) {
        return Ok(context.client.get_user(uuid).await?);
    }
    if let Some(user) = context.client.find_user(name).await? {
        return Ok(user);
    }
    let mut users = context.client.find_users_by_email(name).await?;
    match (users.pop(), users.len()) {
        (Some(user), 0) => Ok(user),
        (Some(_), _) => {
            bail!("several users have the address {name:?}: name one by its identifier")
        }
        (None, _) => bail!("there is no user {name:?}; see `wharf user list`"),
    }
}

/// Says what became of the user, for the person at the terminal.
async fn change(context: &Context, name: &str, change: &UserChange) -> anyhow::Result<()> {
    let user = find(context, name).await?;
    let user = context.client.change_user(user.uuid, change).await?;
    let name = printable(&user.username);
    output::remark(&format!("{name} ({}) is now: {}.", user.uuid, role(&user)));
    Ok(())
}

async fn show(context: &Context, name: &str, json: bool) -> anyhow::Result<()> {
    let user = find(context, name).await?;
    let identities = context.client.identities_of(user.uuid).await?;
    if json {
        return output::print_json(&json!({ "user": user, "identities": identities }));
    }
    let made = user.created_at.to_string();
    let full_name = user.full_name();
    let mut rows = vec![
        ("ID", user.uuid.to_string()),
        ("Name", user.username.clone()),
        ("Full name", full_name),
        ("Email", user.email.clone()),
        ("Role", role(&user).to_owned()),
        ("Made", made),
    ];
    let place = |it: &UserIdentity| ("Signs in as", format!("{} at {}", it.subject, it.issuer));
    rows.extend(identities.iter().map(place));
    let line = |(name, value): &(&str, String)| format!("{name:<12} {}", printable(value));
    let lines: Vec<String> = rows.iter().map(|row| format!("{}\n", line(row).trim_end())).collect();
    output::print(&lines.concat())?;
    Ok(())
}

async fn unlink(context: &Context, name: &str) -> anyhow::Result<()> {
    let user = find(context, name).await?;
    let n_forgotten = context.client.forget_identities(user.uuid).await?;
    let name = printable(&user.username);
    output::remark(&match n_forgotten {
        0 => format!("{name} ({}) was nobody at the provider.", user.uuid),
        _ => format!("{name} ({}) is nobody at the provider any more.", user.uuid),
    });
    Ok(())
}

async fn delete(context: &Context, name: &str) -> anyhow::Result<()> {
    let user = find(context, name).await?;
    context.client.delete_user(user.uuid).await?;
    output::remark(&format!("{} ({}) is gone.", printable(&user.username), user.uuid));
    Ok(())
}

/// The identifier alone on stdout, so that it can go into a variable.
async fn create(context: &Context, args: NewUserArgs) -> anyhow::Result<()> {
    // Asked for first: nothing is made where the two do not agree.
    let password = args.password.then(|| ask_password(&args.name)).transpose()?;
    let new = NewUser {
        username: args.name,
        email: args.email,
        first_name: args.first_name,
        last_name: args.last_name,
        is_admin: args.admin,
    };
    let user = context.client.create_user(&new).await?;
    if let Some(password) = password {
        let set = context.client.set_password(user.uuid, Some(&password)).await;
        set.with_context(|| format!("the user {} was made, without a password", user.uuid))?;
    }
    output::print_line(user.uuid.as_str())?;
    Ok(())
}

async fn list(context: &Context, json: bool) -> anyhow::Result<()> {
    let users = context.client.list_users().await?;
    if json {
        return output::print_json(&users);
    }
    let mut table = Table::new(&["ID", "NAME", "FULL NAME", "EMAIL", "ROLE"]);
    for user in users {
        table.row([
            user.uuid.to_string(),
            printable(&user.username),
            printable(&user.full_name()),
            printable(&user.email),
            role(&user).to_owned(),
        ]);
    }
    output::print(&table.render(context.width()))?;
    Ok(())
}

fn role(user: &User) -> &'static str {
    match (user.is_active, user.is_admin) {
        (false, _) => "inactive",
        (true, true) => "administrator",
        (true, false) => "user",
    }
}

async fn passwd(context: &Context, name: &str, remove: bool) -> anyhow::Result<()> {
    let user = find(context, name).await?;
    let password = (!remove).then(|| ask_password(name)).transpose()?;
    context.client.set_password(user.uuid, password.as_deref()).await?;
    Ok(())
}

/// Twice from a terminal, which does not show it; else one line of standard input.
fn ask_password(name: &str) -> anyhow::Result<String> {
    if !io::stdin().is_terminal() {
        return read_line();
    }
    let _hidden = Hidden::begin()?;
    output::remark(&format!("Password for {name}:"));
    let password = read_line()?;
    output::remark("Once more:");
    anyhow::ensure!(read_line()? == password, "the two are not equal; nothing was changed");
    Ok(password)
}

fn read_line() -> anyhow::Result<String> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).context("read a password")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

/// A terminal that does not show what is typed, until this is dropped.
struct Hidden(Termios);

impl Hidden {
    fn begin() -> anyhow::Result<Self> {
        let before = tcgetattr(io::stdin()).context("ask the terminal how it is set")?;
        let mut hidden = before.clone();
        hidden.local_modes.remove(LocalModes::ECHO);
        tcsetattr(io::stdin(), OptionalActions::Flush, &hidden).context("hide what is typed")?;
        Ok(Self(before))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // There is nobody to tell but the same terminal.
        let _best_effort = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
    }
}
