//! The proxy's ways to an app: a socket that the supervisor hands over, or a stream through its tunnel.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::ContainerUuid;
use proxy::{Dial, DialError, Io};
use std::path::PathBuf;
use tunnel::handover::{self, HandoverError};
use tunnel::{OpenError, RefuseReason, Registry, StreamKind};

/// Opens connections to apps: the short way where the supervisor is on this machine, else through its tunnel.
#[derive(Debug)]
pub(crate) struct AppDial {
    tunnels: Registry,
    /// Where the containers' directories are; none where the short way is switched off.
    containers: Option<PathBuf>,
}

impl AppDial {
    /// A dialer over the registry, and over the directories of containers on this machine.
    pub(crate) fn new(tunnels: Registry, containers: Option<PathBuf>) -> Self {
        Self { tunnels, containers }
    }

    async fn connect(
        &self,
        container: &ContainerUuid,
        port: u16,
    ) -> Result<Box<dyn Io>, DialError> {
        if let Some(containers) = &self.containers {
            match handover::ask(&containers.join(container.as_str()), port).await {
                Ok(socket) => return Ok(Box::new(socket)),
                Err(HandoverError::Refused(reason)) => return Err(refused(reason)),
                Err(HandoverError::NotHere(_) | HandoverError::Broken(_)) => {}
            }
        }
        let tunnel = self.tunnels.get(container.as_str()).ok_or(DialError::NoTunnel)?;
        match tunnel.open(StreamKind::App(port)).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(OpenError::Refused { reason }) => Err(refused(reason)),
            Err(OpenError::Closed) => Err(DialError::NoTunnel),
            Err(other) => Err(DialError::Other(other.to_string())),
        }
    }
}

impl Dial for AppDial {
    fn dial<'a>(
        &'a self,
        container: &'a ContainerUuid,
        port: u16,
    ) -> BoxFuture<'a, Result<Box<dyn Io>, DialError>> {
        self.connect(container, port).boxed()
    }
}

fn refused(reason: RefuseReason) -> DialError {
    match reason {
        RefuseReason::PortClosed => DialError::Refused,
        RefuseReason::Gone => DialError::NoTunnel,
        other => DialError::Other(format!("the supervisor refused: {other}")),
    }
}
