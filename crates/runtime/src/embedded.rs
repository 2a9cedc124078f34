//! The supervisor's side: spawn the shim, hand it the specification, wait until the command runs.

use crate::capabilities;
use crate::error::StartError;
use crate::handle::Handle;
use crate::link::{Inbox, Link};
use crate::shim;
use crate::sock_diag::SockDiag;
use crate::spec::{Capabilities, ContainerSpec, LISTEN_MAX};
use crate::wire::{self, FromShim, ShimSpec, ToShim};
use std::future::Future;
use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

/// How long the making of a container may take. It takes milliseconds; seconds on a machine that
/// swaps.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Most layers of an image: what the options of one overlay mount hold (and Docker allows).
pub(crate) const LAYERS_MAX: usize = 128;

/// Something that runs containers.
pub trait Runtime: Send + Sync {
    /// What this machine allows, told without starting anything.
    fn probe(&self) -> Capabilities;

    /// Makes a container and runs its command. When the future resolves to a handle, the command
    /// has been executed; on an error, or when the future is dropped, nothing is left behind.
    fn start(&self, spec: ContainerSpec)
    -> impl Future<Output = Result<Handle, StartError>> + Send;
}

/// The built-in runtime: plain system calls in a re-execution of our own binary. The program must
/// call [`crate::run_if_reexec`] first thing in `main`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Embedded;

impl Runtime for Embedded {
    fn probe(&self) -> Capabilities {
        capabilities::probe()
    }

    async fn start(&self, spec: ContainerSpec) -> Result<Handle, StartError> {
        check(&spec)?;
        tokio::time::timeout(START_TIMEOUT, start(spec)).await.unwrap_or_else(|_elapsed| {
            Err(StartError::Helper {
                problem: format!("no answer for {} seconds", START_TIMEOUT.as_secs()),
            })
        })
    }
}

/// What can be refused without a process.
fn check(spec: &ContainerSpec) -> Result<(), StartError> {
    let bad = |problem: &str| Err(StartError::BadSpec { problem: problem.to_owned() });
    let id_is_plain = |id: &str| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !(1..=64).contains(&spec.id.len()) || !id_is_plain(&spec.id) {
        return bad("its id must be 1 to 64 letters, digits and hyphens");
    }
    if spec.argv.first().is_none_or(String::is_empty) {
        return bad("there is no command, neither in the request nor in the image");
    }
    if spec.layers.is_empty() || spec.layers.len() > LAYERS_MAX {
        return bad(&format!("an image has 1 to {LAYERS_MAX} layers, not {}", spec.layers.len()));
    }
    if spec.listen.len() > LISTEN_MAX || !spec.listen.iter().all(|it| it.ip().is_loopback()) {
        return bad(&format!("it listens on more than {LISTEN_MAX} addresses, or not on loopback"));
    }
    if spec.hostname.len() > 64 {
        return bad("its host name is longer than 64 bytes");
    }
    let texts = spec.argv.iter().chain(spec.env.iter().flat_map(|(name, value)| [name, value]));
    if texts.chain([&spec.cwd, &spec.hostname]).any(|text| text.contains('\0')) {
        return bad("a zero byte is in its command, environment or working directory");
    }
    if spec.env.iter().any(|(name, _)| name.is_empty() || name.contains('=')) {
        return bad("a name in its environment is empty or has an equals sign");
    }
    Ok(())
}

async fn start(spec: ContainerSpec) -> Result<Handle, StartError> {
    let helper = |problem: std::io::Error| StartError::Helper { problem: problem.to_string() };
    let shim_spec = ShimSpec::of(&spec);
    let frame = wire::encode(&ToShim::Start(Box::new(shim_spec)))
        .map_err(|error| StartError::BadSpec { problem: error.to_string() })?;
    let n_listeners = spec.listen.len();
    let ContainerSpec { id, dir, stdout, stderr, .. } = spec;

    let (socket, child) = spawn_shim(&id, stdout, stderr).map_err(helper)?;
    let link = Link::new(socket);
    let mut inbox = Inbox::default();
    let sent = link.send_start(&frame).await;
    match link.receive(&mut inbox).await.map_err(helper)? {
        Some(FromShim::Started { pid, notes, groups }) => {
            let mut listeners = inbox.take_descriptors();
            let kernel = listeners.split_off(n_listeners.min(listeners.len())).pop();
            let kernel = kernel.map(|socket| Arc::new(SockDiag::over(socket)));
            let link = Arc::new(link);
            tokio::spawn(run(Arc::clone(&link), inbox, child));
            Ok(Handle { link, id, dir, pid, notes, groups, listeners, kernel })
        }
        Some(FromShim::StartFailed(error)) => {
            reap(child).await;
            Err(error)
        }
        Some(_) => Err(StartError::Helper { problem: "it answered out of turn".to_owned() }),
        None => {
            let status = reap(child).await;
            let sent = sent.err().map(|error| format!(" ({error})")).unwrap_or_default();
            Err(StartError::Helper { problem: format!("it ended early: {status}{sent}") })
        }
    }
}

/// Spawns the shim. Its standard input is the socket to us, its output and error are the
/// container's; arguments name the container for process lists and nothing else; the environment
/// is empty.
fn spawn_shim(id: &str, stdout: OwnedFd, stderr: OwnedFd) -> std::io::Result<(UnixStream, Child)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let child = Command::new("/proc/self/exe")
        .arg0(shim::MARKER)
        .arg(id)
        .env_clear()
        .stdin(Stdio::from(OwnedFd::from(theirs)))
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr))
        .spawn()?;
    Ok((UnixStream::from_std(ours)?, child))
}

/// Reads what the shim says until it closes, then reaps it. Ends soon after the shim does, which
/// the handle's drop brings about at the latest.
async fn run(link: Arc<Link>, inbox: Inbox, child: Child) {
    link.run(inbox).await;
    link.close();
    reap(child).await;
}

async fn reap(mut child: Child) -> String {
    match child.wait().await {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ContainerSpec {
        let null = || OwnedFd::from(std::fs::File::open("/dev/null").unwrap());
        ContainerSpec {
            id: "c-1".to_owned(),
            dir: "/nonexistent".into(),
            layers: vec!["/nonexistent".into()],
            argv: vec!["true".to_owned()],
            env: Vec::new(),
            cwd: String::new(),
            user: crate::UserSpec::root(),
            hostname: "c".to_owned(),
            mounts: Vec::new(),
            files: Vec::new(),
            stdin: crate::Input::Empty,
            listen: Vec::new(),
            limits: crate::Limits::default(),
            stdout: null(),
            stderr: null(),
        }
    }

    #[test]
    fn a_spec_that_makes_no_sense_is_refused_in_words() {
        type Break = fn(&mut ContainerSpec);
        let broken: [(Break, &str); 7] = [
            (|s| s.id = "../x".to_owned(), "id must be"),
            (|s| s.argv.clear(), "no command"),
            (|s| s.layers.clear(), "layers"),
            (|s| s.cwd = "/\0".to_owned(), "zero byte"),
            (|s| s.env = vec![("A=B".to_owned(), String::new())], "equals sign"),
            (|s| s.hostname = "h".repeat(65), "64 bytes"),
            (|s| s.listen = vec!["10.0.0.1:80".parse().unwrap()], "loopback"),
        ];
        for (break_it, words) in broken {
            let mut spec = spec();
            break_it(&mut spec);
            let text = check(&spec).unwrap_err().to_string();
            assert!(text.contains(words), "{text}");
        }
        assert_eq!(check(&spec()), Ok(()));
    }
}
