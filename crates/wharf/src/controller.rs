//! The controller: builds every role once, plugs their traits together, serves, and comes down by the ladder.
//!
//! Order matters: the address is bound before its port is told to anyone, supervisors can connect before requests are
//! accepted, and the ready file is written last.

mod keeping;
mod options;
mod roles;
pub(crate) mod settings;
mod sockets;

use crate::data_dir::{DataDir, Seat};
use crate::dispatcher;
use crate::edge::EdgeThread;
use crate::images::LocalImages;
use crate::owner;
use crate::supervisors::{self, TunnelSocket};
use anyhow::Result;
use client::Client;
use config::Config;
use lifecycle::{Ladder, Signals, TaskScope};
use roles::Roles;
use sockets::Sockets;
use std::net::SocketAddr;
use std::time::Duration;
use store::Store;

pub(crate) use keeping::Keeping;
pub(crate) use options::{ControllerOptions, Role};

/// A controller that serves.
#[derive(Debug)]
pub(crate) struct Controller {
    /// The dashboard's and the API's address, ends with `/`.
    pub(crate) url: String,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Typed calls as the owner, without a socket.
    pub(crate) client: Client,
    /// The images on this machine.
    pub(crate) images: LocalImages,
    ladder: Ladder,
    config: Config,
    store: Store,
    edge: EdgeThread,
    _seat: Option<Seat>,
}

impl Controller {
    /// Starts every role; when this returns, the address is served. Dropped midway, it leaves nothing behind.
    pub(crate) async fn start(options: &ControllerOptions) -> Result<Self> {
        let wanted = options.resolve(None)?;
        let data = DataDir::prepare(&wanted.data_dir)?;
        let seat = match options.role {
            Role::Everything => Some(data.take_seat()?),
            Role::Controller => None,
        };
        let sockets = Sockets::bind(wanted.listen, wanted.services.external_ports).await?;
        let address = sockets.address()?;
        let config = options.resolve(Some(address))?;
        let (keeping, identity) = Keeping::open_for_service(&config, &data).await?;

        let work = TaskScope::new("controller");
        let roles = Roles::build(&config, &data, &keeping, &identity, &work)?;
        let limits = settings::edge(&config)?;
        let grace = config.shutdown.drain_grace;
        let mut edge = EdgeThread::start(roles.rooms, identity.tls, limits, grace)?;

        let socket = TunnelSocket::bind(&data.tunnels()).await?;
        let accepting = supervisors::accept(socket, roles.acceptor, edge.handle(), work.clone());
        work.spawn_cancellable("supervisors", accepting);
        supervisors::knock(&data.path().join("containers")).await;
        if options.role == Role::Everything {
            let processes = work.child("supervisor processes");
            let dispatcher =
                dispatcher::build(&data, &config, &keeping, roles.registry, processes)?;
            work.spawn("dispatcher", dispatcher.run(work.token()));
        }
        edge.accept(sockets.into_all());
        owner::publish(&config, &data, options.role, &identity.owner).await?;
        Ok(Self {
            url: config.services.controller_url.clone(),
            address,
            client: roles.client,
            images: keeping.images,
            ladder: Ladder::new(work),
            config,
            store: keeping.store,
            edge,
            _seat: seat,
        })
    }

    /// The resolved config.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Serves until a signal asks it to stop, then comes down.
    pub(crate) async fn serve(self, mut signals: Signals) -> Result<()> {
        let first = signals.next().await;
        tracing::info!(signal = ?first, "stopping; running services stay");
        self.stop(signals).await
    }

    /// Comes down. Running containers stay.
    pub(crate) async fn stop(self, mut signals: Signals) -> Result<()> {
        let Self { ladder, config, store, edge, .. } = self;
        edge.close();
        let shutdown = &config.shutdown;
        let hurry = async {
            signals.next().await;
        };
        let report = ladder.descend(Duration::ZERO, shutdown.end_timeout, hurry).await;
        if !edge.join(shutdown.drain_grace + shutdown.end_timeout).await {
            tracing::warn!("open connections were cut");
        }
        store.close().await;
        tracing::info!(left = ?report.left, "stopped");
        Ok(())
    }
}
