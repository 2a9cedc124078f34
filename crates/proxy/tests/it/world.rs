//! Records, apps and a listening proxy for one test; all of it goes away with the test.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{FutureExt, StreamExt, stream};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use model::{
    Access, ApiToken, ClusterId, ContainerPort, ContainerUuid, PublishedPort, PublishedPorts,
    RequestUuid, ServiceDomain, Timestamp, TokenUuid, UserUuid,
};
use proxy::{
    Changed, Credential, Dial, DialError, Directory, DirectoryError, Downstream, DownstreamLimits,
    HostTarget, Io, Peer, Principal, Proxy, ProxyConfig, SessionKey, StartInfo, Target,
    TargetState,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinSet;

use crate::app::App;
use crate::brittle::Brittle;
use crate::client::Client;

pub(crate) const CONTAINER: &str = "wharf-dz642-0123456789abcde";
pub(crate) const OTHER: &str = "wharf-dz642-00000000000000b";
pub(crate) const REQUEST: &str = "wharf-xvhdp-0123456789abcde";
/// The private service of Alice.
pub(crate) const HOST: &str = "wharf-dz642-0123456789abcde-80.containers.localhost";
/// The same container's public port.
pub(crate) const PUBLIC: &str = "wharf-dz642-0123456789abcde-81.containers.localhost";
/// Bob's service.
pub(crate) const BOBS: &str = "wharf-dz642-00000000000000b-80.containers.localhost";

/// How long anything in a test may take.
pub(crate) const BOUND: Duration = Duration::from_secs(20);

/// Everything a test needs.
pub(crate) struct World {
    pub(crate) records: Arc<Records>,
    pub(crate) apps: Arc<Apps>,
    pub(crate) proxy: Proxy,
    pub(crate) address: SocketAddr,
    _server: JoinSet<()>,
}

impl World {
    /// Alice's container (80 private, 81 public, both ready) and Bob's (80 private).
    pub(crate) async fn start() -> Self {
        Self::with(|_config| {}).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut ProxyConfig)) -> Self {
        Self::over(false, change).await
    }

    /// Over "TLS": the proxy is told so; the bytes are plain.
    pub(crate) async fn over(tls: bool, change: impl FnOnce(&mut ProxyConfig)) -> Self {
        let scheme = if tls { "https" } else { "http" };
        let domain = ServiceDomain::parse(&format!("{scheme}://*.containers.localhost/")).unwrap();
        let dashboard = "http://localhost:8000/".to_owned();
        let key = SessionKey::new([7; 32]);
        let mut config = ProxyConfig::new(ClusterId::default(), domain, key, dashboard);
        change(&mut config);
        let records = Arc::new(Records::new());
        let apps = Arc::new(Apps::default());
        let proxy = Proxy::new(config, records.clone(), apps.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(accept(listener, proxy.clone(), tls));
        let keeper = proxy.clone();
        server.spawn(async move { keeper.keep_grants().await });
        let world = Self { records, apps, proxy, address, _server: server };
        for (container, user) in [(CONTAINER, "alice"), (OTHER, "bob")] {
            world.records.add(container, 80, target(container, user, 80));
        }
        world.records.add(CONTAINER, 81, target(CONTAINER, "alice", 81));
        world
    }

    /// An echo app behind Alice's two ports and Bob's one.
    pub(crate) async fn with_echo() -> (Self, App) {
        let world = Self::start().await;
        let app = App::echo().await;
        world.serve_everywhere(&app);
        (world, app)
    }

    pub(crate) fn serve_everywhere(&self, app: &App) {
        for (container, port) in [(CONTAINER, 80), (CONTAINER, 81), (OTHER, 80)] {
            self.apps.set(container, port, Way::At(app.address));
        }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: &str) -> crate::client::Answer {
        self.connect().await.send(request).await
    }

    /// A user's token, as a header line.
    pub(crate) fn bearer(&self, name: &str) -> String {
        format!("Authorization: Bearer {}\r\n", self.records.token(name))
    }

    /// Signs Alice in on a host the way a browser is, and returns the cookie (`name=value`).
    pub(crate) async fn sign_in(&self, host: &str) -> String {
        let token = self.records.token("alice");
        let answer =
            self.send(&format!("GET /?api_token={token} HTTP/1.1\r\nHost: {host}\r\n\r\n")).await;
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned()
    }
}

async fn accept(listener: TcpListener, proxy: Proxy, tls: bool) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, addr) = listener.accept().await.unwrap();
        let proxy = proxy.clone();
        connections.spawn(async move {
            let peer = proxy.peer(addr, tls);
            let client = downstream(stream, peer.clone());
            let Some(stream) = proxy.serve_http1(client).await else { return };
            let service = service_fn(move |request| {
                let (proxy, peer) = (proxy.clone(), peer.clone());
                async move { Ok::<_, std::convert::Infallible>(proxy.serve(request, peer).await) }
            });
            let mut builder = auto::Builder::new(TokioExecutor::new());
            builder.http2().enable_connect_protocol();
            let io = TokioIo::new(stream);
            let _ended = builder.serve_connection_with_upgrades(io, service).await;
        });
    }
}

/// A connection with limits that no test reaches by chance.
pub(crate) fn downstream<IO>(io: IO, peer: Peer) -> Downstream<IO> {
    let limits = DownstreamLimits {
        head_bytes_max: 64 * 1024,
        head_timeout: BOUND,
        idle_timeout: BOUND,
        stall_timeout: BOUND,
    };
    let (leaving, closing) = Default::default();
    Downstream { io, peer, limits, leaving, closing }
}

/// A running container's port, submitted by `user`; 81 is public.
pub(crate) fn target(container: &str, user: &str, port: u16) -> Target {
    let mut ports = PublishedPorts::default();
    for (number, access) in [(80, Access::Private), (81, Access::Public)] {
        let mut entry = PublishedPort::new(access, "App", "");
        entry.start("http://x/".to_owned(), None);
        entry.ready = Some(true);
        ports.insert(ContainerPort::new(number).unwrap(), entry);
    }
    Target {
        container: Some(ContainerUuid::parse(container).unwrap()),
        request: Some(RequestUuid::parse(REQUEST).unwrap()),
        name: "My service".to_owned(),
        state: TargetState::Running,
        ports,
        port: ContainerPort::new(port).unwrap(),
        submitters: vec![user_uuid(user)],
        exit_words: String::new(),
        is_service: true,
        records: vec![container.to_owned()],
    }
}

pub(crate) fn user_uuid(name: &str) -> UserUuid {
    UserUuid::parse(&format!("wharf-tpzed-{name:0>15}")).unwrap()
}

/// A directory as honest as the real one: unknown is unknown, revoked is revoked, a code works once.
pub(crate) struct Records {
    inner: Mutex<Inner>,
    changes: broadcast::Sender<Changed>,
}

#[derive(Default)]
struct Inner {
    targets: HashMap<HostTarget, Arc<Target>>,
    principals: HashMap<TokenUuid, (ApiToken, Principal)>,
    codes: HashMap<String, (String, TokenUuid)>,
    is_down: bool,
}

impl Records {
    fn new() -> Self {
        let records = Self { inner: Mutex::default(), changes: broadcast::Sender::new(64) };
        for name in ["alice", "bob", "admin", "scoped", "expired"] {
            let token = TokenUuid::parse(&format!("wharf-gj3su-{name:0>15}")).unwrap();
            let user = if name == "scoped" || name == "expired" { "alice" } else { name };
            let expires_at = (name == "expired")
                .then(|| Timestamp::from_jiff(jiff::Timestamp::from_second(1_000_000).unwrap()));
            let principal = Principal {
                user: user_uuid(user),
                token,
                is_admin: name == "admin",
                unscoped: name != "scoped",
                expires_at,
            };
            let secret = format!("{name}{}", "s".repeat(40));
            records.inner().principals.insert(token, (ApiToken::new(token, secret), principal));
        }
        records
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    fn changed(&self, what: Changed) {
        // Nobody hears it before the proxy listens.
        let _nobody = self.changes.send(what);
    }

    /// Adds a target under its container and port.
    pub(crate) fn add(&self, container: &str, port: u16, target: Target) {
        let uuid = ContainerUuid::parse(container).unwrap();
        self.add_as(HostTarget::Container { uuid, port: ContainerPort::new(port) }, target);
    }

    pub(crate) fn add_as(&self, host: HostTarget, target: Target) {
        self.inner().targets.insert(host, Arc::new(target));
        self.changed(Changed::Everything);
    }

    /// Changes every target.
    pub(crate) fn change(&self, change: impl Fn(&mut Target)) {
        for target in self.inner().targets.values_mut() {
            change(Arc::make_mut(target));
        }
        for container in [CONTAINER, OTHER] {
            self.changed(Changed::Record(container.to_owned()));
        }
    }

    pub(crate) fn token(&self, name: &str) -> String {
        let uuid = TokenUuid::parse(&format!("wharf-gj3su-{name:0>15}")).unwrap();
        self.inner().principals[&uuid].0.expose()
    }

    pub(crate) fn revoke(&self, name: &str) {
        let uuid = TokenUuid::parse(&format!("wharf-gj3su-{name:0>15}")).unwrap();
        self.inner().principals.remove(&uuid);
        self.changed(Changed::Record(uuid.to_string()));
    }

    pub(crate) fn go_down(&self) {
        self.inner().is_down = true;
    }

    /// A code of Alice for one service host.
    pub(crate) fn code(&self, host: &str) -> String {
        let mut inner = self.inner();
        let code = format!("wc1_{:0>43}", inner.codes.len());
        let token = TokenUuid::parse(&format!("wharf-gj3su-{:0>15}", "alice")).unwrap();
        inner.codes.insert(code.clone(), (host.to_owned(), token));
        code
    }
}

impl Directory for Records {
    fn find<'a>(
        &'a self,
        target: &'a HostTarget,
    ) -> BoxFuture<'a, Result<Option<Arc<Target>>, DirectoryError>> {
        async move {
            let inner = self.inner();
            if inner.is_down {
                return Err(DirectoryError("the disk is full".to_owned()));
            }
            Ok(inner.targets.get(target).cloned())
        }
        .boxed()
    }

    fn principal(
        &self,
        credential: Credential,
    ) -> BoxFuture<'_, Result<Option<Principal>, DirectoryError>> {
        async move {
            let mut inner = self.inner();
            let found = match credential {
                Credential::Token(token) => inner
                    .principals
                    .get(&token.uuid())
                    .filter(|(kept, _)| kept.secret() == token.secret()),
                Credential::Session { token_uuid, .. } => inner.principals.get(&token_uuid),
                Credential::Code { code, place, .. } => match inner.codes.remove(&code) {
                    Some((host, token)) if host == place => inner.principals.get(&token),
                    _ => None,
                },
            };
            Ok(found.map(|(_, principal)| principal.clone()))
        }
        .boxed()
    }

    fn start_info<'a>(&'a self, _target: &'a Target) -> BoxFuture<'a, StartInfo> {
        let lines = vec!["<b>first line</b>".to_owned(), "listening soon".to_owned()];
        let info = StartInfo {
            queue_place: Some(2),
            detail: "no place is free".to_owned(),
            log_lines: lines,
        };
        async move { info }.boxed()
    }

    fn changes(&self) -> Option<BoxStream<'static, Changed>> {
        let heard = stream::unfold(self.changes.subscribe(), async |mut changes| {
            changes.recv().await.ok().map(|changed| (changed, changes))
        });
        Some(heard.boxed())
    }
}

/// Where a container's port leads.
#[derive(Debug, Clone)]
pub(crate) enum Way {
    At(SocketAddr),
    /// By a stream that breaks after its first request.
    Brittle(SocketAddr),
    Fails(DialError),
    /// Never answers.
    Hangs,
}

/// Ways to apps; a port without one refuses.
#[derive(Default)]
pub(crate) struct Apps {
    ways: Mutex<HashMap<(ContainerUuid, u16), Way>>,
    n_dials: Mutex<u32>,
}

impl Apps {
    pub(crate) fn set(&self, container: &str, port: u16, way: Way) {
        let container = ContainerUuid::parse(container).unwrap();
        self.ways.lock().unwrap().insert((container, port), way);
    }

    pub(crate) fn n_dials(&self) -> u32 {
        *self.n_dials.lock().unwrap()
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, DialError> {
    let stream = TcpStream::connect(address).await.map_err(|_closed| DialError::Refused)?;
    stream.set_nodelay(true).unwrap();
    Ok(stream)
}

impl Dial for Apps {
    fn dial<'a>(
        &'a self,
        container: &'a ContainerUuid,
        port: u16,
    ) -> BoxFuture<'a, Result<Box<dyn Io>, DialError>> {
        async move {
            *self.n_dials.lock().unwrap() += 1;
            let way = self.ways.lock().unwrap().get(&(*container, port)).cloned();
            match way {
                None => Err(DialError::Refused),
                Some(Way::Fails(error)) => Err(error),
                Some(Way::Hangs) => std::future::pending().await,
                Some(Way::At(address)) => {
                    connect(address).await.map(|stream| Box::new(stream) as Box<dyn Io>)
                }
                Some(Way::Brittle(address)) => {
                    let stream = connect(address).await?;
                    Ok(Box::new(Brittle::new(stream)) as Box<dyn Io>)
                }
            }
        }
        .boxed()
    }
}
