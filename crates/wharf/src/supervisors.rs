//! The socket that supervisors on this machine dial, one for each controller, and how they hear of it.

use anyhow::{Context, Result};
use dispatch::{AdmitError, TunnelAcceptor};
use futures_util::StreamExt;
use lifecycle::TaskScope;
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tunnel::HandshakeError;

/// Whether anybody listens on a socket of this machine is known at once.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);
/// A supervisor answers within microseconds; one that does not looks by itself a second later.
const KNOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Knocks at a time.
const KNOCKS_MAX: usize = 32;

/// Our entry in the directory of controllers: gone when dropped, before the tunnels end.
#[derive(Debug)]
pub(crate) struct TunnelSocket {
    listener: UnixListener,
    path: PathBuf,
}

impl TunnelSocket {
    /// Binds a socket of a new name, for our own user only, and removes those of controllers that were killed.
    ///
    /// A socket's path may have 107 bytes at most, so it is bound relative to the open directory. It gets its name once
    /// it listens: nobody is to find it earlier.
    pub(crate) async fn bind(tunnels: &Path) -> Result<Self> {
        remove_dead(tunnels).await;
        let name = format!("{:016x}", u64::from_be_bytes(crate::secrets::random_bytes()?));
        let (unborn, path) = (format!("{name}.new"), tunnels.join(format!("{name}.sock")));
        let binding = || {
            let dir = std::fs::File::open(tunnels)?;
            let short = format!("/proc/self/fd/{}/{unborn}", dir.as_raw_fd());
            let listener = UnixListener::bind(short)?;
            std::fs::set_permissions(tunnels.join(&unborn), Permissions::from_mode(0o600))?;
            std::fs::rename(tunnels.join(&unborn), &path)?;
            std::io::Result::Ok(listener)
        };
        let listener = binding().with_context(|| format!("listen on {}", path.display()))?;
        Ok(Self { listener, path })
    }
}

impl Drop for TunnelSocket {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "our socket for supervisors is left behind");
        }
    }
}

/// Sockets on which nobody listens belong to controllers that could not remove them.
async fn remove_dead(tunnels: &Path) {
    let entries = std::fs::read_dir(tunnels).into_iter().flatten().flatten();
    for path in entries.map(|entry| entry.path()) {
        if path.extension().is_none_or(|end| end != "sock") {
            continue;
        }
        let probing = async {
            let dir = std::fs::File::open(tunnels)?;
            let name = path.file_name().unwrap_or_default();
            let short = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
            UnixStream::connect(short).await
        };
        let probed = tokio::time::timeout(PROBE_TIMEOUT, probing).await;
        let is_dead =
            matches!(&probed, Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused);
        if is_dead && std::fs::remove_file(&path).is_ok() {
            tracing::debug!(path = %path.display(), "removed the socket of a controller that was killed");
        }
    }
}

/// Tells the supervisors of this machine that a controller has come; those that do not hear look by themselves.
pub(crate) async fn knock(containers: &Path) {
    let dirs: Vec<PathBuf> = std::fs::read_dir(containers)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|dir| dir.join(tunnel::handover::SOCKET_NAME).exists())
        .collect();
    let knocking =
        futures_util::stream::iter(dirs).for_each_concurrent(KNOCKS_MAX, |dir| async move {
            let knocked = tokio::time::timeout(KNOCK_TIMEOUT, tunnel::handover::knock(&dir)).await;
            tracing::trace!(dir = %dir.display(), ?knocked, "knocked");
        });
    knocking.await;
}

/// Admits supervisors: their streams are driven on the edge's runtime, their reports handled on this one.
pub(crate) async fn accept(
    socket: TunnelSocket,
    acceptor: TunnelAcceptor,
    edge: Handle,
    work: TaskScope,
) {
    loop {
        match socket.listener.accept().await {
            Ok((stream, _address)) => {
                let (acceptor, edge) = (acceptor.clone(), edge.clone());
                work.spawn_cancellable("supervisor", admit(stream, acceptor, edge));
            }
            Err(error) => {
                tracing::warn!(error = %error, "a supervisor could not connect");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn admit(stream: UnixStream, acceptor: TunnelAcceptor, edge: Handle) {
    // The stream is registered with the runtime that drives it, so it moves there before its first byte.
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => {
            return tracing::warn!(error = %error, "a supervisor's socket cannot be moved");
        }
    };
    let admitted = edge.spawn(async move {
        let stream = UnixStream::from_std(stream).map_err(HandshakeError::Io)?;
        acceptor.admit(stream).await
    });
    match admitted.await {
        Ok(Ok(admitted)) => {
            let driver = edge.spawn(admitted.driver);
            admitted.control.await;
            drop(driver);
        }
        // Also another controller that looks whether we are still there.
        Ok(Err(AdmitError::Handshake(HandshakeError::Io(error)))) => {
            tracing::debug!(error = %error, "a supervisor left before it was in");
        }
        Ok(Err(error)) => tracing::warn!(error = %error, "a supervisor was refused"),
        Err(error) => tracing::error!(error = %error, "admitting a supervisor failed"),
    }
}
