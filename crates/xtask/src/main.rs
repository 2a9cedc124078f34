//! The chores of this workspace, so that people, `.ci/run` and the README share one command each.
//!
//! `cargo xtask check` looks without running anything (formatting, lints, `tidy`);
//! `cargo xtask test` is the test command: it installs what is missing, builds images and runs
//! every suite; `cargo xtask bench` measures. It holds no product code and no product crate is
//! among its dependencies. Start reading at [`main`].

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a chore talks to the person who called it"
)]

mod bench;
mod check;
mod commands;
mod images;
mod layers;
mod needs;
mod postgres;
mod suites;
mod tally;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask COMMAND

  check            formatting, lints, tidy: what must hold before anything is run
  tidy             layers between crates, crate docs, banned words, file sizes
  setup            installs what the tests need and builds their images, runs nothing
  test [--slow] [--only unit|postgres|system|browser] [NAME]...
                   the whole test command; NAMEs are passed on as filters of test names
  screenshots      writes every page of the dashboard at three widths to docs/screenshots
  bench [NAME]...  takes the named measurements, or all (half an hour), and writes docs/benchmarks.md";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    match arguments.first().map(String::as_str) {
        Some("check") => check::run(),
        Some("tidy") => tidy::run(),
        Some("setup") => test::setup(false).map(|_| ()),
        Some("test") => test::run(&test::Options::parse(rest)?),
        Some("bench") => bench::run(rest),
        Some("screenshots") => test::screenshots(rest),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("{USAGE}"),
    }
}
