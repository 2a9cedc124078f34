//! One long-lived process of a Wharf: `up`, `controller` or `dispatch`.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::wharf::terminate;
use crate::{BOUND, wait_for_some};

/// A process that said that it is ready; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    port: u16,
    log: PathBuf,
    /// Where its ready file is; a process that takes its place writes there too.
    _ready: TempDir,
}

impl Process {
    /// Starts it, and waits until it has written its ready file. Its output goes behind what `log` holds.
    #[must_use]
    pub fn start(command: Command, home: &Path, log: &Path) -> Self {
        Self::try_start(command, home, log).unwrap_or_else(|(status, output)| {
            panic!("wharf ended before it was ready ({status}):\n{output}")
        })
    }

    /// The same; where it ends instead, how it ended and all that `log` holds.
    ///
    /// # Errors
    /// Where the process ended before it was ready.
    pub fn try_start(
        mut command: Command,
        home: &Path,
        log: &Path,
    ) -> Result<Self, (ExitStatus, String)> {
        let ready = tempfile::Builder::new().prefix("ready").tempdir_in(home);
        let ready = ready.expect("a folder for the ready file");
        if home.metadata().is_ok_and(|home| home.permissions().mode() & 0o007 != 0) {
            // Another user is to write there.
            std::fs::set_permissions(ready.path(), std::fs::Permissions::from_mode(0o777))
                .expect("opening our own folder");
        }
        let file = ready.path().join("ready.json");
        let output = File::options().create(true).append(true).open(log).expect("a log file");
        command.arg("--ready-file").arg(&file).stdin(Stdio::null());
        command.stdout(output.try_clone().expect("a second handle")).stderr(output);
        let mut child = command.spawn().expect("starting wharf");
        let read = || std::fs::read_to_string(log).unwrap_or_default();
        let about = wait_for_some("wharf to be ready", BOUND, || {
            if let Some(status) = child.try_wait().expect("a child can be asked") {
                return Some(Err((status, read())));
            }
            let text = std::fs::read_to_string(&file).ok()?;
            serde_json::from_str::<Value>(&text).ok().map(Ok)
        })?;
        let port = about["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        Ok(Self { child, port: port.unwrap_or(0), log: log.to_owned(), _ready: ready })
    }

    /// Where it serves; 0 for one that does not.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed, behind what was in the file before.
    #[must_use]
    pub fn output(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// SIGKILL, as a crash or the kernel would.
    pub fn kill(mut self) {
        self.child.kill().expect("killing our own child");
        self.child.wait().expect("waiting for our own child");
    }

    /// SIGTERM, and the status it ends with.
    #[must_use]
    pub fn stop(self) -> ExitStatus {
        terminate(self.child.id());
        self.wait()
    }

    /// Waits until it ends by itself.
    #[must_use]
    pub fn wait(mut self) -> ExitStatus {
        wait_for_some("wharf to end", BOUND, || self.child.try_wait().expect("our child"))
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("our child").is_none()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has gone already where it was waited for.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
