//! The web application inside the demo container: a page that proves on itself that HTTP,
//! streaming and WebSockets pass through the service host.
//!
//! | path | does |
//! | --- | --- |
//! | `GET /` | the page |
//! | `ANY /echo`, `/echo/{any}` | the request as the app received it, as JSON |
//! | `GET /events` | server-sent events, one numbered tick every 200 ms |
//! | `GET /ws` | WebSocket that sends each message back |
//! | `ANY /upload` | reads the whole body and answers how many bytes it was |
//! | `GET /healthz` | `ok` |

mod echo;
mod page;
mod socket;
mod ticks;
mod upload;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{any, get};
use tokio::net::TcpListener;

/// The address the demo listens on inside its container: loopback, because the container has no
/// other network and needs none.
#[must_use]
pub fn default_listen(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Why the demo application stopped.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The address could not be bound.
    #[error("cannot listen on {listen}")]
    Bind {
        /// The address asked for.
        listen: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The listener failed while serving.
    #[error("demo server failed")]
    Serve(#[source] io::Error),
}

/// Serves the demo on `listen` until the process ends; a signal ends the process, because the
/// demo holds nothing worth draining.
///
/// # Errors
/// When the address cannot be bound or the listener fails.
pub async fn run(listen: SocketAddr) -> Result<(), AppError> {
    let listener =
        TcpListener::bind(listen).await.map_err(|source| AppError::Bind { listen, source })?;
    serve(listener).await
}

/// Serves the demo on a listener that is already bound (tests bind port 0).
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener) -> Result<(), AppError> {
    if let Ok(address) = listener.local_addr() {
        tracing::info!(listen = %address, "demo app serves");
    }
    axum::serve(listener, router()).await.map_err(AppError::Serve)
}

/// The demo's routes.
pub fn router() -> Router {
    Router::new()
        .route("/", get(page::page))
        .route("/demo.css", get(page::style))
        .route("/demo.js", get(page::script))
        .route("/icon.svg", get(page::icon))
        .route("/echo", any(echo::echo))
        .route("/echo/{*rest}", any(echo::echo))
        .route("/events", get(ticks::events))
        .route("/ws", any(socket::websocket))
        .route("/upload", any(upload::upload))
        .route("/healthz", get(|| async { "ok\n" }))
        // An upload of any size is the point; nothing is kept in memory.
        .layer(DefaultBodyLimit::disable())
}
