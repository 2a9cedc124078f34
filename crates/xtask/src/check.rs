//! `cargo xtask check`: everything that can be said without running the product.

use anyhow::Result;

use crate::{commands, tidy};

/// What is quick first; the lints of the whole workspace last.
pub(crate) fn run() -> Result<()> {
    commands::run(&mut commands::cargo(&["fmt", "--all", "--check"]))?;
    tidy::run()?;
    commands::run(&mut commands::command("python3", &["-m", "unittest", "-q", "bench.tests"]))?;
    let lints = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    commands::run(&mut commands::cargo(&lints))
}
