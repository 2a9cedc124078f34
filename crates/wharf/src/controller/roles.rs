//! Every role, built once and plugged together.

use super::keeping::{Identity, Keeping};
use super::settings;
use crate::blocks;
use crate::data_dir::DataDir;
use crate::dial::AppDial;
use crate::directory::RecordsDirectory;
use crate::edge::Rooms;
use crate::histories::Histories;
use crate::log_entries;
use crate::log_files::LogFiles;
use crate::metrics::{MetricsPage, Sources};
use crate::peers::Peers;
use crate::shells::ContainerShells;
use crate::site::SiteFacts;
use crate::traffic;
use crate::uses;
use crate::visitors::SeenVisitors;
use anyhow::{Context, Result};
use api::Api;
use client::Client;
use config::Config;
use dispatch::TunnelAcceptor;
use lifecycle::TaskScope;
use proxy::Proxy;
use std::sync::Arc;
use store::Store;
use tokio::runtime::Handle;
use tunnel::Registry;

/// The parts of a controller that know nothing of sockets and signals.
#[derive(Debug)]
pub(super) struct Roles {
    /// Where requests go.
    pub(super) rooms: Arc<Rooms>,
    /// Typed calls as the owner, without a socket.
    pub(super) client: Client,
    /// Lets supervisors in.
    pub(super) acceptor: TunnelAcceptor,
    /// The page of figures, where there is to be one.
    pub(super) metrics: Option<MetricsPage>,
    /// Those that are in.
    pub(super) registry: Registry,
    /// The other controllers.
    pub(super) peers: Peers,
}

impl Roles {
    /// Starts what follows the records below `work`.
    pub(super) fn build(
        config: &Config,
        data: &DataDir,
        keeping: &Keeping,
        identity: &Identity,
        work: &TaskScope,
    ) -> Result<Self> {
        let store = &keeping.store;
        let logs = LogFiles::new(data.path().join("containers"), store.clone());
        let histories = Histories::new(data.path().join("containers"));
        let registry = Registry::new();
        let directory = RecordsDirectory::new(store.clone(), logs.clone());
        let short_way = config.proxy.direct_sockets.then(|| data.path().join("containers"));
        let proxy = Arc::new(Proxy::new(
            settings::proxy(config, &identity.secrets),
            Arc::clone(&directory) as Arc<dyn proxy::Directory>,
            Arc::new(AppDial::new(registry.clone(), short_way)),
        ));
        let peers = Peers::new(data.peers())?;
        let dispatching = settings::dispatch(data, config);
        let site = SiteFacts::new(config, data, &dispatching, store.clone(), Arc::clone(&proxy));
        let api = Api::new(
            store.clone(),
            settings::api(config)?,
            blocks::served(config, &keeping.keep, &identity.secrets),
            api::Sources {
                images: Arc::new(keeping.images.clone()),
                logs: Arc::new(logs),
                figures: Arc::new(histories.clone()),
                visitors: Arc::new(SeenVisitors {
                    proxy: Arc::clone(&proxy),
                    peers: peers.clone(),
                }),
                shells: Arc::new(ContainerShells::new(registry.clone())),
                site: Arc::new(site.clone()),
            },
        );
        let client = Client::in_memory(api.in_front_of(api.router()), identity.owner.clone());
        let pages = settings::dashboard(config, data, &identity.secrets);
        let router = api.in_front_of(api.router().merge(dashboard::router(pages, client.clone())));

        let acceptor = TunnelAcceptor::new(
            store.clone(),
            tunnel::Identity::generate().context("make the tunnels' key")?,
            &dispatching,
            config.services.service_domain.clone(),
            registry.clone(),
        );
        let (counted, token) = (Arc::clone(&proxy), work.token());
        work.spawn("traffic", traffic::keep(counted, histories, token));
        let sources = Sources {
            api,
            proxy: Arc::clone(&proxy),
            starts: acceptor.starts(),
            tunnels: registry.clone(),
            store: store.clone(),
            site,
        };
        let metrics = MetricsPage::new(&config.metrics, sources)?;
        let interval = config.lifetimes.use_interval;
        work.spawn("uses", uses::tell(proxy.uses(), store.clone(), interval, work.token()));
        let kept = Arc::clone(&proxy);
        work.spawn_cancellable("grants", async move { kept.keep_grants().await });
        work.spawn_cancellable("directory changes", directory.follow_changes());
        work.spawn_cancellable("orders to stop", acceptor.clone().follow_records());
        keep_records(store, config, work);
        let router_hsts = settings::router_hsts(config);
        let router_runtime = Handle::current();
        let rooms = Arc::new(Rooms { proxy, router, router_hsts, router_runtime });
        Ok(Self { rooms, client, acceptor, registry, metrics, peers })
    }
}

/// Hears of other processes' changes, and ends what is over.
fn keep_records(store: &Store, config: &Config, work: &TaskScope) {
    let followed = store.clone();
    work.spawn_cancellable("other processes' changes", async move {
        followed.follow_changes().await;
    });
    let (logged, kept) = (store.clone(), config.audit_logs.clone());
    work.spawn_cancellable(
        "old log entries",
        async move { log_entries::prune(&logged, &kept).await },
    );
    let swept = store.clone();
    work.spawn_cancellable("trash", async move { swept.keep_trash().await });
    let ended = store.clone();
    work.spawn_cancellable("requests whose time is over", async move {
        ended.keep_expiry().await;
    });
}
