//! Local ports: the same number on both loopback addresses, so that `localhost` leads nowhere else.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context, Result};
use model::ContainerPort;
use tokio::net::TcpListener;

/// A free port of the one address may be taken on the other; so often another one is tried.
const TRIES: usize = 16;

/// Listens on a local port, 0 for any free one, that is to lead to `port`.
pub(super) async fn bind(local: u16, port: ContainerPort) -> Result<Vec<TcpListener>> {
    let mut tries_left = if local == 0 { TRIES } else { 1 };
    loop {
        tries_left -= 1;
        match bind_both(local).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && tries_left > 0 => {}
            bound => return bound.with_context(|| refusal(local, port)),
        }
    }
}

async fn bind_both(local: u16) -> io::Result<Vec<TcpListener>> {
    let first = TcpListener::bind((IpAddr::from(Ipv4Addr::LOCALHOST), local)).await?;
    let local = first.local_addr()?.port();
    match TcpListener::bind((IpAddr::from(Ipv6Addr::LOCALHOST), local)).await {
        Ok(second) => Ok(vec![first, second]),
        Err(error) if is_taken(&error) => Err(error),
        // A machine without IPv6.
        Err(_no_such_address) => Ok(vec![first]),
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::PermissionDenied)
}

fn refusal(local: u16, port: ContainerPort) -> String {
    format!(
        "cannot listen on local port {local}; choose another one, or any free one with 0:{port}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_free_port_is_the_same_on_both_addresses() {
        let port = ContainerPort::HTTP;
        let bound = bind(0, port).await.unwrap();
        let ports: Vec<u16> = bound.iter().map(|one| one.local_addr().unwrap().port()).collect();
        assert!(ports[0] != 0 && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
        let error = format!("{:#}", bind(ports[0], port).await.unwrap_err());
        assert!(error.contains(&ports[0].to_string()) && error.contains("0:80"), "{error}");
        assert!(error.contains("in use"), "{error}");
    }
}
