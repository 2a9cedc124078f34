//! Commands that need the whole program.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use config::DatabaseUrl;

use super::cwl::CwlCommand;
use super::values::parse_listen;

/// Where `wharf up` listens unless flag or config say otherwise: this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8000";

/// Commands that the executable does.
#[derive(Debug, Subcommand)]
pub enum RoleCommand {
    /// Start Wharf on this machine: API, dashboard, service hosts and containers in one process
    #[command(
        display_order = 1,
        after_help = "Example:\n  wharf up --listen 127.0.0.1:8000\n\n\
        Ctrl-C stops the controller; running services go on and are found again by the next `wharf up`."
    )]
    Up(UpArgs),
    /// Start Wharf with a demo service in it and open the dashboard
    #[command(display_order = 2, after_help = "Example:\n  wharf demo")]
    Demo(DemoArgs),
    /// Check whether this machine can run containers, and say what to do where it cannot
    #[command(display_order = 40, after_help = "Example:\n  wharf doctor")]
    Doctor(DoctorArgs),
    /// Serve API, dashboard and service hosts, and start no containers: one of several controllers
    /// over one data directory
    #[command(
        display_order = 50,
        after_help = "Example:\n  wharf controller --data /srv/wharf --listen 127.0.0.1:8001 --config wharf.yml\n\n\
        Any number of them, each with an address of its own, behave alike; `wharf dispatch` beside them starts the containers."
    )]
    Controller(ControllerArgs),
    /// Start queued containers and look after them, and serve nothing
    #[command(
        display_order = 51,
        after_help = "Example:\n  wharf dispatch --data /srv/wharf --config wharf.yml\n\n\
        One process at a time does it for a data directory; others wait and take its place when it ends."
    )]
    Dispatch(DispatchArgs),
    /// Move the records
    #[command(display_order = 52, subcommand)]
    Database(DatabaseCommand),
    /// Run and check tools and workflows of the Common Workflow Language
    #[command(display_order = 25, subcommand)]
    Cwl(CwlCommand),
    /// Run one container (started by the controller, not by people)
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// The program inside the demo's image
    #[command(hide = true)]
    DemoApp(DemoAppArgs),
}

/// Commands about the database.
#[derive(Debug, Subcommand)]
pub enum DatabaseCommand {
    /// Copy all records out of the file in the data directory into an empty PostgreSQL database, while Wharf is stopped
    #[command(after_help = "Example:\n  \
        WHARF_DATABASE=postgres://wharf:PASSWORD@db.example.com/wharf wharf database copy --data /var/lib/wharf\n\n\
        All are copied, or none. The file stays as it is; from then on start Wharf with the same WHARF_DATABASE.\n\
        Running containers go on, and are found again by the next start.")]
    Copy(DatabaseCopyArgs),
}

/// Flags of `wharf database copy`.
#[derive(Clone, Debug, Args)]
pub struct DatabaseCopyArgs {
    /// Where to, as postgres://user:password@host:5432/name [default: $WHARF_DATABASE, which other users of this machine do
    /// not see]
    #[arg(long, value_name = "URL")]
    pub to: Option<DatabaseUrl>,
}

/// Flags of everything that serves.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {
    /// Address and port to serve, http and https both; port 0 takes any free one
    /// [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen, overrides_with = "listen")]
    pub listen: Option<SocketAddr>,
    /// Take the place of the one that runs, on the same data (`up`) or address (`controller`), without losing a
    /// request; where none runs, just start. SIGUSR2 to the one that runs does the same
    #[arg(long)]
    pub replace: bool,
    /// Config file; `wharf config check` prints one with all keys and their defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// PostgreSQL database for the records, as postgres://user:password@host:5432/name, in place of a file in the data
    /// directory [default: $WHARF_DATABASE, which other users of this machine do not see, else Database.URL of the config]
    #[arg(long, value_name = "URL")]
    pub database: Option<DatabaseUrl>,
    /// Write this file once everything is served
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

/// Flags of `wharf up`.
#[derive(Clone, Debug, Default, Args)]
pub struct UpArgs {
    /// Where and how to serve.
    #[command(flatten)]
    pub serve: ServeArgs,
    /// Open the dashboard in the browser
    #[arg(long)]
    pub open: bool,
}

/// Flags of `wharf controller`.
#[derive(Clone, Debug, Default, Args)]
pub struct ControllerArgs {
    /// Where and how to serve.
    #[command(flatten)]
    pub serve: ServeArgs,
}

/// Flags of `wharf dispatch`.
#[derive(Clone, Debug, Default, Args)]
pub struct DispatchArgs {
    /// Config file, the one of the controllers
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// PostgreSQL database for the records, as postgres://user:password@host:5432/name, in place of a file in the data
    /// directory [default: $WHARF_DATABASE, which other users of this machine do not see, else Database.URL of the config]
    #[arg(long, value_name = "URL")]
    pub database: Option<DatabaseUrl>,
    /// Write this file once it runs, whether it is its turn yet or not
    #[arg(long, value_name = "FILE")]
    pub ready_file: Option<PathBuf>,
}

/// Flags of `wharf demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct DemoArgs {
    /// As for `wharf up`.
    #[command(flatten)]
    pub up: UpArgs,
    /// Only print the link
    #[arg(long, conflicts_with = "open")]
    pub no_open: bool,
}

/// Flags of `wharf doctor`.
#[derive(Clone, Debug, Default, Args)]
pub struct DoctorArgs {
    /// Print the checks as JSON
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `wharf supervise`.
#[derive(Clone, Debug, Args)]
pub struct SuperviseArgs {
    /// The container's directory, with spec.json and secret
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// Only remove what an earlier supervisor left there
    #[arg(long)]
    pub sweep: bool,
}

/// Arguments of `wharf demo-app`.
#[derive(Clone, Debug, Args)]
pub struct DemoAppArgs {
    /// Port to serve on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub port: u16,
}
