//! The routes, and what every handler shares.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::{any, get, post};
use model::Timestamp;

use crate::config::DashboardConfig;
use crate::session::Sealer;
use crate::{assets, compress, guard, pages};

/// The largest form: a launch with its environment variables.
const FORM_BYTES_MAX: usize = 64 * 1024;

/// What every handler shares. Cheap to clone.
#[derive(Clone)]
pub(crate) struct App(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) config: DashboardConfig,
    pub(crate) sealer: Sealer,
    /// Without a token; each request adds the signed-in person's.
    pub(crate) client: client::Client,
}

impl App {
    pub(crate) fn now() -> Timestamp {
        Timestamp::from_jiff(jiff::Timestamp::now())
    }

    pub(crate) fn now_seconds() -> i64 {
        jiff::Timestamp::now().as_second()
    }
}

/// The dashboard's routes, to be merged beside the API's. `client` reaches the API; its own token,
/// if it has one, is never used.
#[expect(clippy::needless_pass_by_value, reason = "the dashboard keeps what it is given")]
pub fn router(config: DashboardConfig, client: client::Client) -> Router {
    let sealer = Sealer::new(&config.session_key);
    let app = App(Arc::new(Shared { config, sealer, client: client.without_token() }));
    Router::new()
        .route("/", get(pages::services::page))
        .route("/launch", get(pages::launch::page).post(pages::launch::launch))
        .route("/services/{uuid}", get(pages::service::page))
        .route("/services/{uuid}/logs", get(pages::logs::page))
        .route("/services/{uuid}/logs/follow", get(pages::logs::follow))
        .route("/services/{uuid}/logs/download", get(pages::logs::download))
        .route("/services/{uuid}/metrics", get(pages::metrics::page))
        .route("/services/{uuid}/terminal", get(pages::terminal::page))
        .route("/services/{uuid}/terminal/socket", any(pages::terminal::socket))
        .route("/services/{uuid}/access", get(pages::access::page).post(pages::access::add))
        .route("/services/{uuid}/access/invite", post(pages::invitations::create))
        .route("/services/{uuid}/access/revoke", post(pages::invitations::revoke))
        .route("/services/{uuid}/access/sign-out", post(pages::invitations::sign_out))
        .route("/services/{uuid}/access/remove", post(pages::access::remove))
        .route("/services/{uuid}/events", get(pages::tabs::events))
        .route("/services/{uuid}/details", get(pages::tabs::details))
        .route("/services/{uuid}/restart", get(pages::restart::ask).post(pages::restart::restart))
        .route("/services/{uuid}/stop", get(pages::stop::ask).post(pages::stop::stop))
        .route("/services/{uuid}/extend", post(pages::extend::extend))
        .route("/stop", get(pages::stop_many::ask).post(pages::stop_many::stop))
        .route("/open/{uuid}/{port}", get(pages::open::port))
        .route("/open", get(pages::open::host))
        .route("/host-names", get(pages::host_names::page))
        .route("/host-names/set", post(pages::host_names::set))
        .route("/host-names/remove", get(pages::host_names::ask).post(pages::host_names::remove))
        .route("/data", get(pages::data::list).post(pages::data::create))
        .route("/data/{uuid}", get(pages::data::browse))
        .route("/data/{uuid}/files/{*path}", get(pages::files::download).put(pages::files::upload))
        .route("/account", get(pages::account::page))
        .route("/account/tokens", post(pages::tokens::create))
        .route("/account/tokens/delete", post(pages::tokens::delete))
        .route("/account/sign-out-everywhere", post(pages::tokens::sign_out_everywhere))
        .route("/admin", get(pages::admin::page))
        .route("/admin/cordon", post(pages::admin::cordon::set))
        .route("/admin/uncordon", post(pages::admin::cordon::lift))
        .route("/sign-in", get(pages::sign_in::page).post(pages::sign_in::submit))
        .route("/sign-in/openid", get(pages::openid::begin))
        .route("/login", get(pages::hand_on::login))
        .route("/logout", get(pages::hand_on::logout))
        .route("/sign-out", post(pages::sign_in::sign_out))
        .route("/events", get(pages::events::events))
        .route("/assets/{file}", get(assets::serve))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(middleware::from_fn(compress::compress))
        .layer(middleware::from_fn(guard::guard))
        .with_state(app)
}
