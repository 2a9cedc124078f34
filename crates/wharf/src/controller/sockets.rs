//! The listening sockets: the main address, and on sites without a wildcard name the ports that services get.

use anyhow::{Context, Result};
use std::io;
use std::net::{SocketAddr, TcpListener};

/// Bound sockets; connections wait in the kernel until they are accepted.
#[derive(Debug)]
pub(super) struct Sockets {
    main: TcpListener,
    ports: Vec<TcpListener>,
}

impl Sockets {
    /// Binds the address and the ports beside it, but for those that were inherited. Of these the first was the other
    /// process's main one; what is not wanted any more is let go of.
    pub(super) async fn bind(
        listen: SocketAddr,
        ports: Option<(u16, u16)>,
        mut inherited: Vec<TcpListener>,
    ) -> Result<Self> {
        let main = bind(listen, &mut inherited).await.with_context(|| {
            format!(
                "listen on {listen}: choose another address with --listen, stop the program that has it, \
                 or take its place with --replace if it is a Wharf"
            )
        })?;
        let mut others = Vec::new();
        let range = ports.map(|(first, last)| first..=last);
        for port in range.into_iter().flatten() {
            let bound = bind((listen.ip(), port).into(), &mut inherited).await;
            others.push(bound.with_context(|| {
                format!(
                    "listen on port {port} for services: free it, or change ExternalPortMin and ExternalPortMax"
                )
            })?);
        }
        Ok(Self { main, ports: others })
    }

    /// The main address, as bound.
    pub(super) fn address(&self) -> Result<SocketAddr> {
        self.main.local_addr().context("ask for our own address")
    }

    /// All of them once more, the main one first.
    pub(super) fn copies(&self) -> Result<Vec<TcpListener>> {
        let all = std::iter::once(&self.main).chain(&self.ports).map(TcpListener::try_clone);
        all.collect::<io::Result<_>>().context("copy the listening sockets")
    }

    /// All of them, the main one first.
    pub(super) fn into_all(self) -> Vec<TcpListener> {
        std::iter::once(self.main).chain(self.ports).collect()
    }
}

/// The inherited socket of this address, or a new one with tokio's longer queue of waiting connections.
async fn bind(address: SocketAddr, inherited: &mut Vec<TcpListener>) -> io::Result<TcpListener> {
    // Any port will do: the one that the other process got.
    let fits = |at: SocketAddr| at == address || (address.port() == 0 && at.ip() == address.ip());
    match inherited.iter().position(|known| known.local_addr().is_ok_and(fits)) {
        Some(n) => Ok(inherited.remove(n)),
        None => tokio::net::TcpListener::bind(address).await?.into_std(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: &str = "127.0.0.1:0";

    async fn bind(listen: &str, inherited: Vec<TcpListener>) -> Sockets {
        Sockets::bind(listen.parse().unwrap(), None, inherited).await.unwrap()
    }

    #[tokio::test]
    async fn what_was_inherited_is_not_bound_again() {
        let first = bind(ANY, Vec::new()).await;
        let address = first.address().unwrap();
        for listen in [address.to_string().as_str(), ANY] {
            let second = bind(listen, first.copies().unwrap()).await;
            assert_eq!(second.address().unwrap(), address);
        }
        let other = bind(ANY, bind("127.0.0.2:0", Vec::new()).await.into_all()).await;
        assert_eq!(other.address().unwrap().ip().to_string(), "127.0.0.1");
        let taken = Sockets::bind(address, None, Vec::new()).await.unwrap_err();
        assert!(taken.to_string().contains("--listen"), "{taken}");
    }
}
