//! `cargo xtask bench`: the figures of docs/benchmarks.md, by the Python package `bench/`.

use anyhow::Result;

use crate::commands::{cargo, command, run as run_to_end};
use crate::{images, needs};

/// Builds as for packages (profile `dist`), installs what is compared with, measures what is named or everything, and
/// writes the page.
pub(crate) fn run(names: &[String]) -> Result<()> {
    needs::install_for_bench()?;
    // Two passes: what load and upstream need must not decide how the product is built.
    for package in ["wharf", "loadgen"] {
        run_to_end(&mut cargo(&["build", "--locked", "--profile", "dist", "-p", package]))?;
    }
    images::build_for_bench()?;
    run_to_end(command("python3", &["-m", "bench"]).args(names))
}
