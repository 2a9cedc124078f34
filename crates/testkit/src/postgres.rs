//! A PostgreSQL server that is not ours, from Debian's package: `tests/postgresql.sh` makes and runs it.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::{BOUND, images, wait_for};

/// The password of every server of the script: no output may hold it.
pub const PASSWORD: &str = "a-password-that-nobody-may-see";

/// A server with a folder of its own, on a socket in it; it ends when it is dropped.
#[derive(Debug)]
pub struct Server {
    folder: TempDir,
    process: Option<Child>,
}

impl Server {
    #[must_use]
    pub fn start() -> Self {
        // Its user is another one.
        let folder = TempDir::with_prefix("pg-").expect("a temporary folder");
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .expect("opening our own folder");
        let mut server = Self { folder, process: None };
        server.start_again();
        server
    }

    fn place(&self) -> PathBuf {
        self.folder.path().join("server")
    }

    /// After [`Server::stop`].
    pub fn start_again(&mut self) {
        let mut command = Command::new(images::postgresql_script());
        let process = command.arg(self.place()).stdin(Stdio::null()).stdout(Stdio::null());
        let process = process.stderr(Stdio::null()).spawn().expect("the script runs");
        self.process = Some(process);
        wait_for("PostgreSQL to answer", BOUND * 2, || {
            let url = self.place().join("url");
            let url = std::fs::read_to_string(url).unwrap_or_default();
            !url.is_empty() && psql(url.trim(), "SELECT 1").is_some()
        });
    }

    /// At once, as a machine that is restarted does it: who is connected is thrown out.
    pub fn stop(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        let pid = i32::try_from(process.id()).ok().and_then(Pid::from_raw).expect("a process id");
        kill_process(pid, Signal::INT).expect("signalling our own child");
        process.wait().expect("waiting for our own child");
    }

    /// A new database on it.
    #[must_use]
    pub fn database(&self) -> Database {
        let url = std::fs::read_to_string(self.place().join("url")).expect("it wrote its address");
        Database::on(url.trim())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A database of a test's own, gone when it is dropped.
#[derive(Debug)]
pub struct Database {
    server: String,
    name: String,
}

impl Database {
    /// On the server with this address.
    #[must_use]
    pub fn on(server: &str) -> Self {
        let random = TempDir::with_prefix("wharf_test_").expect("a name that nobody else has");
        let name = random.path().file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let name = format!("{name}_{}", std::process::id());
        psql(server, &format!("CREATE DATABASE \"{name}\"")).expect("a new database");
        Self { server: server.to_owned(), name }
    }

    /// Its address, password included.
    #[must_use]
    pub fn url(&self) -> String {
        self.server.replacen("/postgres?", &format!("/{}?", self.name), 1)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Where the server is gone already there is nothing left.
        let _gone = psql(&self.server, &format!("DROP DATABASE \"{}\" WITH (FORCE)", self.name));
    }
}

/// What a statement answers; none where it fails.
fn psql(url: &str, statement: &str) -> Option<String> {
    let mut command = Command::new("psql");
    command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--command", statement]);
    let output = command.arg(url).stdin(Stdio::null()).output().expect("psql runs");
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
