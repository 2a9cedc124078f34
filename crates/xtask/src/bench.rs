//! `cargo xtask bench`: the figures of docs/benchmarks.md, by `bench/run.py`.

use anyhow::Result;

use crate::commands::{cargo, command, run as run_to_end, target};
use crate::{images, needs};

/// Builds for release, installs what is compared with, and measures.
pub(crate) fn run(names: &[String]) -> Result<()> {
    needs::install()?;
    needs::debian(&needs::BENCH_PACKAGES)?;
    run_to_end(&mut cargo(&["build", "--locked", "-p", "testkit", "--bins"]))?;
    images::build_small()?;
    run_to_end(&mut cargo(&["build", "--locked", "--release", "-p", "wharf"]))?;
    run_to_end(
        command("python3", &["bench/run.py"])
            .args(names)
            .env("WHARF_TEST_BIN", target().join("release/wharf"))
            .env("WHARF_TEST_IMAGES", images::folder()),
    )
}
