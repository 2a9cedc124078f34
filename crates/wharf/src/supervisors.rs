//! Supervisors and how they come in: each controller has an entrance of its own, and tells those on this machine of it.

mod entrance;

use dispatch::{AdmitError, TunnelAcceptor};
use futures_util::StreamExt;
use lifecycle::TaskScope;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::runtime::Handle;
use tunnel::HandshakeError;

use entrance::Accepted;
pub(crate) use entrance::{ApiEntry, Entrance, bind_unix, remove_dead};

/// A supervisor answers within microseconds; one that does not looks by itself a second later.
const KNOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Knocks at a time.
const KNOCKS_MAX: usize = 32;

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
    entrance: Entrance,
    acceptor: TunnelAcceptor,
    edge: Handle,
    work: TaskScope,
) {
    loop {
        match entrance.accept().await {
            Ok(accepted) => {
                let (acceptor, edge) = (acceptor.clone(), edge.clone());
                work.spawn_cancellable("supervisor", admit(accepted, acceptor, edge));
            }
            Err(error) => {
                tracing::warn!(error = %error, "a supervisor could not connect");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn admit(accepted: Accepted, acceptor: TunnelAcceptor, edge: Handle) {
    // The stream is registered with the runtime that drives it, so it moves there before its first byte.
    let admitted = edge.spawn(async move {
        let stream = accepted.register().map_err(HandshakeError::Io)?;
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
