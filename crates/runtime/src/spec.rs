//! What a container is to be, and how it ended. Neutral: nothing here knows how it is run.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Most addresses that are listened on in one container: the API, and 64 services. One message takes them all along; the
/// kernel takes 253 beside one.
pub const LISTEN_MAX: usize = 65;

/// All that is needed to start one container.
#[derive(Debug)]
pub struct ContainerSpec {
    /// Names the container in control groups and process lists: letters, digits and hyphens,
    /// 1 to 64 of them. A container UUID is one.
    pub id: String,
    /// The container's own directory on the host; `rootfs/` is made in it and removed at the end.
    pub dir: PathBuf,
    /// Unpacked layers, top first; at least one.
    pub layers: Vec<PathBuf>,
    /// The command; the first word is looked up in the `PATH` of `env`, inside the image.
    pub argv: Vec<String>,
    /// The whole environment. `PATH`, `HOME` and `HOSTNAME` are added where they are missing.
    pub env: Vec<(String, String)>,
    /// Working directory; it must be there. Empty means `/`.
    pub cwd: String,
    /// Who runs the command.
    pub user: UserSpec,
    /// Name of the host as the container sees it; at most 64 bytes.
    pub hostname: String,
    /// Directories and files of the host to show in the container.
    pub mounts: Vec<Mount>,
    /// Files that are in memory alone, put in place after all mounts; a few MiB together.
    pub files: Vec<TextFile>,
    /// What the command reads from its standard input.
    pub stdin: Input,
    /// Addresses of the container's loopback on which we listen before the command runs, at most [`LISTEN_MAX`]; see
    /// [`crate::Handle::take_listeners`].
    pub listen: Vec<SocketAddrV4>,
    /// What it may use at most.
    pub limits: Limits,
    /// Receives what the command writes to its standard output: a pipe or a file.
    pub stdout: OwnedFd,
    /// The same for standard error.
    pub stderr: OwnedFd,
}

/// A directory or file of the host, made visible in a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Absolute path on the host.
    pub source: PathBuf,
    /// Absolute path in the container; made if it is missing.
    pub target: String,
    /// Whether the container may write to it.
    pub writable: bool,
}

/// A file that only the container sees, and that is on no disk.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextFile {
    /// Absolute path in the container; made if it is missing.
    pub target: String,
    /// All that is in it.
    pub text: String,
}

impl fmt::Debug for TextFile {
    /// The text may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextFile").field("target", &self.target).finish_non_exhaustive()
    }
}

/// What a command reads.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Input {
    /// Nothing.
    #[default]
    Empty,
    /// This text.
    Text(String),
    /// A file of the host.
    File(PathBuf),
}

impl fmt::Debug for Input {
    /// The text may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("Empty"),
            Self::Text(_) => f.write_str("Text(…)"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// What a container may use. `None` means no limit of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Memory, page cache included.
    pub memory_bytes: Option<u64>,
    /// Processes and threads.
    pub pids_max: Option<u64>,
    /// Processor time: 1.5 is one and a half processors.
    pub cpus: Option<f64>,
}

/// `user[:group]`, names or numbers, as in an image's configuration; empty means root. Names are
/// looked up in the image's own `/etc/passwd` and `/etc/group`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserSpec(String);

impl UserSpec {
    /// Takes the image configuration's form as it is; names are resolved at start.
    pub fn parse(user: &str) -> Self {
        Self(user.trim().to_owned())
    }

    /// User and group 0 of the image.
    pub fn root() -> Self {
        Self::default()
    }

    /// The user part; "0" where none is given.
    pub fn user(&self) -> &str {
        let user = self.0.split(':').next().unwrap_or_default();
        if user.is_empty() { "0" } else { user }
    }

    /// The group part, where there is one.
    pub fn group(&self) -> Option<&str> {
        self.0.split_once(':').map(|(_, group)| group).filter(|group| !group.is_empty())
    }
}

/// Another command in a container that runs: with the user, rights, limits, environment and working directory of the
/// container's own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecSpec {
    /// Program and arguments; empty for a shell: `$SHELL`, else the user's, else bash, else sh.
    pub argv: Vec<String>,
    /// A terminal of this size for it; without one it has three pipes.
    pub terminal: Option<TerminalSize>,
    /// Variables over those of the container, `TERM` for one.
    pub env: Vec<(String, String)>,
}

/// Characters that fit on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// In a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// A signal for the container's command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(i32);

impl Signal {
    /// Please end.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// As from Ctrl-C.
    pub const INT: Self = Self(libc::SIGINT);
    /// The terminal is gone; for many servers: read the configuration again.
    pub const HUP: Self = Self(libc::SIGHUP);
    /// As from Ctrl-\.
    pub const QUIT: Self = Self(libc::SIGQUIT);
    /// Free for the program's own use.
    pub const USR1: Self = Self(libc::SIGUSR1);
    /// Free for the program's own use.
    pub const USR2: Self = Self(libc::SIGUSR2);
    /// End at once; `Handle::kill` is surer, as it ends every process of the container.
    pub const KILL: Self = Self(libc::SIGKILL);

    /// A signal by its number, 1 to 64.
    pub fn from_raw(number: i32) -> Option<Self> {
        (1..=64).contains(&number).then_some(Self(number))
    }

    /// Its number on this machine.
    pub fn as_raw(self) -> i32 {
        self.0
    }
}

/// How a container's command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// By itself or by a signal.
    pub status: ExitStatus,
    /// Whether the kernel killed a process of the container for want of memory. Known only where
    /// a memory control group could be made, and only said of commands that did not end well.
    pub oom_killed: bool,
}

/// Exit code or signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitStatus {
    /// It ended by itself, with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
        }
    }
}

/// What this machine lets us do for containers, as far as it can be told without starting one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Containers run in a user namespace of an ordinary user, with one user id inside.
    pub rootless: bool,
    /// Memory limits are enforced, and kills for want of memory are told apart.
    pub memory_limit: bool,
    /// Limits on the number of processes are enforced.
    pub pids_limit: bool,
    /// Limits on processor time are enforced.
    pub cpu_limit: bool,
    /// What is missing and why, in words for an administrator.
    pub notes: Vec<String>,
}
