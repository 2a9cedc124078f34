//! The routes, and the layers around them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, delete, get, post};
use axum::{Router, body::Body};
use http::{HeaderValue, Method, StatusCode, header};
use store::Store;
use tower::ServiceBuilder;

use crate::blocks::Blocks;
use crate::config::ApiConfig;
use crate::error::ApiError;
use crate::images::Images;
use crate::logs::LogSource;
use crate::{method_override, ours, request_id, resources};

/// Where image archives are sent.
pub(crate) const IMAGES: &str = "/wharf/v1/images";

/// The API: records, and what it was given to serve the rest. Cheap to clone.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    store: Store,
    config: ApiConfig,
    blocks: Blocks,
    images: Arc<dyn Images>,
    logs: Arc<dyn LogSource>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("config", &self.0.config).finish_non_exhaustive()
    }
}

impl Api {
    /// An API over these records.
    pub fn new(
        store: Store,
        config: ApiConfig,
        blocks: Blocks,
        images: Arc<dyn Images>,
        logs: Arc<dyn LogSource>,
    ) -> Self {
        Self(Arc::new(Inner { store, config, blocks, images, logs }))
    }

    pub(crate) fn store(&self) -> &Store {
        &self.0.store
    }

    pub(crate) fn config(&self) -> &ApiConfig {
        &self.0.config
    }

    pub(crate) fn blocks(&self) -> &Blocks {
        &self.0.blocks
    }

    pub(crate) fn images(&self) -> &dyn Images {
        &*self.0.images
    }

    pub(crate) fn logs(&self) -> &dyn LogSource {
        &*self.0.logs
    }

    /// All routes, under `/arvados`, `/discovery` and `/wharf` only, so that pages can be merged
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
            .route_service("/wharf/{*path}", routes)
    }

    fn routes(&self) -> Router {
        Router::new()
            .merge(resources::routes())
            .route("/wharf/v1/healthz", get(ours::status::healthz))
            .route("/wharf/v1/status", get(ours::status::status))
            .route("/wharf/v1/events", get(ours::events::events))
            .route("/wharf/v1/handoff", post(ours::handoff::handoff))
            .route("/wharf/v1/login_links", post(ours::login::create))
            .route("/wharf/v1/login_links/redeem", post(ours::login::redeem))
            .route(IMAGES, get(ours::images::list).post(ours::images::import))
            .route(IMAGES, delete(ours::images::remove))
            .route("/wharf/v1/logs/{uuid}", get(ours::logs::logs))
            .route("/arvados/v1/{*path}", any(unknown))
            .fallback(unknown)
            .method_not_allowed_fallback(wrong_method)
            .with_state(self.clone())
    }
}

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
    let shown: String = path.chars().take(100).collect();
    ApiError::NotFound(match path.strip_prefix("/arvados/v1/").and_then(|p| p.split('/').next()) {
        Some(later @ ("workflows" | "logs")) => {
            format!("{later} are not supported yet by this version of Wharf")
        }
        _ => format!("there is nothing at {shown}"),
    })
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
        set(header::ACCESS_CONTROL_ALLOW_METHODS, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        set(
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, Content-Type, Range, X-Request-Id, X-Http-Method-Override",
        );
        set(header::ACCESS_CONTROL_EXPOSE_HEADERS, "X-Request-Id");
        set(header::ACCESS_CONTROL_MAX_AGE, "86400");
    }
    // Records are nobody's to keep: a cache between us and the caller least of all.
    let cache = HeaderValue::from_static("no-store");
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(cache);
    response
}
