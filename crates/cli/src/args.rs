//! The whole command line. The texts here are what `--help` prints.

mod admin_commands;
mod client_commands;
mod cwl;
mod roles;
pub(crate) mod values;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

pub(crate) use admin_commands::{NewUserArgs, NodeCommand, TokenCommand, UserCommand};
pub use client_commands::ClientCommand;
pub(crate) use client_commands::{
    ConfigCommand, ExtendArgs, ForwardArgs, HostnameCommand, ImageCommand, InviteCommand, LogsArgs,
    OpenArgs, PsArgs, RunArgs, ShareArgs, ShellArgs, ShowArgs, StopArgs, UnshareArgs, UrlArgs,
};
pub use cwl::{CwlCommand, CwlRunArgs, CwlValidateArgs};
pub use roles::{
    ControllerArgs, DEFAULT_LISTEN, DatabaseCommand, DatabaseCopyArgs, DemoAppArgs, DemoArgs,
    DispatchArgs, DoctorArgs, RoleCommand, ServeArgs, SuperviseArgs, UpArgs,
};

use crate::{failure, output};

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

/// Reads the process's command line. `Err` is the exit code after help, version or a mistake,
/// which was printed: a mistake as one line that says what to do.
pub fn parse() -> Result<Cli, ExitCode> {
    Cli::try_parse().map_err(|error| {
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return match output::print(&error.render().to_string()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(unprinted) => failure::report(&unprinted.into()),
            };
        }
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            // What can be typed here is the best answer to nothing.
            output::remark(error.render().to_string().trim_end());
        } else {
            let command = std::env::args_os().nth(1);
            let command = command.as_deref().and_then(OsStr::to_str).unwrap_or_default();
            output::remark(&format!("wharf: {}", usage_line(&error, command)));
        }
        ExitCode::from(2)
    })
}

/// clap's message without its layout, and where to read more.
fn usage_line(error: &clap::Error, first_word: &str) -> String {
    let text = error.render().to_string();
    let message = text.split("\n\nUsage:").next().unwrap_or_default();
    let message = message.split("\n\nFor more information").next().unwrap_or_default();
    let words: Vec<&str> = message.split_whitespace().collect();
    let message = words.join(" ").replace(" tip: ", "; ");
    let message = message.strip_prefix("error: ").unwrap_or(&message).to_owned();
    let known = Cli::command().find_subcommand(first_word).is_some();
    let command = if known { format!("wharf {first_word}") } else { "wharf".to_owned() };
    format!("{message}; see `{command} --help`")
}

#[cfg(test)]
mod tests;
