//! The executable: every role of Wharf, told apart by the first argument.
//!
//! What it is for: reading flags and config, building roles, plugging their traits together, coming down in order.
//! What it does not do: any role's own work. Start reading at [`controller`], then [`edge`].

mod blocks;
mod certificates;
mod controller;
mod cwl;
mod data_dir;
mod database;
mod demo;
mod dial;
mod directory;
mod dispatcher;
mod doctor;
mod edge;
mod histories;
mod images;
mod log_entries;
mod log_files;
mod machine;
mod metrics;
mod owner;
mod peers;
mod process;
mod replace;
mod secrets;
mod service_manager;
mod shells;
mod site;
mod supervisors;
mod traffic;
mod up;
mod uses;
mod visitors;

use cli::{Cli, Command, RoleCommand, SharedArgs};
use std::process::ExitCode;

/// Requests allocate some dozens of small things each, freed by the thread that made them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A container's first steps must be taken by a process without threads: before anything else.
    runtime::run_if_reexec();
    let Cli { shared, command } = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    match command {
        Command::Client(command) => cli::run(command, &shared),
        Command::Role(role) => run_role(role, &shared),
    }
}

fn run_role(role: RoleCommand, shared: &SharedArgs) -> ExitCode {
    // A connection takes one or two. Where that is refused, the usual limit stays, and `accept` says when it is reached.
    let _refused = lifecycle::descriptors::raise_limit();
    let outcome = match role {
        RoleCommand::Supervise(args) if args.sweep => return supervisor::sweep(&args.dir),
        RoleCommand::Supervise(args) => return supervisor::run(&args.dir),
        RoleCommand::Doctor(args) => return doctor::run(&args, shared),
        RoleCommand::Up(args) => up::run(&args, shared),
        RoleCommand::Controller(args) => up::run_controller(&args, shared),
        RoleCommand::Dispatch(args) => dispatcher::run(&args, shared),
        RoleCommand::Database(command) => database::run(&command, shared),
        RoleCommand::Cwl(command) => return cwl::run(&command, shared),
        RoleCommand::Demo(args) => demo::run(&args, shared),
        RoleCommand::DemoApp(args) => demo::run_app(&args),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::fail(&error),
    }
}
