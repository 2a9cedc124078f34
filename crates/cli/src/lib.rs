//! The command line: what every command is called and takes, and the commands that are clients.
//!
//! [`Cli`] is the whole command line. [`Command::Role`] commands (`up`, `demo`, `doctor`, the
//! hidden ones) need the whole program and are left to the executable; [`run`] does the others,
//! which know only the API. One file per command in `commands`; what they share: finding a service
//! by what a person calls it (`find`), its state and addresses in words (`service`), waiting
//! (`wait`), tables, progress and output.
//!
//! Results go to stdout, everything else to stderr. Exit code 0: done; 1: failed; 2: wrong usage;
//! `run --batch` gives the program's own.

mod args;
pub mod browser;
mod commands;
mod context;
mod failure;
mod find;
mod lines;
pub mod live;
mod output;
mod progress;
mod service;
mod table;
mod wait;

use std::process::ExitCode;

pub use args::{
    Cli, ClientCommand, Command, ControllerArgs, CwlCommand, CwlRunArgs, CwlValidateArgs,
    DEFAULT_LISTEN, DatabaseCommand, DatabaseCopyArgs, DemoAppArgs, DemoArgs, DispatchArgs,
    DoctorArgs, RoleCommand, ServeArgs, SharedArgs, SuperviseArgs, UpArgs, parse,
};
pub use context::{api_access, api_client};
pub use failure::{fail, report};

/// Runs a client command to its end on a runtime of its own and says how it went.
///
/// Prints results to stdout and an error as one line to stderr.
pub fn run(command: ClientCommand, shared: &SharedArgs) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(commands::dispatch(command, shared));
            // A blocked read of a file or terminal must not keep the process.
            runtime.shutdown_background();
            ended
        }
        Err(error) => Err(error.into()),
    };
    ended.unwrap_or_else(|error| report(&error))
}
