//! Why a container could not be started or reached, in words for its owner.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Why a container did not start. It crosses two process boundaries, so it holds text, not sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum StartError {
    /// The specification itself makes no sense.
    #[error("the container cannot be described: {problem}")]
    BadSpec {
        /// What is wrong with it.
        problem: String,
    },
    /// A layer is not on this machine (any more).
    #[error(
        "a layer of the image is missing on this machine ({}); import the image again", .path.display()
    )]
    LayerMissing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Nothing of that name, neither as a path nor on the `PATH`.
    #[error("command `{command}` not found in the image")]
    CommandNotFound {
        /// The command's first word.
        command: String,
    },
    /// It is there, but may not be run by that user.
    #[error("permission denied: `{command}` may not be executed by the container's user")]
    CommandNotExecutable {
        /// The command's first word.
        command: String,
    },
    /// The script's `#!` program or the program's loader is not in the image.
    #[error("command `{command}` needs `{interpreter}`, which is not in the image")]
    InterpreterMissing {
        /// The command's first word.
        command: String,
        /// The missing program.
        interpreter: String,
    },
    /// Neither a program for this machine nor a script with a `#!` line.
    #[error(
        "`{command}` is not a program that this machine can run (exec format error): it is built for another \
         processor, or is a script without a #! line"
    )]
    NotAProgram {
        /// The command's first word.
        command: String,
    },
    /// The command line and environment together are too long for the kernel.
    #[error("the command line and environment of `{command}` are too long")]
    CommandTooLong {
        /// The command's first word.
        command: String,
    },
    /// The working directory cannot be entered.
    #[error("no such working directory `{path}`: {problem}")]
    WorkingDirectory {
        /// As asked for.
        path: String,
        /// What the kernel said.
        problem: String,
    },
    /// The user is named and the image does not know the name.
    #[error("user `{user}` is not in the image's /etc/passwd")]
    UserUnknown {
        /// As asked for.
        user: String,
    },
    /// The group is named and the image does not know the name.
    #[error("group `{group}` is not in the image's /etc/group")]
    GroupUnknown {
        /// As asked for.
        group: String,
    },
    /// A directory to show in the container cannot be had.
    #[error("cannot mount {} on `{target}`: {problem}", .source_path.display())]
    Mount {
        /// On the host.
        source_path: PathBuf,
        /// In the container.
        target: String,
        /// What the kernel said.
        problem: String,
    },
    /// No space is left where the container's files live.
    #[error("no space left on the disk of {}", .path.display())]
    DiskFull {
        /// The container's directory.
        path: PathBuf,
    },
    /// The machine lets ordinary users make no user namespaces.
    #[error(
        "this machine does not let an ordinary user run containers: {problem}; see `wharf doctor`"
    )]
    UserNamespacesOff {
        /// What was refused.
        problem: String,
    },
    /// No command was named, and there is no shell to be one.
    #[error(
        "there is no shell in the image: neither $SHELL, the user's own, bash nor sh; name a command"
    )]
    NoShell,
    /// More commands beside its own run in the container than may.
    #[error("{max} further commands run in the container already, the most there may be")]
    ExecsMax {
        /// The limit.
        max: usize,
    },
    /// Another step of the making failed.
    #[error("could not {step}: {problem}")]
    Step {
        /// What was being done, as a verb phrase.
        step: String,
        /// What the kernel said.
        problem: String,
    },
    /// The helper process ended or fell silent before the container ran.
    #[error("the container's helper process failed: {problem}")]
    Helper {
        /// How.
        problem: String,
    },
}

impl StartError {
    /// A failed step: `could not <step>: <error>`.
    pub(crate) fn step(step: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::Step { step: step.into(), problem: error.to_string() }
    }
}

/// Why there is no connection to a port of a container.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// Nothing listens there.
    #[error("nothing listens on the port")]
    Refused,
    /// The container is over.
    #[error("the container has ended")]
    Gone,
    /// Something else; `TimedOut` where a listener does not take connections.
    #[error("cannot connect in the container")]
    Io(#[source] std::io::Error),
}

/// The container is over: it can be sent nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the container has ended")]
pub struct Gone;

/// Why another command does not run in a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExecError {
    /// The container is over.
    #[error("the container has ended")]
    Gone,
    /// The command line is too long to be passed on.
    #[error("the command line is longer than {max} bytes")]
    TooLong {
        /// The limit.
        max: usize,
    },
    /// It could not be started.
    #[error(transparent)]
    Start(StartError),
}

/// What a killed supervisor left behind could not be removed.
#[derive(Debug, thiserror::Error)]
#[error("could not {step} of container {id}")]
pub struct SweepError {
    /// The container.
    pub id: String,
    /// What was being done, as a verb phrase.
    pub step: &'static str,
    /// What the kernel said.
    #[source]
    pub source: std::io::Error,
}
