//! What a client command needs: where the API is, who we are, what the terminal can do.

use std::path::PathBuf;

use client::{Client, TlsTrust};
use config::{ApiAccess, Environment, default_data_dir};

use crate::args::SharedArgs;

/// Made once per command.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) access: ApiAccess,
    pub(crate) environment: Environment,
}

impl Context {
    /// Finds the API; does not connect yet.
    pub(crate) fn load(shared: &SharedArgs) -> anyhow::Result<Self> {
        let environment = Environment::read();
        let access = api_access(shared, &environment)?;
        let client = api_client(&access)?;
        Ok(Self { client, access, environment })
    }

    /// Columns for tables; `None` when piped.
    pub(crate) fn width(&self) -> Option<usize> {
        crate::output::terminal_width(self.environment.columns)
    }
}

/// Where the API is and who we are.
pub fn api_access(shared: &SharedArgs, environment: &Environment) -> anyhow::Result<ApiAccess> {
    Ok(match &shared.data {
        // `--data` names an instance, so it goes before the environment.
        Some(dir) => config::Credentials::load(dir)?.into(),
        None => ApiAccess::find(environment, &data_dir(shared, environment))?,
    })
}

/// A client of that API; it does not connect yet.
pub fn api_client(access: &ApiAccess) -> anyhow::Result<Client> {
    let trust = match (&access.ca_file, access.insecure) {
        (_, true) => TlsTrust::Insecure,
        (Some(file), false) => TlsTrust::File(file.clone()),
        (None, false) => TlsTrust::System,
    };
    Ok(Client::http(&access.base_url, &access.token, &trust)?)
}

/// The data directory that flags and environment name.
pub(crate) fn data_dir(shared: &SharedArgs, environment: &Environment) -> PathBuf {
    shared.data.clone().unwrap_or_else(|| default_data_dir(environment))
}
