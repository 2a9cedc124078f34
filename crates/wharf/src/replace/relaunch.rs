//! SIGUSR2: our own executable, as it lies on the disk now, started to take our place.

use lifecycle::TaskScope;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use tokio::process::Command;

/// How this process was started.
#[derive(Debug, Clone)]
pub(crate) struct Relaunch {
    executable: PathBuf,
    arguments: Vec<OsString>,
}

impl Relaunch {
    /// To be asked early: once the file is replaced, the kernel names the one that is gone.
    pub(crate) fn of_this_process() -> std::io::Result<Self> {
        let executable = std::env::current_exe()?;
        Ok(Self { executable, arguments: std::env::args_os().skip(1).collect() })
    }

    /// The same command line, to take the place of what listens at `address`; where the command line left the port to
    /// the kernel (`listen` is 0), it names the one it got.
    fn arguments(&self, listen: SocketAddr, address: SocketAddr) -> Vec<OsString> {
        let mut arguments = self.arguments.clone();
        if listen.port() == 0 {
            arguments.extend(["--listen".into(), address.to_string().into()]);
        }
        if !arguments.iter().any(|word| word == "--replace") {
            arguments.push("--replace".into());
        }
        arguments
    }

    /// Starts it. What becomes of it is seen at the door, and in the log where it fails.
    pub(crate) fn start(&self, listen: SocketAddr, address: SocketAddr, work: &TaskScope) {
        let mut command = Command::new(&self.executable);
        command.args(self.arguments(listen, address)).stdin(Stdio::null());
        match command.spawn() {
            Ok(mut child) => {
                tracing::info!(pid = child.id(), "started a new process to take our place");
                work.spawn_cancellable("successor", async move {
                    let ended = child.wait().await;
                    tracing::warn!(?ended, "the process that was to take our place has ended");
                });
            }
            Err(error) => tracing::error!(
                %error, executable = %self.executable.display(), "cannot start a new process"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, listen: &str, expected: &str) {
        let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
        let relaunch = Relaunch { executable: "/bin/wharf".into(), arguments: words(line) };
        let listening = "127.0.0.1:4711".parse().unwrap();
        assert_eq!(relaunch.arguments(listen.parse().unwrap(), listening), words(expected));
    }

    #[test]
    fn the_same_words_and_the_port_that_was_given() {
        check("up --data /d", "127.0.0.1:8000", "up --data /d --replace");
        check("up --replace", "127.0.0.1:8000", "up --replace");
        check(
            "controller --listen 127.0.0.1:0",
            "127.0.0.1:0",
            "controller --listen 127.0.0.1:0 --listen 127.0.0.1:4711 --replace",
        );
    }
}
