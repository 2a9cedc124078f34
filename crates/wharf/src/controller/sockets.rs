//! The listening sockets: the main address, and on sites without a wildcard name the ports that services get.

use anyhow::{Context, Result};
use std::net::{SocketAddr, TcpListener};

/// Bound sockets; connections wait in the kernel until they are accepted.
#[derive(Debug)]
pub(super) struct Sockets {
    main: TcpListener,
    ports: Vec<TcpListener>,
}

impl Sockets {
    /// Binds the address and the ports beside it.
    pub(super) async fn bind(listen: SocketAddr, ports: Option<(u16, u16)>) -> Result<Self> {
        let main = bind(listen).await.with_context(|| {
            format!("listen on {listen}: choose another address with --listen, or stop the program that has it")
        })?;
        let mut others = Vec::new();
        let range = ports.map(|(first, last)| first..=last);
        for port in range.into_iter().flatten() {
            let listener = bind((listen.ip(), port).into()).await.with_context(|| {
                format!(
                    "listen on port {port} for services: free it, or change ExternalPortMin and ExternalPortMax"
                )
            })?;
            others.push(listener);
        }
        Ok(Self { main, ports: others })
    }

    /// The main address, as bound.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        self.main.local_addr().context("ask for our own address")
    }

    /// All of them.
    pub(super) fn into_all(self) -> Vec<TcpListener> {
        let mut all = self.ports;
        all.push(self.main);
        all
    }
}

/// With tokio's longer queue of waiting connections.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    tokio::net::TcpListener::bind(address).await?.into_std()
}
