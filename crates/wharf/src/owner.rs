//! The person whose machine it is: the administrator that the first process makes, and the token in `credentials.json`.

use crate::controller::Role;
use crate::data_dir::DataDir;
use anyhow::{Context, Result};
use config::{Config, Credentials};
use model::ApiToken;
use std::path::Path;
use std::time::Duration;
use store::{NewToken, NewUser, Store};

/// Whether anybody listens on a port of this machine is known at once.
const PROBE_TIMEOUT: Duration = Duration::from_millis(200);

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

/// Writes where and as whom the command line reaches us. Of several controllers any will do: one that is named and
/// still listens stays.
pub(crate) async fn publish(
    config: &Config,
    data: &DataDir,
    role: Role,
    token: &ApiToken,
) -> Result<()> {
    let _setup = data.begin_setup().await?;
    if role == Role::Controller && names_a_live_one(data.path(), token) {
        return Ok(());
    }
    let port = config.listen.port();
    let credentials = Credentials {
        api_host: format!("localhost:{port}"),
        api_url: Some(format!("http://localhost:{port}")),
        token: token.clone(),
        ca_file: Some(data.path().join("ca.pem")),
        insecure: false,
    };
    credentials.save(data.path()).context("write credentials.json")
}

/// Whether somebody listens where the file says.
fn names_a_live_one(data: &Path, token: &ApiToken) -> bool {
    let Ok(named) = Credentials::load(data) else { return false };
    let port = named.api_host.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    let listens = |port: u16| {
        std::net::TcpStream::connect_timeout(&([127, 0, 0, 1], port).into(), PROBE_TIMEOUT).is_ok()
    };
    named.token.uuid() == token.uuid() && port.is_some_and(listens)
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
