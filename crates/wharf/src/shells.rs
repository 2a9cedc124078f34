//! The API's way to shells in containers: a stream through the supervisor's tunnel.

use api::{ShellIo, Shells};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::ContainerUuid;
use tunnel::{OpenError, RefuseReason, Registry, StreamKind};

/// Opens streams for shells.
#[derive(Debug)]
pub(crate) struct ContainerShells {
    tunnels: Registry,
}

impl ContainerShells {
    /// Over the tunnels that are there.
    pub(crate) fn new(tunnels: Registry) -> Self {
        Self { tunnels }
    }

    async fn connect(&self, container: &ContainerUuid) -> Result<Box<dyn ShellIo>, String> {
        let gone = || "the container's supervisor is not connected".to_owned();
        let tunnel = self.tunnels.get(container.as_str()).ok_or_else(gone)?;
        match tunnel.open(StreamKind::Shell).await {
            Ok(stream) => Ok(Box::new(stream)),
            // One that was started by a version before there were shells.
            Err(OpenError::Refused { reason: RefuseReason::Unsupported }) => {
                Err("the container was started by a version of Wharf without shells: restart it"
                    .to_owned())
            }
            Err(OpenError::Closed) => Err(gone()),
            Err(other) => Err(format!("the container's supervisor cannot be reached: {other}")),
        }
    }
}

impl Shells for ContainerShells {
    fn open<'a>(
        &'a self,
        container: &'a ContainerUuid,
    ) -> BoxFuture<'a, Result<Box<dyn ShellIo>, String>> {
        self.connect(container).boxed()
    }
}
