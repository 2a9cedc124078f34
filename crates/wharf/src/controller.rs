//! The controller: builds every role once, plugs their traits together, serves, and comes down by the ladder.
//!
//! Order matters: the data directory is held before anything is read from it, the address is bound before its port is
//! told to anyone, and the ready file is written last.

use crate::certificates;
use crate::data_dir::DataDir;
use crate::dial::AppDial;
use crate::directory::RecordsDirectory;
use crate::edge::{self, EdgeLimits, Rooms};
use crate::images::LocalImages;
use crate::log_files::LogFiles;
use crate::machine;
use crate::owner;
use crate::secrets::Secrets;
use crate::supervisors;
use anyhow::{Context, Result};
use api::{Api, ApiConfig, BindMounts};
use cli::DEFAULT_LISTEN;
use client::Client;
use config::{Config, Credentials};
use dashboard::DashboardConfig;
use dispatch::{DispatchConfig, Dispatcher, LocalBackend};
use lifecycle::{CancellationToken, Ladder, Signals, TaskScope};
use proxy::{Proxy, ProxyConfig, SessionKey};
use runtime::images::ImageStore;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use store::{Store, StoreOptions};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_rustls::TlsAcceptor;
use tunnel::{Identity, Registry};

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
    edge: Option<std::thread::JoinHandle<()>>,
    edge_stop: CancellationToken,
    /// Listened to before anybody hears that we serve, so that an early stop is an orderly one.
    signals: Signals,
    _data: DataDir,
}

/// What `main` has decided before a controller starts.
#[derive(Debug)]
pub(crate) struct ControllerOptions {
    /// Where everything is kept.
    pub(crate) data: PathBuf,
    /// Where to listen, if the command line says so; port 0 means any free one.
    pub(crate) listen: Option<SocketAddr>,
    /// A config file over the local defaults.
    pub(crate) config_file: Option<PathBuf>,
}

impl ControllerOptions {
    /// The config: the local defaults, the file over them. `bound` is the address that was really bound.
    pub(crate) fn resolve(&self, bound: Option<SocketAddr>) -> Result<Config> {
        let default = DEFAULT_LISTEN.parse().context("the default address")?;
        let data = std::path::absolute(&self.data)
            .with_context(|| format!("find {}", self.data.display()))?;
        let local = Config::local(data, bound.or(self.listen).unwrap_or(default));
        let Some(path) = &self.config_file else { return Ok(local) };
        let mut config = config::RawConfig::load(path)?.resolve(local)?;
        match (self.listen, bound) {
            (Some(flag), None) if config.listen != flag => anyhow::bail!(
                "--listen says {flag} and Listen in {} says {}: give one of them",
                path.display(),
                config.listen
            ),
            (_, Some(bound)) => config.listen = bound,
            _ => {}
        }
        Ok(config)
    }
}

impl Controller {
    /// Starts every role; when this returns, the address is served.
    pub(crate) async fn start(options: &ControllerOptions) -> Result<Self> {
        let signals = Signals::listen().context("listen for signals")?;
        let wanted = options.resolve(None)?;
        let data = DataDir::hold(&wanted.data_dir)?;
        let listener = edge::bind(wanted.listen).await?;
        let address = listener.local_addr()?;
        let config = options.resolve(Some(address))?;
        let store = open_store(&config).await?;
        let token = owner::token(&store, data.path()).await?;
        let secrets = Secrets::load_or_make(&data.path().join("secrets.json"))?;
        let images = ImageStore::open(data.path().join("images")).context("open the images")?;
        let images = LocalImages(Arc::new(images));
        let logs = LogFiles::new(data.path().join("containers"), store.clone());

        let work = TaskScope::new("controller");
        let ladder = Ladder::new(work.clone());
        let tunnels = Registry::new();
        let edge_stop = CancellationToken::new();

        let api = Api::new(
            store.clone(),
            api_config(&config),
            Arc::new(images.clone()),
            Arc::new(logs.clone()),
        );
        let in_memory = Client::in_memory(api.router(), token.clone());
        let pages = dashboard::router(
            dashboard_config(&config, &data, &secrets, address),
            in_memory.clone(),
        );
        let router = api.router().merge(pages);

        let directory = RecordsDirectory::new(store.clone(), logs, config.proxy.grant_age_max);
        let short_way = config.proxy.direct_sockets.then(|| data.path().join("containers"));
        let dial = Arc::new(AppDial::new(tunnels.clone(), short_way));
        let proxy = Arc::new(Proxy::new(
            proxy_config(&config, &secrets),
            Arc::clone(&directory) as Arc<dyn proxy::Directory>,
            dial,
        ));
        let kept = Arc::clone(&proxy);
        work.spawn_cancellable("grants", async move { kept.keep_grants().await });
        work.spawn_cancellable("directory changes", directory.follow_changes());
        let followed = store.clone();
        work.spawn_cancellable("other processes' changes", async move {
            followed.follow_changes().await;
        });

        let rooms = Arc::new(Rooms { proxy, router, router_runtime: Handle::current() });
        let mut listeners = edge::bind_ports(address, config.services.external_ports).await?;
        listeners.push(listener);
        let (edge, edge_handle) = start_edge(listeners, &data, &config, rooms, edge_stop.clone())?;
        start_dispatch(&work, &data, &config, &store, &images, tunnels, edge_handle)?;

        let credentials = Credentials {
            api_host: format!("localhost:{}", address.port()),
            api_url: Some(format!("http://localhost:{}", address.port())),
            token,
            ca_file: Some(data.path().join("ca.pem")),
            insecure: false,
        };
        credentials.save(data.path()).context("write credentials.json")?;
        let url = config.services.controller_url.clone();
        Ok(Self {
            url,
            address,
            client: in_memory,
            images,
            ladder,
            config,
            store,
            edge: Some(edge),
            edge_stop,
            signals,
            _data: data,
        })
    }

    /// The resolved config.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// Serves until a signal asks it to stop, then comes down. Running containers stay.
    pub(crate) async fn serve(mut self) -> Result<()> {
        let first = self.signals.next().await;
        tracing::info!(signal = ?first, "stopping; running services stay");
        self.edge_stop.cancel();
        let shutdown = &self.config.shutdown;
        let hurry = async {
            self.signals.next().await;
        };
        let report = self.ladder.descend(Duration::ZERO, shutdown.end_timeout, hurry).await;
        if let Some(edge) = self.edge.take() {
            let joined = tokio::task::spawn_blocking(move || edge.join());
            let bound = shutdown.drain_grace + shutdown.end_timeout;
            if tokio::time::timeout(bound, joined).await.is_err() {
                tracing::warn!("open connections were cut");
            }
        }
        self.store.close().await;
        tracing::info!(left = ?report.left, "stopped");
        Ok(())
    }
}

async fn open_store(config: &Config) -> Result<Store> {
    let path = config.data_dir.join("wharf.db");
    let options = StoreOptions { cluster: config.cluster_id, ..StoreOptions::default() };
    let store = Store::open(&path, options).await;
    let store = store.with_context(|| format!("open the records in {}", path.display()))?;
    store.ensure_system_user().await?;
    Ok(store)
}

fn api_config(config: &Config) -> ApiConfig {
    let containers = &config.containers;
    let bind_mounts = match (containers.bind_mounts.is_empty(), containers.bind_mounts_for_all) {
        (true, _) => BindMounts::Nobody,
        (false, false) => BindMounts::AdminsOnly,
        (false, true) => BindMounts::Everyone,
    };
    ApiConfig {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        reserved_names: config.reserved_names(),
        bind_mounts,
        bind_directories: containers.bind_mounts.clone(),
        request_bytes_max: config.api.body_bytes_max.as_usize(),
        image_bytes_max: config.api.image_bytes_max.get(),
        handoff_ttl: config.sessions.handoff_code_lifetime,
        login_ttl: config.sessions.sign_in_link_lifetime,
        session_ttl: config.sessions.session_lifetime,
        ..ApiConfig::new(
            config.services.controller_url.clone(),
            config.services.service_domain.clone(),
        )
    }
}

fn proxy_config(config: &Config, secrets: &Secrets) -> ProxyConfig {
    let services = &config.services;
    ProxyConfig {
        external_ports: services.external_ports.map(|(min, max)| min..=max),
        allow_unpublished_ports: services.allow_unpublished_ports,
        session_lifetime_max: config.sessions.session_lifetime,
        connect_timeout: config.proxy.connect_timeout,
        retry_after: config.proxy.retry_after,
        grant_age_max: config.proxy.grant_age_max,
        pool_idle_timeout: config.proxy.upstream_idle_timeout,
        http2_streams_max_per_key: config.proxy.upstream_streams_max as usize,
        ..ProxyConfig::new(
            config.cluster_id,
            services.service_domain.clone(),
            SessionKey::new(secrets.session_key),
            services.controller_url.clone(),
        )
    }
}

fn dashboard_config(
    config: &Config,
    data: &DataDir,
    secrets: &Secrets,
    address: SocketAddr,
) -> DashboardConfig {
    DashboardConfig {
        session_key: secrets.session_key,
        service_domain: config.services.service_domain.clone(),
        api_host: format!("localhost:{}", address.port()),
        ca_file: Some(data.path().join("ca.pem")),
    }
}

fn dispatch_config(data: &DataDir, config: &Config) -> DispatchConfig {
    let containers = &config.containers;
    let (ram, vcpus) = (containers.ram.get(), containers.vcpus);
    let ram = if ram == 0 { machine::ram_bytes() } else { ram };
    let vcpus = if vcpus == 0 { machine::vcpus() } else { vcpus };
    DispatchConfig {
        containers_max: containers.max_running as usize,
        ram_overcommit: containers.ram_overcommit,
        cpu_overcommit: containers.vcpu_overcommit,
        stop_grace: containers.stop_grace,
        log_bytes_max: containers.log_bytes_max.get(),
        period: containers.reconcile_interval,
        external_ports: config.services.external_ports.map(|(min, max)| min..=max),
        ..DispatchConfig::for_machine(data.path().to_owned(), ram, vcpus)
    }
}

/// Starts the edge thread with its own runtime; gives that runtime's handle for the tunnels' drivers.
fn start_edge(
    listeners: Vec<TcpListener>,
    data: &DataDir,
    config: &Config,
    rooms: Arc<Rooms>,
    stop: CancellationToken,
) -> Result<(std::thread::JoinHandle<()>, Handle)> {
    let domain = &config.services.service_domain;
    let mut names = vec!["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    names.push(domain.host_of("*").replace("*-", "*"));
    if let Some(host) = host_of_url(&config.services.controller_url) {
        names.push(host);
    }
    names.retain(|name| name.rfind('*').is_none_or(|at| at == 0 && name[1..].starts_with('.')));
    names.sort();
    names.dedup();
    let tls = TlsAcceptor::from(certificates::server_config(data.path(), names)?);
    let limits = EdgeLimits {
        handshake_timeout: config.proxy.handshake_timeout,
        header_timeout: config.proxy.header_timeout.max(config.proxy.idle_timeout),
        header_bytes_max: usize::try_from(config.proxy.header_bytes_max.get())?,
        n_http2_streams_max: 256,
        n_connections_max: config.proxy.connections_max as usize,
    };
    let grace = config.shutdown.drain_grace;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    let listeners: Vec<_> =
        listeners.into_iter().map(TcpListener::into_std).collect::<std::io::Result<_>>()?;
    let thread = std::thread::Builder::new().name("edge".to_owned()).spawn(move || {
        runtime.block_on(async move {
            let listeners = listeners.into_iter().map(TcpListener::from_std).collect();
            match listeners {
                Ok(listeners) => edge::serve(listeners, tls, rooms, limits, stop, grace).await,
                Err(error) => tracing::error!(error = %error, "the edge cannot listen"),
            }
        });
    })?;
    Ok((thread, handle))
}

fn host_of_url(url: &str) -> Option<String> {
    let uri: http::Uri = url.parse().ok()?;
    uri.host().map(str::to_owned)
}

fn start_dispatch(
    work: &TaskScope,
    data: &DataDir,
    config: &Config,
    store: &Store,
    images: &LocalImages,
    tunnels: Registry,
    edge: Handle,
) -> Result<()> {
    let executable = std::env::current_exe().context("find our own executable")?;
    let backend =
        LocalBackend::new(data.path().to_owned(), executable, work.child("supervisor processes"));
    let dispatcher = Dispatcher::new(
        store.clone(),
        dispatch_config(data, config),
        Arc::new(backend),
        Arc::new(images.clone()),
        config.services.service_domain.clone(),
        tunnels,
    );
    let listener = supervisors::bind(&data.path().join("run"))?;
    let acceptor = dispatcher.acceptor(Identity::generate().context("make the tunnels' key")?);
    work.spawn_cancellable(
        "supervisors",
        supervisors::accept(listener, acceptor, edge, work.clone()),
    );
    let token = work.token();
    work.spawn("dispatcher", dispatcher.run(token));
    Ok(())
}
