//! Commands about users and their tokens.

use std::time::Duration;

use clap::{Args, Subcommand};
use model::TokenUuid;

use super::client_commands::ListArgs;
use super::values::parse_duration;

/// How a user is named on the command line.
const USER_HELP: &str = "Short name, address or identifier of the user";

#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it; it is shown this once
    #[command(after_help = "Examples:\n  wharf token create --expires 30d\n  \
            wharf token create --user ada --scope \"GET /arvados/v1/containers/\"")]
    Create {
        /// When it lapses, counted from now [default: the server's choice]
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        expires: Option<Duration>,
        /// What it may do, such as "GET /arvados/v1/containers"; repeatable
        /// [default: everything you may]
        #[arg(long, value_name = "METHOD PATH")]
        scope: Vec<String>,
        /// Whom it acts for: another user, by administrators [default: you]
        #[arg(long, value_name = "USER")]
        user: Option<String>,
    },
    /// List tokens, without their secrets
    #[command(after_help = "Examples:\n  wharf token list\n  wharf token list --user ada")]
    List {
        /// Only those that act for this user
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// Print the records as JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a token: what it opened is closed within a second
    #[command(
        visible_alias = "delete",
        after_help = "Example:\n  wharf token revoke wharf-gj3su-0123456789abcde"
    )]
    Revoke {
        /// Identifier of the token
        uuid: TokenUuid,
    },
    /// Say who you are and which token is in use
    #[command(after_help = "Example:\n  wharf token current")]
    Current(ListArgs),
}

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Make a user; administrators only
    #[command(after_help = "Example:\n  wharf user create ada --email ada@example.com --password")]
    Create(NewUserArgs),
    /// List users
    #[command(after_help = "Example:\n  wharf user list")]
    List(ListArgs),
    /// Show a user, and whom they are at the provider that people sign in with
    #[command(after_help = "Example:\n  wharf user show ada")]
    Show {
        #[arg(help = USER_HELP)]
        user: String,
        /// Print the record as JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a user act: whoever signs in for the first time may have to wait for this
    #[command(after_help = "Example:\n  wharf user activate ada")]
    Activate {
        #[arg(help = USER_HELP)]
        user: String,
    },
    /// Let a user act no more: what they have open is closed within a second
    #[command(after_help = "Example:\n  wharf user deactivate ada")]
    Deactivate {
        #[arg(help = USER_HELP)]
        user: String,
    },
    /// Make a user an administrator, who may do everything
    #[command(after_help = "Examples:\n  wharf user admin ada\n  wharf user admin ada --remove")]
    Admin {
        #[arg(help = USER_HELP)]
        user: String,
        /// Make them an ordinary user again
        #[arg(long)]
        remove: bool,
    },
    /// Set a user's password: asked for at the terminal, or a line of standard input
    #[command(
        visible_alias = "password",
        after_help = "Examples:\n  wharf user passwd ada\n  wharf user passwd ada --remove"
    )]
    Passwd {
        #[arg(help = USER_HELP)]
        user: String,
        /// Take the password away
        #[arg(long)]
        remove: bool,
    },
    /// Forget whom a user is at the provider: who signs in there as before is somebody new
    #[command(after_help = "Example:\n  wharf user unlink ada")]
    Unlink {
        #[arg(help = USER_HELP)]
        user: String,
    },
    /// Delete an account that nothing belongs to, with its tokens
    #[command(after_help = "Example:\n  wharf user delete ada")]
    Delete {
        #[arg(help = USER_HELP)]
        user: String,
    },
}

#[derive(Debug, Args)]
pub struct NewUserArgs {
    /// Short name: letters, digits, - and _
    pub(crate) name: String,
    /// Address
    #[arg(long, value_name = "ADDRESS", default_value = "")]
    pub(crate) email: String,
    /// First name
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) first_name: String,
    /// Last name
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) last_name: String,
    /// May do everything
    #[arg(long)]
    pub(crate) admin: bool,
    /// Set a password too: asked for at the terminal, or a line of standard input
    #[arg(long)]
    pub(crate) password: bool,
}

#[derive(Debug, Subcommand)]
pub enum NodeCommand {
    /// List machines, what of them is promised, and whether they take new containers
    #[command(after_help = "Example:\n  wharf node list")]
    List(ListArgs),
    /// Let a machine take no new containers, before work on it: what runs there goes on, what is submitted waits
    #[command(
        after_help = "Example:\n  wharf node cordon pier-1\n\n`wharf ps` lists what still runs, `wharf stop` ends it."
    )]
    Cordon {
        /// Name of the machine
        name: String,
    },
    /// Let a machine take new containers again: what waits begins
    #[command(after_help = "Example:\n  wharf node uncordon pier-1")]
    Uncordon {
        /// Name of the machine
        name: String,
    },
}
