//! Commands that only need the API.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use client::LogStreamName;
use config::ByteSize;
use model::{ContainerPort, InvitationUuid};

use super::admin_commands::{NodeCommand, TokenCommand, UserCommand};
use super::values::{Forward, Mount, Publish, parse_duration, parse_env, parse_port, parse_size};

/// Commands that [`crate::run`] does.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Run a program in a container: a service with web addresses, or once through with --batch
    #[command(
        display_order = 10,
        after_help = "Examples:
  wharf run --name lab --image jupyterlab --publish 8888:private:Lab --hostname lab --open
  wharf run --image busybox --publish 80:public -- httpd -f -p 80 -h /www
  wharf run --batch --image busybox -- sh -c 'echo hello; exit 3'"
    )]
    Run(Box<RunArgs>),
    /// List services and what else runs
    #[command(display_order = 11, after_help = "Example:\n  wharf ps -a")]
    Ps(PsArgs),
    /// Show everything about a service
    #[command(display_order = 12, after_help = "Example:\n  wharf show lab")]
    Show(ShowArgs),
    /// Print what a service wrote
    #[command(display_order = 13, after_help = "Example:\n  wharf logs lab --follow --tail 20")]
    Logs(LogsArgs),
    /// Stop a service and wait for its end
    #[command(display_order = 14, after_help = "Example:\n  wharf stop lab")]
    Stop(StopArgs),
    /// Let a service that would end by itself go on for some time
    #[command(
        display_order = 14,
        after_help = "Examples:\n  wharf extend lab\n  wharf extend lab --for 1d"
    )]
    Extend(ExtendArgs),
    /// Open a service in the browser, signed in
    #[command(display_order = 15, after_help = "Example:\n  wharf open lab 8888")]
    Open(OpenArgs),
    /// Print the address of a service
    #[command(
        display_order = 16,
        after_help = "Examples:\n  curl \"$(wharf url web)\"\n  wharf url lab 8888 --sign-in"
    )]
    Url(UrlArgs),
    /// Carry TCP from this machine to ports of a service: databases, debuggers, anything
    #[command(
        display_order = 17,
        after_help = "Examples:\n  wharf forward db 5432\n  wharf forward db 15432:5432 0:8080"
    )]
    Forward(ForwardArgs),
    /// Open a service's ports to people or groups, or list to whom they are open
    #[command(
        display_order = 18,
        after_help = "Examples:\n  wharf share lab --with ada@example.com\n  wharf share lab --port 8888 --with 'Lab group'\n  wharf share lab"
    )]
    Share(ShareArgs),
    /// Take back what was opened with share; who is connected is cut off
    #[command(
        display_order = 19,
        after_help = "Example:\n  wharf unshare lab --with ada@example.com"
    )]
    Unshare(UnshareArgs),
    /// Invite people without an account to ports of a service, by links
    #[command(display_order = 19, subcommand)]
    Invite(InviteCommand),
    /// A shell in the container of a service, or another command there
    #[command(
        display_order = 18,
        after_help = "On a terminal, at the beginning of a line: `~.` ends the shell, `~d` leaves it for a while (see --session).

Examples:
  wharf shell lab
  wharf shell lab -- tar -c /work > work.tar"
    )]
    Shell(ShellArgs),
    /// Give services names of their own
    #[command(display_order = 20, subcommand)]
    Hostname(HostnameCommand),
    /// Load, list and remove images
    #[command(display_order = 21, subcommand)]
    Image(ImageCommand),
    /// Make, list and revoke API tokens
    #[command(display_order = 30, subcommand)]
    Token(TokenCommand),
    /// List machines, and keep new containers from one
    #[command(display_order = 28, subcommand)]
    Node(NodeCommand),
    /// Make and list users, let them act, and set their passwords
    #[command(display_order = 29, subcommand)]
    User(UserCommand),
    /// Print shell exports that point Arvados clients here
    #[command(display_order = 31, after_help = "Example:\n  eval \"$(wharf env)\"")]
    Env,
    /// Check a config file
    #[command(display_order = 32, subcommand)]
    Config(ConfigCommand),

    // Promised commands that this version does not have: not listed, refused in words.
    #[command(hide = true)]
    Put(LaterArgs),
    #[command(hide = true)]
    Get(LaterArgs),
    #[command(hide = true)]
    Ls(LaterArgs),
}

/// Whatever was typed after a command that is not there yet.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct LaterArgs {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _words: Vec<std::ffi::OsString>,
}

/// What a person may call a service by.
const ID_HELP: &str = "Identifier, a unique beginning of it, name or host name of the service";

#[derive(Debug, Args)]
pub struct RunArgs {
    /// What to call it
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Port that people may open; private (you and administrators) unless public; repeatable
    #[arg(long, value_name = "PORT[:public|private][:LABEL]")]
    pub(crate) publish: Vec<Publish>,
    /// Name of its own for the first published port: http://NAME.<domain>/
    #[arg(long, value_name = "NAME", requires = "publish")]
    pub(crate) hostname: Option<String>,
    /// Image to run; may be left out where there is only one
    #[arg(long, value_name = "REPO[:TAG]")]
    pub(crate) image: Option<String>,
    /// Directory or file of this machine inside the container, writable unless ro; repeatable
    #[arg(long, value_name = "SRC:DST[:ro|rw]")]
    pub(crate) mount: Vec<Mount>,
    /// Environment variable; repeatable
    #[arg(long, value_name = "K=V", value_parser = parse_env)]
    pub(crate) env: Vec<(String, String)>,
    /// Memory it may use, such as 1GiB; more than that ends it
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub(crate) ram: Option<ByteSize>,
    /// CPUs it may use
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) cpus: Option<u32>,
    /// Stop it when nobody has used it for so long, such as 2h: no requests, and its programs rest
    #[arg(long, value_name = "TIME", value_parser = model::life::parse_duration)]
    pub(crate) idle: Option<Duration>,
    /// Stop it when it has run for so long, such as 3d
    #[arg(long, value_name = "TIME", value_parser = model::life::parse_duration)]
    pub(crate) max_life: Option<Duration>,
    /// Wait until its published ports answer
    #[arg(long)]
    pub(crate) wait: bool,
    /// Wait, then open the first published port in the browser
    #[arg(long, requires = "publish")]
    pub(crate) open: bool,
    /// Run it once through: print what it writes and exit with its code
    #[arg(long, conflicts_with_all = ["wait", "open"])]
    pub(crate) batch: bool,
    /// How long --wait and --open wait
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
    /// Program and arguments; the image's own if left out
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ExtendArgs {
    #[arg(value_name = "SERVICE", help = ID_HELP)]
    pub(crate) id: String,
    /// How long it goes on from now, at least
    #[arg(long = "for", value_name = "TIME", default_value = "2h", value_parser = model::life::parse_duration)]
    pub(crate) length: Duration,
}

#[derive(Debug, Args)]
pub struct PsArgs {
    /// Also what is over
    #[arg(short, long)]
    pub(crate) all: bool,
    /// Print the records as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub struct ShowArgs {
    #[arg(help = ID_HELP)]
    pub(crate) id: String,
    /// Print the records as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub struct LogsArgs {
    #[arg(help = ID_HELP)]
    pub(crate) id: String,
    /// Go on until the service ends
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only the last N lines of what is there
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<u64>,
    /// Which log
    #[arg(long, value_enum, default_value_t = StreamArg::All)]
    pub(crate) stream: StreamArg,
    /// Put the time in front of each line
    #[arg(short, long)]
    pub(crate) timestamps: bool,
}

/// Names of the logs on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StreamArg {
    /// What the program printed
    Stdout,
    /// What the program complained about
    Stderr,
    /// What happened to the container
    CrunchRun,
    /// Everything
    All,
}

impl From<StreamArg> for LogStreamName {
    fn from(stream: StreamArg) -> Self {
        match stream {
            StreamArg::Stdout => Self::Stdout,
            StreamArg::Stderr => Self::Stderr,
            StreamArg::CrunchRun => Self::CrunchRun,
            StreamArg::All => Self::All,
        }
    }
}

#[derive(Debug, Args)]
pub struct StopArgs {
    #[arg(help = ID_HELP)]
    pub(crate) id: String,
    /// How long to wait for its end; it is killed when its grace period is over
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = parse_duration)]
    pub(crate) timeout: Duration,
}

#[derive(Debug, Args)]
pub struct OpenArgs {
    /// UUID, unique prefix, name or host name of a service; without it, the dashboard
    pub(crate) id: Option<String>,
    /// Port of the service; may be left out where it is plain which one
    #[arg(value_parser = parse_port)]
    pub(crate) port: Option<ContainerPort>,
}

#[derive(Debug, Args)]
pub struct UrlArgs {
    #[arg(help = ID_HELP)]
    pub(crate) id: String,
    /// Port of the service; may be left out where it is plain which one
    #[arg(value_parser = parse_port)]
    pub(crate) port: Option<ContainerPort>,
    /// With a code in it that signs in once, within a minute
    #[arg(long)]
    pub(crate) sign_in: bool,
}

#[derive(Debug, Args)]
pub struct ShellArgs {
    #[arg(help = ID_HELP)]
    pub(crate) id: String,
    /// Go on with a session that was left
    #[arg(long, value_name = "SESSION", conflicts_with_all = ["command", "no_terminal"])]
    pub(crate) session: Option<String>,
    /// With a terminal, also where input or output is none
    #[arg(short = 't', long, conflicts_with = "no_terminal")]
    pub(crate) terminal: bool,
    /// Without a terminal, as in scripts: input, output and errors apart, byte for byte
    #[arg(short = 'T', long)]
    pub(crate) no_terminal: bool,
    /// Program and arguments; a shell without
    #[arg(last = true)]
    pub(crate) command: Vec<String>,
}

#[derive(Debug, Args)]
pub struct ForwardArgs {
    #[arg(help = ID_HELP)]
    pub(crate) id: String,
    /// Port of the service, after the local one where that is to be another; 0 takes any free one
    #[arg(value_name = "[LOCAL:]PORT", required = true)]
    pub(crate) ports: Vec<Forward>,
    /// Print the addresses as JSON once they can be used
    #[arg(long)]
    pub(crate) json: bool,
}

/// Whom a port is opened to.
const WITH_HELP: &str =
    "Address, user name, full name or identifier of a person, or name of a group";

#[derive(Debug, Args)]
pub struct ShareArgs {
    #[arg(help = ID_HELP)]
    pub(crate) id: String,
    /// Port of the service; every private port if left out
    #[arg(long, value_name = "PORT", value_parser = parse_port, requires = "with")]
    pub(crate) port: Option<ContainerPort>,
    #[arg(long, value_name = "WHO", help = WITH_HELP)]
    pub(crate) with: Option<String>,
    /// Print the links as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub struct UnshareArgs {
    #[arg(help = ID_HELP)]
    pub(crate) id: String,
    /// Only what was opened for this port; all of theirs if left out
    #[arg(long, value_name = "PORT", value_parser = parse_port)]
    pub(crate) port: Option<ContainerPort>,
    #[arg(long, value_name = "WHO", required = true, help = WITH_HELP)]
    pub(crate) with: String,
}

#[derive(Debug, Subcommand)]
pub enum InviteCommand {
    /// Make links that let whoever has them in, one for each port
    #[command(
        after_help = "Examples:\n  wharf invite new lab --port 8888 --for 2h --uses 3\n  wharf invite new lab --port 8888 --port 9000\n  wharf invite new lab --all-ports"
    )]
    New {
        #[arg(help = ID_HELP)]
        id: String,
        /// Port of the service, as often as there are; may be left out where it is plain which one
        #[arg(long = "port", value_name = "PORT", value_parser = parse_port)]
        ports: Vec<ContainerPort>,
        /// Every private port
        #[arg(long, conflicts_with = "ports")]
        all_ports: bool,
        /// How long the links, and who came in by it, may stay; the site's default if left out
        #[arg(long = "for", value_name = "TIME", value_parser = parse_duration)]
        lifetime: Option<Duration>,
        /// How often they can be used, each port for itself
        #[arg(long, value_name = "N", default_value_t = 1)]
        uses: u32,
        /// What they are for
        #[arg(long, value_name = "TEXT", default_value = "")]
        note: String,
    },
    /// List invitations to a service
    #[command(after_help = "Example:\n  wharf invite list lab")]
    List {
        #[arg(help = ID_HELP)]
        id: String,
        /// Print them as JSON, with the guests who came in
        #[arg(long)]
        json: bool,
    },
    /// Take an invitation back; who came in by it is cut off
    #[command(after_help = "Example:\n  wharf invite revoke wharf-invit-0123456789abcde")]
    Revoke {
        /// Identifier of the invitation
        #[arg(value_parser = InvitationUuid::parse)]
        uuid: InvitationUuid,
    },
}

#[derive(Debug, Subcommand)]
pub enum HostnameCommand {
    /// Give a port of a service a name; a name that you have already moves there
    #[command(after_help = "Example:\n  wharf hostname set lab wharf-xvhdp-0123456789abcde 8888")]
    Set {
        /// Letters, digits and inner hyphens, at most 63
        name: String,
        #[arg(help = ID_HELP)]
        id: String,
        /// Port of the service
        #[arg(value_parser = parse_port)]
        port: ContainerPort,
    },
    /// List names
    #[command(after_help = "Example:\n  wharf hostname list")]
    List(ListArgs),
    /// Free a name
    #[command(after_help = "Example:\n  wharf hostname rm lab")]
    Rm {
        /// The name
        name: String,
    },
}

#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print the records as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub enum ImageCommand {
    /// Load an image from an archive: `docker save` or an OCI layout; tar, gzip or zstd
    #[command(after_help = "Examples:\n  wharf image import jupyterlab.tar\n  \
        docker save busybox | wharf image import - --name busybox:1")]
    Import {
        /// The archive; - reads standard input
        file: PathBuf,
        /// Name it so instead of as the archive says
        #[arg(long, value_name = "REPO:TAG")]
        name: Option<String>,
    },
    /// List images
    #[command(after_help = "Example:\n  wharf image list")]
    List(ListArgs),
    /// Remove a name, and with its last name the image
    #[command(after_help = "Example:\n  wharf image rm jupyterlab:latest")]
    Rm {
        /// Name or identifier
        #[arg(value_name = "REPO[:TAG]")]
        name: String,
    },
    /// Fetch an image from a registry, with the credentials that `docker login` wrote, and load it
    #[command(after_help = "Examples:\n  wharf image pull busybox:1.36\n  \
        wharf image pull registry.example.com/team/app:2 --name app:2")]
    Pull {
        /// The image; without a registry it is Docker's
        #[arg(value_name = "[REGISTRY/]REPO[:TAG][@DIGEST]")]
        reference: String,
        /// Name it so instead of as the registry does
        #[arg(long, value_name = "REPO:TAG")]
        name: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a config file and print the whole config that results, each value with its reason
    #[command(after_help = "Example:\n  wharf config check wharf.yml")]
    Check {
        /// The file; the defaults alone if left out
        file: Option<PathBuf>,
    },
}
