//! The person whose machine it is: the administrator that `wharf up` makes, and the token in `credentials.json`.

use anyhow::{Context, Result};
use config::Credentials;
use model::ApiToken;
use std::path::Path;
use store::{NewToken, NewUser, Store};

/// The owner's token: the one in `credentials.json` while it is valid, else a new one.
pub(crate) async fn token(store: &Store, data: &Path) -> Result<ApiToken> {
    if let Ok(known) = Credentials::load(data)
        && store.authenticate(&known.token).await?.is_some()
    {
        return Ok(known.token);
    }
    let system = store.ensure_system_user().await?;
    let username = username();
    let user = match store.user_by_username(&username).await? {
        Some(user) => user,
        None => {
            let new = NewUser {
                email: format!("{username}@localhost"),
                username: username.clone(),
                first_name: username,
                is_admin: true,
                is_active: true,
                ..NewUser::default()
            };
            store.create_user(new).await.context("record the owner of this machine")?
        }
    };
    let new = NewToken {
        owner: user.uuid,
        scopes: vec!["all".to_owned()],
        expires_at: None,
        made_by: system.uuid,
    };
    let (token, _record) = store.create_token(new).await.context("make the owner's token")?;
    Ok(token)
}

/// The name of the user that runs us, from `/etc/passwd`; `admin` where that has none, and for root, since `root` is
/// the records' own system user.
fn username() -> String {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let accounts = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    accounts
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&uid.as_str()))
        .and_then(|fields| fields.first().map(|name| (*name).to_owned()))
        .filter(|name| name != "root")
        .unwrap_or_else(|| "admin".to_owned())
}
