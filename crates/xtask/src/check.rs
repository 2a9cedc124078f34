//! `cargo xtask check`: everything that can be said without running the product.

use anyhow::Result;

use crate::{commands, tidy};

/// Formatting first, because it is quick; the lints of the whole workspace last.
pub(crate) fn run() -> Result<()> {
    commands::run(&mut commands::cargo(&["fmt", "--all", "--check"]))?;
    tidy::run()?;
    let lints = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    commands::run(&mut commands::cargo(&lints))
}
