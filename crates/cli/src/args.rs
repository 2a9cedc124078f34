//! The whole command line. The texts here are what `--help` prints.

mod client_commands;
mod roles;
pub(crate) mod values;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

pub use client_commands::ClientCommand;
pub(crate) use client_commands::{
    ConfigCommand, HostnameCommand, ImageCommand, LogsArgs, OpenArgs, PsArgs, RunArgs, ShowArgs,
    StopArgs, TokenCommand, UrlArgs,
};
pub use roles::{
    DEFAULT_LISTEN, DemoAppArgs, DemoArgs, DoctorArgs, RoleCommand, SuperviseArgs, UpArgs,
};

/// Runs services in containers, each behind its own authenticated web address.
#[derive(Debug, Parser)]
#[command(
    name = "wharf",
    version,
    arg_required_else_help = true,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Examples:
  wharf demo                                  see it work: one command, one link to click
  wharf up                                    start on this machine, in this terminal
  wharf image import jupyter.tar              in another one: load an image …
  wharf run --name lab --publish 8888 --wait --open
                                              … run it and open it in the browser

Commands find the local instance by themselves, or another one through ARVADOS_API_HOST and
ARVADOS_API_TOKEN. `wharf COMMAND --help` shows an example of each."
)]
pub struct Cli {
    /// What all commands take.
    #[command(flatten)]
    pub shared: SharedArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What all commands take.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct SharedArgs {
    /// Directory of the local instance's data [default: $WHARF_DATA, else /var/lib/wharf for root,
    /// ~/.local/share/wharf for others]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub data: Option<PathBuf>,
}

/// Every command, by who does it.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Done by the executable, which has all the parts.
    #[command(flatten)]
    Role(RoleCommand),
    /// Done by [`crate::run`].
    #[command(flatten)]
    Client(ClientCommand),
}

#[cfg(test)]
mod tests;
