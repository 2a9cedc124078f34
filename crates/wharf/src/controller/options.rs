//! What is decided before a controller starts.

use super::settings;
use crate::replace::Relaunch;
use anyhow::Result;
use config::{Config, DatabaseUrl};
use std::net::SocketAddr;
use std::path::PathBuf;

/// What the process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `wharf up`: it serves, and dispatches too. One for each data directory.
    Everything,
    /// `wharf controller`: it serves. Any number for each data directory.
    Controller,
}

/// What flags and environment say.
#[derive(Debug)]
pub(crate) struct ControllerOptions {
    /// What it is to do.
    pub(crate) role: Role,
    /// Where everything is kept.
    pub(crate) data: PathBuf,
    /// Where to listen, if the command line says so; port 0 means any free one.
    pub(crate) listen: Option<SocketAddr>,
    /// A config file over the local defaults.
    pub(crate) config_file: Option<PathBuf>,
    /// Where the records are, if flags or environment say so.
    pub(crate) database: Option<DatabaseUrl>,
    /// Take the place of the process that runs.
    pub(crate) replace: bool,
    /// How to start a process that is to take ours.
    pub(crate) relaunch: Relaunch,
}

impl ControllerOptions {
    /// The config: the local defaults, the file over them. `bound` is the address that was really bound.
    pub(crate) fn resolve(&self, bound: Option<SocketAddr>) -> Result<Config> {
        let file = self.config_file.as_deref();
        let mut config =
            settings::resolve(&self.data, bound.or(self.listen), file, self.database.as_ref())?;
        match (self.listen, bound, file) {
            (Some(flag), None, Some(path)) if config.listen != flag => anyhow::bail!(
                "--listen says {flag} and Listen in {} says {}: give one of them",
                path.display(),
                config.listen
            ),
            (_, Some(bound), _) => config.listen = bound,
            _ => {}
        }
        Ok(config)
    }
}
