//! The proxy as its owner sees it: a request goes in, an answer comes out.
//!
//! The order is the same for every method and protocol: [`gate`](crate::gate) decides, [`forward`](crate::forward)
//! carries, [`pages`](crate::pages) answers where there is nothing to carry.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::stream::BoxStream;
use http::header::{HOST, SET_COOKIE, STRICT_TRANSPORT_SECURITY};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri};
use lifecycle::{TaskScope, TasksLeft};
use limits::Tick;
use model::ContainerUuid;

use crate::access_log::{AccessLine, Reason, RefusalLines};
use crate::body::ProxyBody;
use crate::budgets::Budgets;
use crate::client_body::ClientBody;
use crate::config::ProxyConfig;
use crate::cors::{self, ListedOrigins};
use crate::dial::Dial;
use crate::directory::{Changed, Directory};
use crate::exchange::{Client, Exchange, RequestIds};
use crate::front;
use crate::grants::{Grant, Grants};
use crate::host::HostRules;
use crate::pages::{Asked, Pages};
use crate::peer::Peer;
use crate::refusal::Refusal;
use crate::session::seal::Seal;
use crate::tenant::{self, Tenants};
use crate::traffic::{PortCounted, PortKey, Ports};
use crate::upstream::http2::Http2Pool;
use crate::upstream::pool::Pool;
use crate::uses::Uses;
use crate::visitors::{Seen, Visitors};

/// Serves service hosts. Clones are handles to the same proxy.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

/// Counts of what has no line of its own are told this often.
const LEFT_OUT_PERIOD: Duration = Duration::from_secs(10);

/// What all requests share.
pub(crate) struct Shared {
    pub(crate) config: ProxyConfig,
    pub(crate) rules: HostRules,
    /// Where the site is https, what browsers are told about that.
    hsts: Option<HeaderValue>,
    pub(crate) seal: Seal,
    pub(crate) tenants: Tenants,
    pub(crate) pages: Pages,
    pub(crate) cors_origins: ListedOrigins,
    pub(crate) grants: Grants,
    pub(crate) budgets: Budgets,
    pub(crate) ports: Ports,
    pub(crate) visitors: Visitors,
    pub(crate) refusal_lines: RefusalLines,
    /// Listened to from the first grant on; taken by whoever keeps them.
    news: Mutex<Option<BoxStream<'static, Changed>>>,
    pub(crate) pool: Arc<Pool>,
    pub(crate) calls: Arc<Http2Pool>,
    pub(crate) ids: RequestIds,
    pub(crate) sockets: TaskScope,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) dial: Arc<dyn Dial>,
}

/// What is known of the address once it was read; for pages and logs.
#[derive(Debug, Default)]
pub(crate) struct AskedAt {
    /// Where no grant was found.
    pub(crate) host: String,
    pub(crate) grant: Option<Arc<Grant>>,
    /// Without our token.
    pub(crate) path: Uri,
    /// Whether the client's side is https.
    pub(crate) https: bool,
    /// Sent with whatever is answered.
    pub(crate) cookies_to_clear: Vec<HeaderValue>,
    /// Whether the browser keeps something here that is not this tenant's.
    pub(crate) must_forget: bool,
    /// The listed origin whose page asks.
    pub(crate) cors_origin: Option<HeaderValue>,
}

impl AskedAt {
    /// The service host; empty where it could not be read.
    fn host(&self) -> &str {
        self.grant.as_ref().map_or(&self.host, |grant| &grant.origin.host)
    }

    /// The origin to name to the browser; on a public port that is the app's to say.
    fn take_cors_origin(&mut self) -> Option<HeaderValue> {
        let is_public = self.grant.as_ref().is_some_and(|grant| grant.is_public());
        self.cors_origin.take().filter(|_| !is_public)
    }
}

impl Proxy {
    /// A proxy that asks `directory` and reaches apps through `dial`.
    ///
    /// Its owner also runs [`Proxy::keep_grants`]; without it, nothing that was granted is ever taken back.
    pub fn new(config: ProxyConfig, directory: Arc<dyn Directory>, dial: Arc<dyn Dial>) -> Self {
        let shared = Shared {
            rules: HostRules::new(config.service_domain.clone(), config.external_ports.clone()),
            hsts: hsts_of(&config),
            seal: Seal::new(&config.session_key),
            tenants: Tenants::new(&config.session_key),
            pages: Pages::new(&config),
            cors_origins: ListedOrigins::new(&config.cors_origins),
            news: Mutex::new(directory.changes()),
            grants: Grants::new(config.grants_max, config.allow_unpublished_ports),
            budgets: Budgets::new(&config.limits),
            ports: Ports::new(config.ports_counted_max),
            visitors: Visitors::default(),
            refusal_lines: RefusalLines::new(config.limits.refusal_lines_per_second),
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

    /// The other end of a connection that was accepted from this address.
    pub fn peer(&self, addr: SocketAddr, tls: bool) -> Peer {
        let ip = addr.ip().to_canonical();
        let address = self.shared.budgets.address(ip);
        Peer::new(ip, tls, self.is_front(ip), address)
    }

    /// Whether an address is that of a proxy whose word about its clients counts.
    pub fn is_front(&self, ip: IpAddr) -> bool {
        front::is_front(ip, &self.shared.config.front_proxies)
    }

    /// The address that counts as the client's: the peer's own, or what it says, where it is a listed proxy.
    pub fn client_ip(&self, peer: &Peer, headers: &HeaderMap) -> IpAddr {
        if peer.is_front() {
            front::client_ip(peer.ip(), headers, &self.shared.config.front_proxies)
        } else {
            peer.ip()
        }
    }

    /// Who used a service through this process, and who was refused.
    pub fn seen(&self, container: ContainerUuid) -> Seen {
        self.shared.visitors.of(container)
    }

    /// Which containers are used.
    pub fn uses(&self) -> Uses {
        self.shared.budgets.uses.clone()
    }

    /// A request that is not the proxy's to answer wants its part of the same machine.
    pub fn see_other(&self) {
        self.shared.budgets.see_other(Tick::now());
    }

    /// Takes access back when the records say so, and tells what the access log left out; ends with the directory's
    /// news.
    pub async fn keep_grants(&self) {
        let news = self.shared.news.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(news) = news else { return };
        let telling = async {
            loop {
                tokio::time::sleep(LEFT_OUT_PERIOD).await;
                self.shared.refusal_lines.tell_left_out();
            }
        };
        tokio::select! {
            () = self.shared.grants.keep(&*self.shared.directory, news) => {}
            () = telling => {}
        }
    }

    /// Answers one request for a service host.
    pub async fn serve<B>(&self, request: Request<B>, peer: Peer) -> Response<ProxyBody>
    where
        B: Into<ClientBody>,
    {
        let shared = &self.shared;
        let behind = self.behind(&request, &peer);
        let exchange = Exchange::begin(&request, peer, behind, &shared.ids);
        let (mut parts, body) = request.into_parts();
        let mut asked = AskedAt::default();
        let answered = shared.answer(&mut parts, body.into(), &exchange, &mut asked).await;
        let is_apps = answered.is_ok();
        let (mut response, reason) = match answered {
            Ok(response) => (response, asked.grant.is_none().then_some(Reason::Own)),
            Err(refusal) => (shared.refuse(&refusal, &exchange, &asked), Some(refusal.reason())),
        };
        shared.count(&exchange, &asked, response.status(), is_apps, reason);
        let line = shared.line(&exchange, asked.host(), response.status(), reason);
        if asked.https
            && let Some(hsts) = &shared.hsts
        {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
        }
        if let Some(origin) = asked.take_cors_origin() {
            cors::expose(response.headers_mut(), origin);
        }
        for gone in asked.cookies_to_clear {
            response.headers_mut().append(SET_COOKIE, gone);
        }
        response.body_mut().log(line);
        response
    }

    /// Who asks through a listed proxy.
    fn behind<B>(&self, request: &Request<B>, peer: &Peer) -> Option<Box<Client>> {
        if !peer.is_front() {
            return None;
        }
        let ip = self.client_ip(peer, request.headers());
        Some(Box::new(Client { ip, address: self.shared.budgets.address(ip) }))
    }

    /// What was counted of each port since it was first asked for, for whoever keeps it; those that nobody may reach
    /// any more are forgotten when they were read so many times since.
    pub fn read_traffic(&self, n_idle_reads_max: u32) -> Vec<(PortKey, PortCounted)> {
        self.shared.ports.read(n_idle_reads_max)
    }

    /// The same for whoever only looks.
    pub fn traffic(&self) -> Vec<(PortKey, PortCounted)> {
        self.shared.ports.peek()
    }

    /// How many requests were refused, by reason, in words.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        self.shared.ports.refusals()
    }

    /// Waits until no WebSocket is open, at most `bound`, and says what was left.
    pub async fn sockets_ended(&self, bound: Duration) -> TasksLeft {
        self.shared.sockets.idle(bound).await
    }

    /// Closes every WebSocket, waits at most `bound`, and says what was left.
    pub async fn shutdown(&self, bound: Duration) -> TasksLeft {
        self.shared.sockets.shutdown(bound).await
    }
}

/// RFC 6797. Not where services share a host, which then has other uses too, some of them without TLS.
fn hsts_of(config: &ProxyConfig) -> Option<HeaderValue> {
    let (domain, max_age_s) = (&config.service_domain, config.hsts_max_age.as_secs());
    let has_own_hosts = domain.is_https() && domain.is_wildcard();
    let text = (has_own_hosts && max_age_s > 0).then(|| format!("max-age={max_age_s}"));
    text.and_then(|text| HeaderValue::try_from(text).ok())
}

impl Shared {
    fn refuse(
        &self,
        refusal: &Refusal,
        exchange: &Exchange,
        asked: &AskedAt,
    ) -> Response<ProxyBody> {
        if let Refusal::NoRecords(error) = refusal
            && self.refusal_lines.may_write(Reason::NoRecords, exchange.tick())
        {
            tracing::warn!(error = %error, "a request was refused for want of records");
        }
        let path = asked.path.path_and_query().map_or("/", |text| text.as_str());
        let page = Asked { exchange, host: asked.host(), path };
        let mut response = self.pages.refuse(refusal, page);
        // Not a preflight, which looks the same at every host.
        if asked.must_forget && !matches!(refusal, Refusal::Preflight) {
            tenant::forget(response.headers_mut());
        }
        response
    }

    /// Counts an answer. `is_apps`: not a refusal.
    fn count(
        &self,
        exchange: &Exchange,
        asked: &AskedAt,
        status: StatusCode,
        is_apps: bool,
        reason: Option<Reason>,
    ) {
        if let Some(grant) = &asked.grant {
            grant.traffic.answered(status, is_apps.then(|| exchange.begun.elapsed()));
        }
        if let (false, Some(reason)) = (is_apps, reason) {
            self.ports.refused(reason);
        }
    }

    /// The request's line. `reason`: where the client alone can cause it, so that it may be one too many.
    fn line(
        &self,
        exchange: &Exchange,
        host: &str,
        status: StatusCode,
        reason: Option<Reason>,
    ) -> Option<Box<AccessLine>> {
        if reason.is_some_and(|reason| !self.refusal_lines.may_write(reason, exchange.tick())) {
            return None;
        }
        AccessLine::new(exchange, host, status)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
