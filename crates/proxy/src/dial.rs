//! The one way to an app: a byte stream to a port of a container.

use futures_util::future::BoxFuture;
use model::ContainerUuid;
use tokio::io::{AsyncRead, AsyncWrite};

/// A byte stream to an app; dropping it resets, shutting it down ends our half.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// Why there is no stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialError {
    /// Nothing listens on the port.
    #[error("the port refuses connections")]
    Refused,
    /// The container's supervisor is not connected.
    #[error("the container's supervisor is not connected")]
    NoTunnel,
    /// No answer in time.
    #[error("no connection within the time allowed")]
    Timeout,
    /// Anything else, in words for the log.
    #[error("{0}")]
    Other(String),
}

/// Opens streams to apps. A request can choose nothing but the bytes sent through one.
pub trait Dial: Send + Sync {
    /// Connects to `port` inside the container.
    fn dial<'a>(
        &'a self,
        container: &'a ContainerUuid,
        port: u16,
    ) -> BoxFuture<'a, Result<Box<dyn Io>, DialError>>;
}
