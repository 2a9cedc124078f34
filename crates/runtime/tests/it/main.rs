//! Containers and images for real: run as whoever calls, and when that is root, once more as an
//! ordinary user. Needs a static busybox (Debian: busybox-static).
//!
//! A harness of its own, because `runtime::run_if_reexec` must come before any thread. Arguments
//! that are no options select tests by a part of their names, as usual.

#![expect(clippy::print_stdout, reason = "a test runner prints")]

mod containers;
mod endings;
mod exec;
mod fixture;
mod harness;
mod hostile;
mod images;
mod inputs;
mod isolation;
mod layer_tar;
mod limits;
mod words;

use harness::Test;
use std::process::ExitCode;

fn main() -> ExitCode {
    runtime::run_if_reexec();
    if let Some(code) = endings::play_role() {
        return code;
    }
    let tests: Vec<Test> = [
        images::tests(),
        hostile::tests(),
        containers::tests(),
        inputs::tests(),
        isolation::tests(),
        limits::tests(),
        words::tests(),
        endings::tests(),
        exec::tests(),
    ]
    .concat();
    harness::run(&tests)
}
