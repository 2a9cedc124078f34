//! The routes, and the layers around them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, delete, get, post};
use axum::{Router, body::Body};
use history::latency::TimesCounted;
use http::{HeaderValue, Method, StatusCode, header};
use store::Store;
use tokio::sync::Semaphore;
use tower::ServiceBuilder;

use crate::blocks::Blocks;
use crate::config::ApiConfig;
use crate::counted::{self, CallKind, Counted};
use crate::error::ApiError;
use crate::figures::FigureSource;
use crate::images::Images;
use crate::logs::LogSource;
use crate::shells::{OpenShells, Shells};
use crate::sign_in::Passwords;
use crate::site::SiteSource;
use crate::visitors::Visitors;
use crate::webdav::locks::Locks;
use crate::{discovery, method_override, ours, request_id, resources, websocket};

/// Where image archives are sent.
pub(crate) const IMAGES: &str = "/wharf/v1/images";
/// Where events are sent as they happen.
pub(crate) const WEBSOCKET: &str = "/websocket";

/// What is asked beside the records: of other roles, which the executable plugs in.
#[derive(Clone)]
pub struct Sources {
    /// Images.
    pub images: Arc<dyn Images>,
    /// What containers print.
    pub logs: Arc<dyn LogSource>,
    /// What containers use.
    pub figures: Arc<dyn FigureSource>,
    /// Who uses services.
    pub visitors: Arc<dyn Visitors>,
    /// Shells in containers.
    pub shells: Arc<dyn Shells>,
    /// The machine and what is around it.
    pub site: Arc<dyn SiteSource>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// The API: records, and what it was given to serve the rest. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    store: Store,
    config: ApiConfig,
    blocks: Blocks,
    sources: Sources,
    passwords: Passwords,
    openid_turns: Semaphore,
    sockets: Arc<Semaphore>,
    locks: Locks,
    counted: Counted,
    open_shells: OpenShells,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Api {
    /// An API over these records.
    pub fn new(store: Store, config: ApiConfig, blocks: Blocks, sources: Sources) -> Self {
        let sockets = Arc::new(Semaphore::new(config.event_sockets_max));
        let passwords = Passwords::default();
        let openid_turns = Semaphore::new(ours::openid::AT_ONCE_MAX);
        let locks = Locks::default();
        Self(Arc::new(Inner {
            store,
            config,
            blocks,
            sources,
            passwords,
            openid_turns,
            sockets,
            locks,
            counted: Counted::default(),
            open_shells: OpenShells::default(),
        }))
    }

    /// Calls since the start, by kind, and how long they took.
    pub fn calls(&self) -> Vec<(CallKind, TimesCounted)> {
        self.0.counted.get()
    }

    pub(crate) fn counted(&self) -> &Counted {
        &self.0.counted
    }

    /// Whoever reaches shells in containers.
    pub(crate) fn shells(&self) -> &dyn Shells {
        &*self.0.sources.shells
    }

    /// How many shells each user has open.
    pub(crate) fn open_shells(&self) -> &OpenShells {
        &self.0.open_shells
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn config(&self) -> &ApiConfig {
        &self.0.config
    }

    /// Blocks, and who may read them.
    pub(crate) fn blocks(&self) -> &Blocks {
        &self.0.blocks
    }

    /// Who has locked files of collections.
    pub(crate) fn locks(&self) -> &Locks {
        &self.0.locks
    }

    /// Who tries passwords, and how often.
    pub(crate) fn passwords(&self) -> &Passwords {
        &self.0.passwords
    }

    /// Places for those whose code is changed at the provider.
    pub(crate) fn openid_turns(&self) -> &Semaphore {
        &self.0.openid_turns
    }

    /// Places for sockets that events are sent on.
    pub(crate) fn sockets(&self) -> &Arc<Semaphore> {
        &self.0.sockets
    }

    pub(crate) fn images(&self) -> &dyn Images {
        &*self.0.sources.images
    }

    pub(crate) fn figures(&self) -> &dyn FigureSource {
        &*self.0.sources.figures
    }

    /// The machine and what is around it.
    pub(crate) fn site(&self) -> &dyn SiteSource {
        &*self.0.sources.site
    }

    /// Who uses services.
    pub(crate) fn visitors(&self) -> &dyn Visitors {
        &*self.0.sources.visitors
    }

    pub(crate) fn logs(&self) -> &dyn LogSource {
        &*self.0.sources.logs
    }

    /// All routes, under `/arvados`, `/discovery`, `/wharf` and at `/websocket` only, so that pages can be merged
    /// beside them.
    pub fn router(&self) -> Router {
        // Layers of an axum router run after routing; the method has to change before it. So the
        // routes are a service of their own, behind three wildcards.
        let routes = ServiceBuilder::new()
            .layer(middleware::from_fn(request_id::layer))
            .layer(middleware::from_fn(cross_origin))
            .layer(middleware::from_fn_with_state(self.clone(), method_override::layer))
            .service(self.routes());
        Router::new()
            .route_service("/arvados/{*path}", routes.clone())
            .route_service("/discovery/{*path}", routes.clone())
            .route_service(WEBSOCKET, routes.clone())
            .route_service("/wharf/{*path}", routes)
    }

    fn routes(&self) -> Router {
        Router::new()
            .merge(resources::routes())
            .route(discovery::PATH, get(discovery::document))
            .route(WEBSOCKET, any(websocket::open))
            .route("/wharf/v1/healthz", get(ours::status::healthz))
            .route("/wharf/v1/status", get(ours::status::status))
            .route("/wharf/v1/events", get(ours::events::events))
            .route(
                "/wharf/v1/container_requests/{uuid}/connections",
                get(ours::connections::connections),
            )
            .route("/wharf/v1/container_requests/{uuid}/extend", post(ours::extend::extend))
            .route("/wharf/v1/handoff", post(ours::handoff::handoff))
            .route(
                "/wharf/v1/invitations",
                get(ours::invitations::list).post(ours::invitations::create),
            )
            .route("/wharf/v1/invitations/{uuid}", delete(ours::invitations::remove))
            .route("/wharf/v1/guest_sessions/{uuid}", delete(ours::invitations::sign_out))
            .route("/wharf/v1/site", get(ours::site::site))
            .route(
                "/wharf/v1/nodes/{name}/cordon",
                post(ours::cordon::set).delete(ours::cordon::lift),
            )
            .route("/wharf/v1/visitors/{uuid}", get(ours::visitors::of))
            .route("/wharf/v1/opened_ports", get(ours::access::opened))
            .route("/wharf/v1/writable_requests", get(ours::access::writable))
            .route("/wharf/v1/service_access/{uuid}", get(ours::access::of_user))
            .route("/wharf/v1/login_links", post(ours::login::create))
            .route("/wharf/v1/login_links/redeem", post(ours::login::redeem))
            .route("/wharf/v1/sign_in_methods", get(ours::openid::methods))
            .route("/wharf/v1/openid/start", post(ours::openid::start))
            .route("/wharf/v1/openid/finish", post(ours::openid::finish))
            .route("/wharf/v1/openid/sign_out", get(ours::openid::sign_out))
            .route(
                "/wharf/v1/users/{uuid}/identities",
                get(ours::identities::list).delete(ours::identities::forget),
            )
            .route("/wharf/v1/users/{uuid}/password", post(ours::password::set))
            .route(IMAGES, get(ours::images::list).post(ours::images::import))
            .route(IMAGES, delete(ours::images::remove))
            .route("/wharf/v1/logs/{uuid}", get(ours::logs::logs))
            .route("/wharf/v1/containers/{uuid}/metrics", get(ours::metrics::of_container))
            .route("/wharf/v1/usage", get(ours::metrics::running))
            .route("/wharf/v1/containers/{uuid}/shell", any(ours::shell::open))
            .route("/arvados/v1/{*path}", any(unknown))
            .route_layer(middleware::from_fn_with_state(self.clone(), counted::layer))
            .fallback(unknown)
            .method_not_allowed_fallback(wrong_method)
            .with_state(self.clone())
    }
}

/// One generous answer for records and for the WebDAV trees below them: a page that may not send `Cache-Control` or
/// `PROPFIND` shows everything but logs.
const CROSS_ORIGIN_METHODS: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS, PROPFIND, \
    PROPPATCH, MKCOL, COPY, MOVE, LOCK, UNLOCK, REPORT";
const CROSS_ORIGIN_HEADERS: &str = "Authorization, Cache-Control, Content-Range, Content-Type, \
    Depth, Destination, If, Lock-Token, Overwrite, Range, Timeout, X-Http-Method-Override, \
    X-Request-Id, X-Webdav-Depth, X-Webdav-Destination, X-Webdav-Overwrite, X-Webdav-Prefix, \
    X-Webdav-Source";

async fn unknown(State(api): State<Api>, request: Request) -> ApiError {
    let path = request.uri().path();
    // Whether something exists is nobody's business without a token.
    let found = crate::caller::authenticate(
        api.store(),
        request.headers(),
        request.method(),
        request.uri().path(),
    );
    if let Err(error) = found.await {
        return error;
    }
    if let Some(words) = resources::missing::words_about(path) {
        return ApiError::NotFound(words);
    }
    let shown: String = path.chars().take(100).collect();
    ApiError::NotFound(format!("there is nothing at {shown}"))
}

async fn wrong_method(request: Request) -> ApiError {
    let shown: String = request.uri().path().chars().take(100).collect();
    ApiError::MethodNotAllowed(format!("{} is no method of {shown}", request.method()))
}

/// Pages of other origins may call the record API, as Arvados allows: with a token in the header,
/// never with cookies, so that nobody's session can be used behind their back.
async fn cross_origin(request: Request, next: Next) -> Response {
    let is_open = !request.uri().path().starts_with("/wharf/");
    let mut response = if is_open && request.method() == Method::OPTIONS {
        StatusCode::OK.into_response().map(|_: Body| Body::empty())
    } else {
        next.run(request).await
    };
    if is_open {
        let headers = response.headers_mut();
        let mut set = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
        set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
        set(header::ACCESS_CONTROL_ALLOW_METHODS, CROSS_ORIGIN_METHODS);
        set(header::ACCESS_CONTROL_ALLOW_HEADERS, CROSS_ORIGIN_HEADERS);
        set(
            header::ACCESS_CONTROL_EXPOSE_HEADERS,
            "X-Request-Id, Accept-Ranges, Content-Length, Content-Range",
        );
        set(header::ACCESS_CONTROL_MAX_AGE, "86400");
    }
    // Records are nobody's to keep: a cache between us and the caller least of all.
    let cache = HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(cache);
    response
}
