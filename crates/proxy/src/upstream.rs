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

use std::hash::{Hash, Hasher};
use std::net::IpAddr;
use std::time::Duration;

use model::{ContainerUuid, GuestSessionUuid, UserUuid};
use tokio::task::JoinHandle;

use crate::dial::{Dial, DialError, Io};
use http1::Connection;

/// Characters of a UUID.
const UUID_BYTES: usize = 27;

/// Whose connection it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolKey {
    pub(crate) container: ContainerUuid,
    pub(crate) port: u16,
    pub(crate) owner: Owner,
}

/// Hashed twice for each request, and so in one piece.
impl Hash for PoolKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let mut piece = [0; 2 * UUID_BYTES + 3];
        let (container, rest) = piece.split_at_mut(UUID_BYTES);
        let (port, rest) = rest.split_at_mut(2);
        fill(container, self.container.as_str().as_bytes());
        fill(port, &self.port.to_le_bytes());
        let (kind, owner) = rest.split_at_mut(1);
        kind[0] = match &self.owner {
            Owner::User(user) => {
                fill(owner, user.as_str().as_bytes());
                0
            }
            Owner::Guest(guest) => {
                fill(owner, guest.as_str().as_bytes());
                1
            }
            Owner::Address(IpAddr::V4(ip)) => {
                fill(owner, &ip.octets());
                2
            }
            Owner::Address(IpAddr::V6(ip)) => {
                fill(owner, &ip.octets());
                3
            }
        };
        state.write(&piece);
    }
}

/// As much of `bytes` as there is room for.
fn fill(room: &mut [u8], bytes: &[u8]) {
    let n = room.len().min(bytes.len());
    room[..n].copy_from_slice(&bytes[..n]);
}

/// One caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn every_part_of_a_key_is_hashed() {
        let container = ContainerUuid::parse("wharf-dz642-0123456789abcde").unwrap();
        let user = UserUuid::parse("wharf-tpzed-0123456789abcde").unwrap();
        let guest = GuestSessionUuid::parse("wharf-guest-0123456789abcde").unwrap();
        let key = PoolKey { container, port: 80, owner: Owner::User(user) };
        let other = ContainerUuid::parse("wharf-dz642-0123456789abcdf").unwrap();
        let last = UserUuid::parse("wharf-tpzed-0123456789abcdf").unwrap();
        let keys = [
            key,
            PoolKey { container: other, ..key },
            PoolKey { port: 81, ..key },
            PoolKey { owner: Owner::User(last), ..key },
            PoolKey { owner: Owner::Guest(guest), ..key },
            PoolKey { owner: Owner::Address(IpAddr::from([127, 0, 0, 1])), ..key },
            PoolKey { owner: Owner::Address(IpAddr::from([127, 0, 0, 2])), ..key },
            PoolKey { owner: Owner::Address(IpAddr::from([0_u16, 0, 0, 0, 0, 0, 0, 1])), ..key },
        ];
        let hasher = std::hash::RandomState::new();
        let hashes: std::collections::HashSet<u64> =
            keys.iter().map(|key| hasher.hash_one(key)).collect();
        assert_eq!(hashes.len(), keys.len());
        assert_eq!(hasher.hash_one(key), hasher.hash_one(keys[0]));
    }
}
