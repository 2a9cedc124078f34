//! The PostgreSQL server of a test run: one for all tests, from Debian's package, gone with the run.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::commands::{cargo, command, is_installed};

/// How long it may take to be made and to answer.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Of the store, what is not about files; of the whole system, what several controllers share and what Arvados's SDK does.
const TESTS: [(&str, &str); 2] = [
    (
        "store",
        "not test(/^(files|full_disk|changes|random|feed|writer|logs::tests|contents::plans)::/)",
    ),
    (
        "testkit",
        "test(/^(controllers|links|postgres)::/) | test(/^records::/) | \
         test(/arvados_sdk_keeps_and_finds_records|arvados_sdk_hears_events/)",
    ),
];

/// A server; it ends when it is dropped.
pub(crate) struct Server {
    folder: PathBuf,
    process: Child,
    url: String,
}

impl Server {
    /// Makes and starts one, and waits until it answers.
    pub(crate) fn start() -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("wharf-pg-{}", std::process::id()));
        std::fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))
            .context("a folder of our own can't be opened")?;
        let place = folder.join("server");
        let mut script = command("tests/postgresql.sh", &[]);
        let process = script.arg(&place).stdin(Stdio::null()).stdout(Stdio::null());
        let process = process.stderr(Stdio::null()).spawn();
        let process = process.context("tests/postgresql.sh can't be started")?;
        let mut server = Self { folder, process, url: String::new() };
        let begin = Instant::now();
        while begin.elapsed() < START_TIMEOUT {
            if let Some(url) = answering(&place) {
                server.url = url;
                return Ok(server);
            }
            if let Some(status) = server.process.try_wait().context("our child can't be asked")? {
                bail!("tests/postgresql.sh ended before PostgreSQL answered: {status}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        bail!("PostgreSQL did not answer within {} s", START_TIMEOUT.as_secs())
    }

    /// The tests that run over it, each package with its own selection.
    pub(crate) fn suites(&self, names: &[String]) -> Result<Vec<Command>> {
        if !is_installed("cargo-nextest") {
            bail!(
                "the tests over PostgreSQL are chosen by an expression of nextest: install cargo-nextest"
            );
        }
        let suite = |(package, chosen): (&str, &str)| {
            let words =
                ["nextest", "run", "--locked", "--no-tests", "pass", "--run-ignored", "all"];
            let mut command = cargo(&words);
            command.args(["-p", package, "-E", chosen]).args(names);
            command.env("WHARF_TEST_POSTGRES", &self.url);
            command
        };
        Ok(TESTS.into_iter().map(suite).collect())
    }
}

/// Its address, once it answers there.
fn answering(place: &Path) -> Option<String> {
    let url = std::fs::read_to_string(place.join("url")).ok()?.trim().to_owned();
    let mut ask = command("psql", &["--no-psqlrc", "--command", "SELECT 1"]);
    let ask = ask.arg(&url).stdout(Stdio::null()).stderr(Stdio::null()).status();
    ask.is_ok_and(|status| status.success()).then_some(url)
}

impl Drop for Server {
    fn drop(&mut self) {
        // Killed, it leaves nothing that matters: its folder goes, too.
        let _gone = self.process.kill();
        let _gone = self.process.wait();
        let _gone = std::fs::remove_dir_all(&self.folder);
    }
}
