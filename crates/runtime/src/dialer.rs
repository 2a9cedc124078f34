//! Connections to ports inside a container.

use crate::error::DialError;
use crate::link::Link;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// How long a listener may take to accept. On loopback that takes microseconds; it takes longer
/// only when the listener's queue is full.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connects to ports inside one container's network namespace. Cheap to clone; a clone that
/// outlives the container answers [`DialError::Gone`].
#[derive(Debug, Clone)]
pub struct Dialer {
    link: Arc<Link>,
}

impl Dialer {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Connects to 127.0.0.1, then [::1], at `port` inside the container: nothing outside can be
    /// reached this way. Nagle's algorithm is off. Gives up after five seconds. Cancel-safe.
    pub async fn dial(&self, port: u16) -> Result<TcpStream, DialError> {
        match self.dial_address((Ipv4Addr::LOCALHOST, port).into()).await {
            Err(DialError::Refused) => self.dial_address((Ipv6Addr::LOCALHOST, port).into()).await,
            done => done,
        }
    }

    async fn dial_address(&self, address: SocketAddr) -> Result<TcpStream, DialError> {
        let socket = self
            .link
            .request_socket(address.is_ipv6())
            .await
            .map_err(|_gone| DialError::Gone)?
            .map_err(|errno| refused_or(io::Error::from_raw_os_error(errno)))?;
        // A socket belongs to the namespace it was made in, so connecting from out here is fine.
        let connecting = tcp_socket(socket).connect(address);
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .map_err(|_elapsed| DialError::Io(io::ErrorKind::TimedOut.into()))?
            .map_err(refused_or)?;
        stream.set_nodelay(true).map_err(DialError::Io)?;
        Ok(stream)
    }
}

fn tcp_socket(socket: OwnedFd) -> TcpSocket {
    TcpSocket::from_std_stream(std::net::TcpStream::from(socket))
}

/// A family that the container's network has not (IPv6 switched off) counts as refused too.
fn refused_or(error: io::Error) -> DialError {
    match error.raw_os_error() {
        Some(libc::ECONNREFUSED | libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::ENETUNREACH) => {
            DialError::Refused
        }
        _ => DialError::Io(error),
    }
}
