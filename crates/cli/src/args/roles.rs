//! Commands that need the whole program.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

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
    /// Run one container (started by the controller, not by people)
    #[command(hide = true)]
    Supervise(SuperviseArgs),
    /// The program inside the demo's image
    #[command(hide = true)]
    DemoApp(DemoAppArgs),
}

/// Flags of `wharf up`.
#[derive(Clone, Debug, Default, Args)]
pub struct UpArgs {
    /// Address and port to serve, http and https both; port 0 takes any free one
    /// [default: 127.0.0.1:8000]
    #[arg(long, value_name = "ADDR:PORT", value_parser = parse_listen)]
    pub listen: Option<SocketAddr>,
    /// Open the dashboard in the browser
    #[arg(long)]
    pub open: bool,
    /// Config file; `wharf config check` prints one with all keys and their defaults
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Write this file once everything is served
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
