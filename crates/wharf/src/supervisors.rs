//! The socket that supervisors on this machine dial.

use anyhow::{Context, Result};
use dispatch::TunnelAcceptor;
use lifecycle::TaskScope;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::runtime::Handle;

/// Binds `run/tunnel.sock`, for our own user only.
///
/// A socket's path may have 107 bytes at most, so it is bound relative to the open directory.
pub(crate) fn bind(run: &Path) -> Result<UnixListener> {
    let path = run.join("tunnel.sock");
    if let Err(error) = std::fs::remove_file(&path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("remove {}", path.display()));
    }
    let dir = std::fs::File::open(run).with_context(|| format!("open {}", run.display()))?;
    let short = format!("/proc/self/fd/{}/tunnel.sock", dir.as_raw_fd());
    let listener =
        UnixListener::bind(short).with_context(|| format!("listen on {}", path.display()))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Admits supervisors: their streams are driven on the edge's runtime, their reports handled on this one.
pub(crate) async fn accept(
    listener: UnixListener,
    acceptor: TunnelAcceptor,
    edge: Handle,
    work: TaskScope,
) {
    loop {
        match listener.accept().await {
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

async fn admit(stream: tokio::net::UnixStream, acceptor: TunnelAcceptor, edge: Handle) {
    // The stream is registered with the runtime that drives it, so it moves there before its first byte.
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => {
            return tracing::warn!(error = %error, "a supervisor's socket cannot be moved");
        }
    };
    let admitted = edge.spawn(async move {
        let stream = tokio::net::UnixStream::from_std(stream)?;
        acceptor.admit(stream).await.map_err(std::io::Error::other)
    });
    match admitted.await {
        Ok(Ok(admitted)) => {
            let driver = edge.spawn(admitted.driver);
            admitted.control.await;
            drop(driver);
        }
        Ok(Err(error)) => tracing::warn!(error = %error, "a supervisor was refused"),
        Err(error) => tracing::error!(error = %error, "admitting a supervisor failed"),
    }
}
