//! Supervisors as processes, with real containers and a controller's end of the tunnel.
//!
//! Its own harness: `runtime::run_if_reexec` must run before any thread exists. This executable is
//! the supervisor and the shim as well, as `wharf` is. Needs busybox (Debian: busybox-static) and
//! what `wharf doctor` asks for.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests, with a harness of their own")]

mod batch;
mod harness;
mod life;
mod shell;
mod trouble;

fn main() -> std::process::ExitCode {
    runtime::run_if_reexec();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["supervise", "--sweep", dir] => supervisor::sweep(dir.as_ref()),
        ["supervise", dir] => supervisor::run(dir.as_ref()),
        _ => harness::main(&args, &[life::TESTS, trouble::TESTS, batch::TESTS, shell::TESTS]),
    }
}
