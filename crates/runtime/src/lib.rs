//! Containers and images, embedded: namespaces, an overlay of the image's layers, sockets made
//! inside the container. Nothing has to be installed; it works for root and for an ordinary user.
//!
//! The only network contract is [`Dialer::dial`]: a container has a network namespace of its own
//! with nothing but loopback in it. Not done here: pulling images, logs, restarts.
//!
//! One container, three processes of ours:
//! ```text
//! supervisor (any process with tokio; holds the Handle)
//!    │ spawns its own executable with an empty environment; one socket pair is the shim's stdin
//!    ▼
//! shim   outside the process namespace, inside the network namespace: makes sockets, sends
//!    │   signals, reports the end; when the socket closes it kills and removes everything
//!    ▼
//! init   process 1 of the container: mounts, reaps, passes signals on, ends with the command's code
//!    ▼
//! the container's command
//! ```
//! Further commands (a terminal in the container, [`Executor`]) are the shim's children too: it forks, and the fork
//! joins the container and gives up what the command gave up.
//! Shim and init are single-threaded and run from a read-only mount of our executable.
//! Start reading at `embedded.rs` (the supervisor's side), then `shim.rs`.

mod capabilities;
mod cgroup;
mod dialer;
mod doctor;
mod embedded;
mod error;
mod exec;
mod handle;
pub mod images;
mod link;
mod listeners;
mod shim;
mod sock_diag;
mod spec;
mod sweep;
mod sys;
mod tree;
mod usage;
mod wire;

pub use dialer::Dialer;
pub use doctor::{Check, Verdict, doctor};
pub use embedded::{Embedded, Runtime};
pub use error::{DialError, ExecError, Gone, StartError, SweepError};
pub use exec::{Exec, ExecStreams, Executor};
pub use handle::Handle;
pub use listeners::Listeners;
pub use shim::run_if_reexec;
pub use spec::{
    Capabilities, ContainerSpec, ExecSpec, Exit, ExitStatus, Input, LISTEN_MAX, Limits, Mount,
    Signal, TerminalSize, TextFile, UserSpec,
};
pub use sweep::sweep;
pub use tree::remove as remove_tree;
pub use usage::{Meter, Usage};
