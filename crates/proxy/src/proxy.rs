//! The gate and the data path of one request: read [`Shared::answer`] from top to bottom.
//!
//! The order is the same for every method and protocol: host, service, who, may they, from where, and only then which
//! protocol. What is ours in a request is taken out before anything is decided.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{COOKIE, HOST, LOCATION, ORIGIN, SET_COOKIE};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use lifecycle::{TaskScope, TasksLeft};
use model::ContainerUuid;

use crate::access_log::AccessLine;
use crate::authorize::{self, Caller};
use crate::body::ProxyBody;
use crate::config::ProxyConfig;
use crate::dial::{Dial, DialError};
use crate::directory::{Directory, DirectoryError, HostTarget, StartInfo, Target};
use crate::exchange::{Exchange, RequestIds};
use crate::grpc;
use crate::headers::{self, Forwarded};
use crate::host::{self, Authority, HostError, HostRules};
use crate::origin::{self, Origin};
use crate::pages::{self, Asked, Pages};
use crate::refusal::{GatewayProblem, Refusal};
use crate::relay::{self, RelayError, SocketAnswer, Way};
use crate::route::{self, Protocol, Reach};
use crate::session::cookie::{self, CookieNames};
use crate::session::seal::{Seal, Session};
use crate::session::{Credentials, QueryCredential};
use crate::socket::Handshake;
use crate::standing::Standing;
use crate::tcp;
use crate::tenant::{self, Tenancy};
use crate::upstream::http2::Http2Pool;
use crate::upstream::pool::Pool;
use crate::upstream::{self, Owner, PoolKey};

/// The other end of the connection that a request came over.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The socket's own peer address.
    pub addr: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// Serves service hosts. Clones are handles to the same proxy.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy that asks `directory` and reaches apps through `dial`.
    pub fn new(config: ProxyConfig, directory: Arc<dyn Directory>, dial: Arc<dyn Dial>) -> Self {
        let shared = Shared {
            rules: HostRules::new(config.service_domain.clone(), config.external_ports.clone()),
            seal: Seal::new(&config.session_key),
            pages: Pages::new(&config),
            pool: Pool::new(&config),
            calls: Http2Pool::new(&config, Arc::clone(&dial)),
            ids: RequestIds::new(),
            sockets: TaskScope::new("sockets"),
            config,
            directory,
            dial,
        };
        Self { shared: Arc::new(shared) }
    }

    /// Whether a `Host` value (with or without port) belongs to services, also when it names none.
    pub fn is_service_host(&self, host: &str) -> bool {
        self.shared.rules.is_service_host(host)
    }

    /// Whether a request is the proxy's to answer: one of the hosts that it names belongs to services.
    ///
    /// A request that names several is refused by [`Proxy::serve`]; it must not reach anything else before.
    pub fn claims<B>(&self, request: &Request<B>) -> bool {
        let authority = request.uri().authority().map(http::uri::Authority::as_str);
        let headers = request.headers().get_all(HOST).iter().filter_map(|host| host.to_str().ok());
        authority.into_iter().chain(headers).any(|host| self.is_service_host(host))
    }

    /// Answers one request for a service host.
    pub async fn serve(&self, request: Request<Incoming>, peer: Peer) -> Response<ProxyBody> {
        let shared = &self.shared;
        let exchange = Exchange::begin(&request, peer, &shared.ids);
        let (parts, body) = request.into_parts();
        let mut asked = AskedAt::default();
        let answered = shared.answer(parts, body, &exchange, &mut asked).await;
        let (status, mut response) = match answered {
            Ok(response) => (response.status(), response),
            Err(refusal) => {
                let path = asked.path.path_and_query().map_or("/", |text| text.as_str());
                let asked = Asked { exchange: &exchange, host: &asked.host, path };
                (refusal.status(), shared.pages.refuse(&refusal, asked))
            }
        };
        for gone in asked.cookies_to_clear {
            response.headers_mut().append(SET_COOKIE, gone);
        }
        let line = AccessLine::new(&exchange, &asked.host, status);
        response.map(|body| body.logged(line))
    }

    /// Closes every WebSocket, waits at most `bound`, and says what was left.
    pub async fn shutdown(&self, bound: Duration) -> TasksLeft {
        self.shared.sockets.shutdown(bound).await
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("config", &self.shared.config).finish_non_exhaustive()
    }
}

/// What is known of the address once it was read; for pages and logs.
#[derive(Debug, Default)]
struct AskedAt {
    host: String,
    /// Without our token.
    path: Uri,
    /// Sent with whatever is answered.
    cookies_to_clear: Vec<HeaderValue>,
}

/// A request that passed the gate.
struct Admitted {
    target: Arc<Target>,
    host: HostTarget,
    caller: Caller,
    origin: Origin,
    /// As the client named it.
    named_host: String,
}

struct Shared {
    config: ProxyConfig,
    rules: HostRules,
    seal: Seal,
    pages: Pages,
    pool: Arc<Pool>,
    calls: Arc<Http2Pool>,
    ids: RequestIds,
    sockets: TaskScope,
    directory: Arc<dyn Directory>,
    dial: Arc<dyn Dial>,
}

impl Shared {
    /// The whole story of a request.
    ///
    /// What few requests need is boxed: the future of a plain one stays small, and it is moved several times.
    async fn answer(
        &self,
        mut parts: Parts,
        body: Incoming,
        exchange: &Exchange,
        asked: &mut AskedAt,
    ) -> Result<Response<ProxyBody>, Refusal> {
        // Which host, and what of the request is ours.
        let named_host = host::named_host(&parts.uri, &parts.headers)?.to_owned();
        let authority = Authority::parse(&named_host)?;
        let fronts = &self.config.front_proxies;
        let https = origin::is_https(exchange.peer.tls, &parts.headers, exchange.peer_ip(), fronts);
        let origin = Origin::new(&authority, https);
        asked.host.clone_from(&origin.host);
        let host = self.rules.target_of(&authority)?;
        let names = CookieNames::new(https, external_port(&host));
        let credentials = Credentials::take_from(&mut parts, &self.config.cluster, &names);
        asked.path = parts.uri.clone();
        asked.cookies_to_clear = self.tossed(&credentials, &names);

        // Which service. A token leaves the address bar whatever the answer will be.
        let target = self.directory.find(&host).await?;
        let protocol = route::protocol_of(&parts);
        if let Some(query) = &credentials.query
            && exchange.is_get_or_head()
            && !protocol.opens_socket()
        {
            return Box::pin(self.redirect(query, target.as_deref(), &origin, &parts.uri, &names))
                .await;
        }
        let target = target.ok_or(Refusal::NotFound)?;

        // Who, whether they may, and whether it is they who ask.
        let caller = self.caller(&protocol, &target, &credentials, &origin, &parts).await?;

        // Whether it can be reached, and how it goes on.
        drop(authority);
        let admitted = Admitted { target, host, caller, origin, named_host };
        let container = match route::reach(&admitted.target, self.config.allow_unpublished_ports) {
            Reach::Unpublished => return Err(Refusal::NotFound),
            Reach::Over => return Err(Refusal::Stopped(admitted.target)),
            Reach::NotYet if protocol == Protocol::Status => {
                return Ok(Box::pin(self.status(&admitted.target, None)).await);
            }
            Reach::NotYet => return Err(Box::pin(self.starting(&admitted.target, exchange)).await),
            Reach::Running(container) => container,
        };
        let met = tenant::tenancy(credentials.cookies.container.as_deref(), &container);
        let marks = external_port(&admitted.host).is_some();
        if marks && met == Tenancy::Changed {
            return self.change_tenant(&parts, &admitted, &names, &container, exchange);
        }
        let mut response = match protocol {
            Protocol::Status => Box::pin(self.status(&admitted.target, Some(&container))).await,
            Protocol::NothingOfOurs => return Err(Refusal::NotFound),
            Protocol::Unknown => return Err(Refusal::UnknownProtocol),
            Protocol::Http => self.forward(parts, body, &admitted, container, exchange).await?,
            Protocol::Call => {
                Box::pin(self.forward_call(parts, body, &admitted, container, exchange)).await?
            }
            Protocol::Tcp => Box::pin(self.open_tcp(parts, &admitted, container, exchange)).await?,
            Protocol::WebSocket(key) => {
                Box::pin(self.open_socket(parts, Some(key), &admitted, container, exchange)).await?
            }
            Protocol::WebSocketOverHttp2 => {
                Box::pin(self.open_socket(parts, None, &admitted, container, exchange)).await?
            }
        };
        if marks && met == Tenancy::New {
            tenant::mark(response.headers_mut(), &names, &container, https);
        }
        Ok(response)
    }

    async fn caller(
        &self,
        protocol: &Protocol,
        target: &Target,
        credentials: &Credentials,
        origin: &Origin,
        parts: &Parts,
    ) -> Result<Caller, Refusal> {
        let directory = &*self.directory;
        let found = if *protocol == Protocol::Tcp {
            authorize::by_bearer(directory, target, credentials).await?
        } else {
            authorize::caller(directory, &self.seal, target, credentials, origin).await?
        };
        let caller = found.map_err(Refusal::Denied)?;
        let is_foreign = match &caller {
            // Programs name no origin.
            _ if *protocol == Protocol::Tcp => parts.headers.contains_key(ORIGIN),
            Caller::User { by_cookie: true, .. } => {
                !origin::is_from_own_pages(parts, origin, protocol.opens_socket())
            }
            Caller::User { .. } | Caller::Anyone => false,
        };
        if is_foreign { Err(Refusal::ForeignOrigin) } else { Ok(caller) }
    }

    /// One request and one answer.
    async fn forward(
        &self,
        mut parts: Parts,
        body: Incoming,
        admitted: &Admitted,
        container: ContainerUuid,
        exchange: &Exchange,
    ) -> Result<Response<ProxyBody>, Refusal> {
        self.prepare(&mut parts, admitted, exchange)?;
        let way = self.way(admitted, container, exchange);
        let revoked = self.standing(admitted, container).watch();
        match relay::relay(way, parts, body, revoked).await {
            Ok(response) => Ok(response),
            Err(error) => Err(Box::pin(self.refusal_of(error, &admitted.target, exchange)).await),
        }
    }

    /// One gRPC call and its answer.
    async fn forward_call(
        &self,
        mut parts: Parts,
        body: Incoming,
        admitted: &Admitted,
        container: ContainerUuid,
        exchange: &Exchange,
    ) -> Result<Response<ProxyBody>, Refusal> {
        self.prepare(&mut parts, admitted, exchange)?;
        grpc::prepare_call(&mut parts, &admitted.named_host)
            .map_err(|_impossible| Refusal::Malformed("the address cannot be read"))?;
        let way = self.way(admitted, container, exchange);
        let revoked = self.standing(admitted, container).watch();
        match relay::call::relay(way, parts, body, revoked).await {
            Ok(response) => Ok(response),
            Err(error) => Err(self.refusal_of(error, &admitted.target, exchange).await),
        }
    }

    /// A WebSocket, or whatever the app answers instead.
    async fn open_socket(
        &self,
        mut parts: Parts,
        client_key: Option<HeaderValue>,
        admitted: &Admitted,
        container: ContainerUuid,
        exchange: &Exchange,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let upgrade = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        self.prepare(&mut parts, admitted, exchange)?;
        if let Some(upgrade) = upgrade {
            parts.extensions.insert(upgrade);
        }
        let handshake = Handshake::begin(&mut parts, client_key)?;
        let way = self.way(admitted, container, exchange);
        let mut revoked = self.standing(admitted, container).watch();
        let asked = relay::ask_for_socket(way, parts, &mut revoked).await;
        let (answer, app) = match asked {
            Ok(SocketAnswer::Switched(answer, app)) => (answer, app),
            Ok(SocketAnswer::Http(answer)) => return Ok(relay::stream(way, answer, revoked)),
            Err(error) => return Err(self.refusal_of(error, &admitted.target, exchange).await),
        };
        let (head, carrying) = handshake.complete(answer, app, revoked)?;
        let _ends_by_itself = self.sockets.spawn_cancellable("socket", carrying);
        Ok(head.map(|()| ProxyBody::empty()))
    }

    /// The app's port itself.
    async fn open_tcp(
        &self,
        mut parts: Parts,
        admitted: &Admitted,
        container: ContainerUuid,
        exchange: &Exchange,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let client = parts.extensions.remove::<hyper::upgrade::OnUpgrade>();
        let client = client.ok_or(Refusal::Malformed("this connection cannot switch protocols"))?;
        let way = self.way(admitted, container, exchange);
        let revoked = self.standing(admitted, container).watch();
        let app = match upstream::dial(way.dial, &way.key, way.config.connect_timeout).await {
            Ok(app) => app,
            Err(error) => {
                let error = RelayError::Dial(error);
                return Err(self.refusal_of(error, &admitted.target, exchange).await);
            }
        };
        let _ends_by_itself =
            self.sockets.spawn_cancellable("raw connection", tcp::carry(client, app, revoked));
        Ok(tcp::switching())
    }

    /// Makes the client's head the app's: same path, same host, our headers.
    fn prepare(
        &self,
        parts: &mut Parts,
        admitted: &Admitted,
        exchange: &Exchange,
    ) -> Result<(), Refusal> {
        let path = parts.uri.path_and_query().cloned();
        let path = path.ok_or(Refusal::Malformed("the request has no path"))?;
        parts.uri = Uri::from(path);
        parts.version = http::Version::HTTP_11;
        // Nothing that the server's side attached is meant for the client's side.
        parts.extensions.clear();
        let forwarded = Forwarded {
            peer: exchange.peer_ip(),
            peer_is_front: self.config.front_proxies.contains(&exchange.peer_ip()),
            https: admitted.origin.https,
            host: &admitted.named_host,
            request_id: exchange.request_id.header(),
        };
        headers::prepare_request(&mut parts.headers, forwarded);
        Ok(())
    }

    fn way(&self, admitted: &Admitted, container: ContainerUuid, exchange: &Exchange) -> Way<'_> {
        let owner = match &admitted.caller {
            Caller::Anyone => Owner::Address(exchange.peer_ip()),
            Caller::User { user, .. } => Owner::User(*user),
        };
        let key = PoolKey { container, port: admitted.target.port.get(), owner };
        Way { dial: &*self.dial, pool: &self.pool, calls: &self.calls, config: &self.config, key }
    }

    fn standing(&self, admitted: &Admitted, container: ContainerUuid) -> Standing {
        Standing {
            directory: Arc::clone(&self.directory),
            host: admitted.host.clone(),
            reach: Reach::Running(container),
            caller: admitted.caller.clone(),
            allow_unpublished_ports: self.config.allow_unpublished_ports,
        }
    }

    /// Takes the token out of the address bar; a valid one becomes a session cookie of this host.
    async fn redirect(
        &self,
        query: &QueryCredential,
        target: Option<&Target>,
        origin: &Origin,
        uri: &Uri,
        names: &CookieNames,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let mut response = Response::new(ProxyBody::empty());
        *response.status_mut() = StatusCode::SEE_OTHER;
        let path = uri.path_and_query().map_or("/", |text| text.as_str());
        let location = HeaderValue::try_from(format!("{}{path}", origin.text()));
        let location =
            location.map_err(|_bytes| Refusal::Malformed("the address cannot be read"))?;
        response.headers_mut().insert(LOCATION, location);
        pages::harden(response.headers_mut());
        if let Some(cookie) = self.session_cookie(query, target, origin, names).await? {
            response.headers_mut().append(SET_COOKIE, cookie);
        }
        Ok(response)
    }

    async fn session_cookie(
        &self,
        query: &QueryCredential,
        target: Option<&Target>,
        origin: &Origin,
        names: &CookieNames,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let Some(target) = target else { return Ok(None) };
        let Some(credential) = authorize::of_query(query, target, origin) else { return Ok(None) };
        let allowed = authorize::allowed(&*self.directory, target, credential).await?;
        let Some(principal) = allowed else { return Ok(None) };
        let now_s = authorize::now_s();
        let longest_s = now_s.saturating_add(self.config.session_lifetime_max.as_secs());
        let expires_at_s = authorize::expires_at_s(&principal).unwrap_or(u64::MAX).min(longest_s);
        let session = Session { token: principal.token, user: principal.user, expires_at_s };
        let sealed = self.seal.seal(&session, &origin.text());
        Ok(sealed.and_then(|sealed| {
            cookie::set(&names.session, &sealed, expires_at_s.saturating_sub(now_s), origin.https)
        }))
    }

    /// Two session cookies mean that a neighbour planted one for the whole domain: both go (T1).
    fn tossed(&self, credentials: &Credentials, names: &CookieNames) -> Vec<HeaderValue> {
        if !credentials.cookies.is_tossed {
            return Vec::new();
        }
        tracing::warn!("two session cookies in one request: ignored and cleared");
        let own = cookie::clear(&names.session, None);
        let planted = self
            .rules
            .parent_domain()
            .and_then(|parent| cookie::clear(&names.session, Some(parent)));
        own.into_iter().chain(planted).collect()
    }

    fn change_tenant(
        &self,
        parts: &Parts,
        admitted: &Admitted,
        names: &CookieNames,
        container: &ContainerUuid,
        exchange: &Exchange,
    ) -> Result<Response<ProxyBody>, Refusal> {
        if !exchange.is_get_or_head() {
            return Err(Refusal::Replaced);
        }
        let path = parts.uri.path_and_query().map_or("/", |text| text.as_str());
        let location = format!("{}{path}", admitted.origin.text());
        let mut response = tenant::clean_start(&location, &cookie::names_of_theirs(&parts.headers));
        pages::harden(response.headers_mut());
        tenant::mark(response.headers_mut(), names, container, admitted.origin.https);
        debug_assert!(!response.headers().contains_key(COOKIE));
        Ok(response)
    }

    /// The start page's question: asks the app's port itself, since records follow it by a moment.
    async fn status(
        &self,
        target: &Target,
        container: Option<&ContainerUuid>,
    ) -> Response<ProxyBody> {
        let dialled = match container {
            None => Err(DialError::Refused),
            Some(container) => {
                let dialling = self.dial.dial(container, target.port.get());
                match tokio::time::timeout(self.config.connect_timeout, dialling).await {
                    Ok(dialled) => dialled.map(drop),
                    Err(_elapsed) => Err(DialError::Timeout),
                }
            }
        };
        // A port that was never promised goes to its own page, which says so.
        let refuses_for_good =
            container.is_some() && (target.was_ready() || !target.is_published());
        let is_ready = dialled.is_ok() || (dialled == Err(DialError::Refused) && refuses_for_good);
        let info = self.directory.start_info(target).await;
        let connected = dialled != Err(DialError::NoTunnel);
        self.pages.status(target, &info, connected, is_ready)
    }

    async fn starting(&self, target: &Arc<Target>, exchange: &Exchange) -> Refusal {
        Refusal::Starting(Arc::clone(target), self.start_info(target, exchange).await)
    }

    /// Log lines cost something; only a page shows them.
    async fn start_info(&self, target: &Target, exchange: &Exchange) -> Box<StartInfo> {
        if exchange.wants_html && exchange.is_get_or_head() {
            Box::new(self.directory.start_info(target).await)
        } else {
            Box::default()
        }
    }

    /// What a failed try at the app means, by what the records say of the port.
    async fn refusal_of(
        &self,
        error: RelayError,
        target: &Arc<Target>,
        exchange: &Exchange,
    ) -> Refusal {
        let may_still_start = target.is_published() && !target.was_ready();
        match error {
            RelayError::Gateway(problem) => Refusal::Gateway(problem),
            RelayError::Client => Refusal::BrokenBody,
            RelayError::TooSlow => Refusal::TooSlow,
            RelayError::Full => Refusal::Full,
            RelayError::Revoked => Refusal::Denied(authorize::Denied::NotAllowed),
            RelayError::Dial(DialError::Refused | DialError::Other(_)) if may_still_start => {
                self.starting(target, exchange).await
            }
            RelayError::Dial(DialError::Refused) => {
                Refusal::Gateway(GatewayProblem::Refused(target.port.get()))
            }
            RelayError::Dial(DialError::NoTunnel | DialError::Timeout) => {
                Refusal::Unreachable(Arc::clone(target), self.start_info(target, exchange).await)
            }
            RelayError::Dial(DialError::Other(problem)) => {
                tracing::warn!(error = problem, "the app could not be dialled");
                Refusal::Gateway(GatewayProblem::NotConnected)
            }
        }
    }
}

fn external_port(host: &HostTarget) -> Option<u16> {
    match host {
        HostTarget::ExternalPort(port) => Some(*port),
        HostTarget::Container { .. } | HostTarget::Request { .. } | HostTarget::Name(_) => None,
    }
}

impl From<HostError> for Refusal {
    fn from(error: HostError) -> Self {
        Self::Host(error)
    }
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        tracing::warn!(error = %error, "a request was refused for want of records");
        Self::NoRecords
    }
}
