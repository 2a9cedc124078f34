//! The proxy's way to an app: a stream through the tunnel of the container's supervisor.

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use model::ContainerUuid;
use proxy::{Dial, DialError, Io};
use tunnel::{OpenError, RefuseReason, Registry, StreamKind};

/// Opens app streams through the tunnels that are up.
#[derive(Debug)]
pub(crate) struct TunnelDial {
    tunnels: Registry,
}

impl TunnelDial {
    /// A dialer over the registry.
    pub(crate) fn new(tunnels: Registry) -> Self {
        Self { tunnels }
    }
}

impl Dial for TunnelDial {
    fn dial<'a>(
        &'a self,
        container: &'a ContainerUuid,
        port: u16,
    ) -> BoxFuture<'a, Result<Box<dyn Io>, DialError>> {
        async move {
            let tunnel = self.tunnels.get(container.as_str()).ok_or(DialError::NoTunnel)?;
            match tunnel.open(StreamKind::App(port)).await {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn Io>),
                Err(error) => Err(dial_error(&error)),
            }
        }
        .boxed()
    }
}

fn dial_error(error: &OpenError) -> DialError {
    match error {
        OpenError::Refused { reason: RefuseReason::PortClosed } => DialError::Refused,
        OpenError::Refused { reason: RefuseReason::Gone } | OpenError::Closed => {
            DialError::NoTunnel
        }
        other => DialError::Other(other.to_string()),
    }
}
