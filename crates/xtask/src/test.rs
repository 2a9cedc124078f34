//! `cargo xtask test`: everything that shows that Wharf works, from a clean clone.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::commands::{cargo, command, is_installed, root, run as run_to_end, target, watch};
use crate::tally::Tally;
use crate::{images, needs, postgres, suites};

/// What to run.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Tests marked as slow run too.
    slow: bool,
    /// One of [`SUITES`]; all of them where nothing is said.
    only: Option<String>,
    /// Filters of test names, as nextest and cargo test take them.
    names: Vec<String>,
}

const SUITES: [&str; 4] = ["unit", "postgres", "system", "browser"];

impl Options {
    pub(crate) fn parse(arguments: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.as_str() {
                "--slow" => options.slow = true,
                "--only" => {
                    let suite = words.next().context("--only needs a suite")?;
                    if !SUITES.contains(&suite.as_str()) {
                        bail!("--only takes one of {}, not {suite:?}", SUITES.join(", "));
                    }
                    options.only = Some(suite.clone());
                }
                name if name.starts_with('-') => bail!("unknown option {name:?}"),
                name => options.names.push(name.to_owned()),
            }
        }
        Ok(options)
    }

    fn wants(&self, suite: &str) -> bool {
        self.only.as_deref().is_none_or(|only| only == suite)
    }
}

/// Installs, builds the executables and the images.
pub(crate) fn setup(slow: bool) -> Result<Instant> {
    let begin = Instant::now();
    needs::install()?;
    suites::fetch()?;
    let debian = images::start_debian(slow)?;
    let built =
        run_to_end(&mut cargo(&["build", "--locked", "-p", "wharf", "-p", "testkit", "--bins"]))
            .and_then(|()| images::build_small());
    // Waited for whatever happened, or its processes would outlive us.
    images::finish_debian(debian)?;
    built?;
    println!("setup: done after {} s", begin.elapsed().as_secs());
    Ok(begin)
}

/// The test command. Its last line is `N passed, N failed`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let begin = setup(options.slow)?;
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    let mut suite = |name: &str, command: &mut Command| -> Result<()> {
        let begin = Instant::now();
        println!("\n== {name} tests");
        let well = watch(command, |line| {
            println!("{line}");
            tally.read(line);
        })?;
        println!("== {name} tests: {} s", begin.elapsed().as_secs());
        if !well {
            failed.push(name.to_owned());
        }
        Ok(())
    };
    if options.wants("unit") {
        suite("unit", &mut rust_tests(options, "unit"))?;
    }
    if options.wants("postgres") {
        let server = postgres::Server::start()?;
        for mut command in server.suites(&options.names)? {
            suite("postgres", with_environment(&mut command))?;
        }
    }
    if options.wants("system") {
        suite("system", &mut rust_tests(options, "system"))?;
    }
    if options.wants("browser") {
        suite("browser", &mut browser_tests(options)?)?;
    }
    println!("\nall of it took {} s", begin.elapsed().as_secs());
    if tally.passed == 0 && failed.is_empty() && options.names.is_empty() {
        failed.push("not one test ran".to_owned());
    }
    // The line that callers read, whatever the outcome.
    println!("{tally}");
    if failed.is_empty() { Ok(()) } else { bail!("failed: {}", failed.join(", ")) }
}

/// The suites in Rust: those of the crates, and those over a whole Wharf in crates/testkit.
fn rust_tests(options: &Options, suite: &str) -> Command {
    let packages: &[&str] = match suite {
        "system" => &["-p", "testkit"],
        _ => &["--workspace", "--exclude", "testkit"],
    };
    let mut command = if is_installed("cargo-nextest") {
        let mut command = cargo(&["nextest", "run", "--locked", "--no-tests", "pass"]);
        command.args(packages).args(&options.names);
        if options.slow {
            // What needs a server has a suite of its own.
            command.args(["--run-ignored", "all", "-E", "not test(/^(forms|dialect)::/)"]);
        }
        command
    } else {
        let mut command =
            cargo(&["test", "--locked", "--no-fail-fast", "--lib", "--bins", "--tests"]);
        command.args(packages).arg("--").args(&options.names);
        if suite == "system" {
            command.arg("--test-threads=3");
        }
        if options.slow {
            command.arg("--include-ignored");
        }
        command
    };
    with_environment(&mut command);
    command
}

fn browser_tests(options: &Options) -> Result<Command> {
    let folder = root().join("tests/browser");
    let mut files = Vec::new();
    for entry in folder.read_dir().context("tests/browser can't be read")? {
        let path = entry.context("tests/browser can't be read")?.path();
        if path.to_string_lossy().ends_with(".test.mjs") {
            files.push(path);
        }
    }
    files.sort();
    // One file at a time: each has a browser and a Wharf of its own.
    let mut node = command("node", &["--test", "--test-concurrency=1", "--test-reporter=tap"]);
    for name in &options.names {
        node.arg(format!("--test-name-pattern={name}"));
    }
    node.args(files);
    with_environment(&mut node);
    Ok(node)
}

/// `cargo xtask screenshots [FOLDER]`: every page of the dashboard at three widths, of a site that is made for it.
pub(crate) fn screenshots(arguments: &[String]) -> Result<()> {
    setup(false)?;
    let folder = arguments.first().map_or("docs/screenshots", String::as_str);
    let script = root().join("tests/browser/screenshots.mjs");
    let mut node = command("node", &[]);
    node.arg(script).arg(root().join(folder));
    with_environment(&mut node);
    run_to_end(&mut node)
}

/// Where the tests find what `setup` made; crates/testkit reads these.
fn with_environment(command: &mut Command) -> &mut Command {
    command
        .env("CARGO_TERM_COLOR", "never")
        .env("WHARF_TEST_BIN", target().join("debug/wharf"))
        .env("WHARF_TEST_IMAGES", images::folder())
        .env("WHARF_TEST_SUITES", suites::folder())
        .env("WHARF_TEST_PYTHON", needs::python_path())
        .env("WHARF_TEST_CLIENTS", needs::clients_path())
        .env("WHARF_TEST_CWLTEST", needs::cwltest_path());
    // The outside proofs lie beside the clone where there are any.
    let shared = root().join("../shared/acceptance");
    if shared.is_dir() {
        command.env("WHARF_TEST_ACCEPTANCE", shared);
    }
    command
}
