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
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use lifecycle::{TaskScope, TasksLeft};

use crate::access_log::AccessLine;
use crate::body::ProxyBody;
use crate::config::ProxyConfig;
use crate::cors::{self, ListedOrigins};
use crate::dial::Dial;
use crate::directory::{Changed, Directory};
use crate::exchange::{Exchange, RequestIds};
use crate::grants::{Grant, Grants};
use crate::host::HostRules;
use crate::pages::{Asked, Pages};
use crate::refusal::Refusal;
use crate::session::seal::Seal;
use crate::tenant::{self, Tenants};
use crate::upstream::http2::Http2Pool;
use crate::upstream::pool::Pool;

/// The other end of the connection that a request came over.
#[derive(Debug, Clone)]
pub struct Peer {
    ip: IpAddr,
    tls: bool,
    /// As `X-Forwarded-For` says it, written once for all requests of the connection.
    shown: HeaderValue,
}

impl Peer {
    /// The socket's own peer address, and whether the connection is TLS.
    pub fn new(addr: SocketAddr, tls: bool) -> Self {
        let ip = addr.ip();
        // An address in digits is a valid header value.
        let shown = HeaderValue::try_from(ip.to_string());
        let shown = shown.unwrap_or_else(|_impossible| HeaderValue::from_static("unknown"));
        Self { ip, tls, shown }
    }

    /// The address, which nobody can make up.
    pub(crate) fn ip(&self) -> IpAddr {
        self.ip
    }

    /// Whether the connection is TLS.
    pub fn is_tls(&self) -> bool {
        self.tls
    }

    pub(crate) fn shown(&self) -> HeaderValue {
        self.shown.clone()
    }
}

/// Serves service hosts. Clones are handles to the same proxy.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

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

    /// Takes access back when the records say so; ends with the directory's news.
    pub async fn keep_grants(&self) {
        let news = self.shared.news.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(news) = news {
            self.shared.grants.keep(&*self.shared.directory, news).await;
        }
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
                let page = Asked { exchange: &exchange, host: asked.host(), path };
                let mut response = shared.pages.refuse(&refusal, page);
                // Not a preflight, which looks the same at every host.
                if asked.must_forget && !matches!(refusal, Refusal::Preflight) {
                    tenant::forget(response.headers_mut());
                }
                (refusal.status(), response)
            }
        };
        let line = AccessLine::new(&exchange, asked.host(), status);
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
        response.map(|body| body.logged(line))
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

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
