//! Connections to apps: made on demand, kept while idle, never shared between callers.
//!
//! A kept connection belongs to one (container, port, caller): what one caller's bytes may have done to an app's
//! parser cannot reach another's (T19). [`pool`] keeps them, [`http1`] speaks HTTP/1.1 over one in the task of the
//! request that uses it, so a request costs no hand-over between tasks; [`http2`] has the connections of gRPC calls.

pub(crate) mod answer;
pub(crate) mod http1;
pub(crate) mod http2;
mod metered;
pub(crate) mod pool;
mod reaper;
mod upload;

use std::net::IpAddr;
use std::time::Duration;

use model::{ContainerUuid, GuestSessionUuid, UserUuid};
use tokio::task::JoinHandle;

use crate::dial::{Dial, DialError, Io};
use http1::Connection;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PoolKey {
    pub(crate) container: ContainerUuid,
    pub(crate) port: u16,
    pub(crate) owner: Owner,
}

/// One caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    User(UserUuid),
    /// Somebody who was invited.
    Guest(GuestSessionUuid),
    /// Callers of public ports have no name; an address is the nearest thing.
    Address(IpAddr),
}

/// A task that ends with its owner.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Dials a port within the time allowed.
pub(crate) async fn dial(
    dial: &dyn Dial,
    key: &PoolKey,
    connect_timeout: Duration,
) -> Result<Box<dyn Io>, DialError> {
    let dialled = tokio::time::timeout(connect_timeout, dial.dial(&key.container, key.port));
    dialled.await.unwrap_or(Err(DialError::Timeout))
}

/// The same, and speaks HTTP/1.1 on the stream.
pub(crate) async fn connect(
    dial: &dyn Dial,
    key: &PoolKey,
    connect_timeout: Duration,
) -> Result<Connection, DialError> {
    self::dial(dial, key, connect_timeout).await.map(Connection::over)
}
