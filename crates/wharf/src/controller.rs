//! The controller: builds every role once, plugs their traits together, serves, and comes down by the ladder.
//!
//! Order matters: the address is bound before its port is told to anyone, and whatever can fail is done before the first
//! connection is accepted, so that a process before us goes on untouched where it does.

mod arrival;
mod departure;
mod keeping;
mod options;
mod roles;
pub(crate) mod settings;
mod sockets;

use crate::blocks;
use crate::data_dir::DataDir;
use crate::dispatcher;
use crate::edge::EdgeThread;
use crate::images::LocalImages;
use crate::metrics;
use crate::owner;
use crate::replace::{Door, Legacy, Predecessor, Relaunch};
use crate::service_manager;
use crate::supervisors::{self, ApiEntry, Entrance};
use anyhow::{Context, Result};
use client::Client;
use config::Config;
use lifecycle::{Ladder, TaskScope, UpgradeSignal};
use roles::Roles;
use sockets::Sockets;
use std::net::SocketAddr;
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
    /// Where it was told to listen; port 0 means any free one.
    listen: SocketAddr,
    config: Config,
    store: Store,
    work: TaskScope,
    ladder: Ladder,
    /// The part of the work that goes on in the process that takes our place.
    dispatching: TaskScope,
    /// Gives its address up to whoever serves in our place.
    metrics: TaskScope,
    edge: EdgeThread,
    /// Tells programs in containers where we are.
    _api_entry: ApiEntry,
    /// Until they are accepted from.
    sockets: Option<Sockets>,
    /// Who ran before us and waits to hear that we serve.
    predecessor: Option<Predecessor>,
    door: Door,
    legacy: Legacy,
    relaunch: Relaunch,
    upgrades: UpgradeSignal,
}

impl Controller {
    /// Starts every role; connections wait in the kernel until [`Controller::open`]. Dropped midway, it leaves nothing
    /// behind.
    pub(crate) async fn start(options: &ControllerOptions) -> Result<Self> {
        let upgrades = UpgradeSignal::listen().context("listen for signals")?;
        let wanted = options.resolve(None)?;
        let data = DataDir::prepare(&wanted.data_dir)?;
        let (predecessor, inherited) = arrival::predecessor(options, &data, &wanted).await?;
        let seat = match (options.role, inherited.seat) {
            (Role::Everything, None) => Some(data.take_seat()?),
            (Role::Everything, inherited) => inherited,
            (Role::Controller, _) => None,
        };
        let ports = wanted.services.external_ports;
        let sockets = Sockets::bind(wanted.listen, ports, inherited.listeners).await?;
        let address = sockets.address()?;
        let config = options.resolve(Some(address))?;
        let (keeping, identity) = Keeping::open_for_service(&config, &data).await?;

        let work = TaskScope::new("controller");
        let roles = Roles::build(&config, &data, &keeping, &identity, &work)?;
        roles.peers.open(&roles.rooms.proxy, &work).await?;
        let limits = settings::edge(&config)?;
        let edge =
            EdgeThread::start(roles.rooms, identity.tls, limits, config.shutdown.drain_grace)?;
        let entrance = Entrance::open(&data.tunnels(), config.tunnels.listen).await?;
        let api_entry = ApiEntry::open(&data.apis(), address).await?;
        let starts = roles.acceptor.starts();
        let accepting = supervisors::accept(entrance, roles.acceptor, edge.handle(), work.clone());
        work.spawn_cancellable("supervisors", accepting);
        supervisors::knock(&data.path().join("containers")).await;
        if predecessor.is_some() {
            let bound = config.shutdown.upgrade_wait;
            let (expected, store) = (&inherited.tunnels, &keeping.store);
            arrival::wait_for_tunnels(expected, &roles.registry, store, bound).await;
        }
        let door = Door::build(&data.doors(), &arrival::door_name(options.role, address))?;
        owner::publish(&config, &data, options.role, &identity.owner).await?;
        if let Some(predecessor) = &predecessor {
            predecessor.check()?;
        }

        let dispatching = work.child("dispatch");
        if options.role == Role::Everything {
            let (processes, registry) =
                (work.child("supervisor processes"), roles.registry.clone());
            let dispatcher = dispatcher::build(&data, &config, &keeping, registry, processes)?;
            let dispatcher = dispatcher.counting(starts);
            dispatching.spawn("dispatcher", dispatcher.run(dispatching.token()));
        }
        blocks::start_sweeps(&config, &keeping.store, &keeping.keep, &dispatching);
        let metrics = metrics::serve(roles.metrics, &work);
        let listeners = sockets.copies()?;
        Ok(Self {
            url: config.services.controller_url.clone(),
            address,
            client: roles.client,
            images: keeping.images,
            listen: wanted.listen,
            config,
            store: keeping.store,
            ladder: Ladder::new(work.clone()),
            work,
            dispatching,
            metrics,
            edge,
            _api_entry: api_entry,
            sockets: Some(sockets),
            predecessor,
            door,
            legacy: Legacy { listeners, seat, tunnels: roles.registry },
            relaunch: options.relaunch.clone(),
            upgrades,
        })
    }

    /// The resolved config.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Whether another process served here until now.
    pub(crate) fn is_successor(&self) -> bool {
        self.predecessor.is_some()
    }

    /// The last step of a start, which cannot fail halfway: accepts connections, and tells whoever waits for that, the
    /// process before us or the service manager. From now on we can be asked for our place.
    pub(crate) async fn open(&mut self) -> Result<()> {
        if let Some(predecessor) = &self.predecessor {
            predecessor.check()?;
        }
        self.door.open()?;
        if let Some(sockets) = self.sockets.take() {
            self.edge.accept(sockets.into_all());
        }
        if let Some(predecessor) = self.predecessor.take() {
            predecessor.tell().await;
        }
        // Where the service manager knows the process before us, that one has named us by now, or soon does.
        service_manager::tell("READY=1");
        Ok(())
    }
}
