//! `GET /metrics` on an address of its own, where the config asks for one (`Metrics.Listen`).
//!
//! Apart from the address of the API, so that a site can keep it inside; with a token, where it is not on loopback.
//! Few connections at a time, each for a short while: whoever scrapes comes a few times a minute.

mod page;

use anyhow::{Context, Result, bail};
use config::Metrics;
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use lifecycle::{Backoff, BackoffPolicy, TaskScope};
use ring::digest::{SHA256, digest};
use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use subtle::ConstantTimeEq;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

pub(crate) use page::Sources;

/// Connections at a time; further ones wait.
const CONNECTIONS_MAX: usize = 8;
/// How long one lasts at most; scrapers connect anew.
const CONNECTION_TIME_MAX: Duration = Duration::from_secs(60);
/// How long the head of a request may take.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// The process before us has the address until it leaves.
const BIND: BackoffPolicy =
    BackoffPolicy { first: Duration::from_millis(50), max: Duration::from_secs(2) };

/// Serves the page, where there is to be one, in a scope of its own below `work`.
pub(crate) fn serve(page: Option<MetricsPage>, work: &TaskScope) -> TaskScope {
    let scope = work.child("metrics");
    if let Some(page) = page {
        scope.spawn_cancellable("metrics", page.serve(scope.clone()));
    }
    scope
}

/// Where figures are asked for, and what must be shown for them.
#[derive(Clone)]
pub(crate) struct MetricsPage {
    listen: SocketAddr,
    /// A digest of the token: it is compared, and need not be known.
    token: Option<[u8; 32]>,
    sources: Arc<Sources>,
}

impl std::fmt::Debug for MetricsPage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MetricsPage").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl MetricsPage {
    /// None where the config names no address.
    pub(crate) fn new(config: &Metrics, sources: Sources) -> Result<Option<Self>> {
        let Some(listen) = config.listen else { return Ok(None) };
        let token = match &config.token_file {
            Some(path) => Some(digest_of(read_token(path)?)),
            None if listen.ip().is_loopback() => None,
            None => bail!(
                "Metrics.Listen: {listen} is reached over a network, and the figures name services; \
                 set Metrics.TokenFile too, or listen on 127.0.0.1"
            ),
        };
        Ok(Some(Self { listen, token, sources: Arc::new(sources) }))
    }

    /// Serves until dropped.
    async fn serve(self, scope: TaskScope) {
        let listener = self.bind().await;
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match listener.accept().await {
                Ok((stream, _peer)) => {
                    let page = self.clone();
                    scope.spawn_cancellable("metrics", async move {
                        let served = tokio::time::timeout(CONNECTION_TIME_MAX, page.answer(stream));
                        if let Ok(Err(error)) = served.await {
                            tracing::debug!(%error, "a connection for metrics broke off");
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection for metrics was lost");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    async fn bind(&self) -> TcpListener {
        let mut backoff = Backoff::new(BIND);
        let mut has_told = false;
        loop {
            match TcpListener::bind(self.listen).await {
                Ok(listener) => {
                    tracing::info!(listen = %self.listen, "metrics are served");
                    return listener;
                }
                Err(error) => {
                    let expected = error.kind() == io::ErrorKind::AddrInUse;
                    if !has_told {
                        tracing::warn!(%error, listen = %self.listen, expected, "cannot listen for metrics yet (Metrics.Listen); trying again");
                    }
                    has_told = true;
                }
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    async fn answer(self, stream: TcpStream) -> Result<(), hyper::Error> {
        let service = service_fn(move |request| {
            let page = self.clone();
            async move { Ok::<_, Infallible>(page.respond(&request).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            .await
    }

    async fn respond<B: Body>(&self, request: &Request<B>) -> Response<String> {
        let text = |status: StatusCode, text: &str| {
            let mut response = Response::new(text.to_owned());
            *response.status_mut() = status;
            response
        };
        if !self.is_allowed(request) {
            let mut refusal =
                text(StatusCode::UNAUTHORIZED, "the token of Metrics.TokenFile is needed\n");
            let wanted = header::HeaderValue::from_static("Bearer");
            refusal.headers_mut().insert(header::WWW_AUTHENTICATE, wanted);
            return refusal;
        }
        match (request.method(), request.uri().path()) {
            (&Method::GET, "/metrics") => {
                let mut response = text(StatusCode::OK, &self.sources.page().await);
                let kind = header::HeaderValue::from_static(telemetry::exposition::CONTENT_TYPE);
                response.headers_mut().insert(header::CONTENT_TYPE, kind);
                response
            }
            (_, "/metrics") => text(StatusCode::METHOD_NOT_ALLOWED, "ask with GET\n"),
            _ => text(StatusCode::NOT_FOUND, "there is /metrics here, and nothing else\n"),
        }
    }

    fn is_allowed<B>(&self, request: &Request<B>) -> bool {
        let Some(token) = &self.token else { return true };
        let sent = request.headers().get(header::AUTHORIZATION).map(|value| value.as_bytes());
        let sent = sent.and_then(|value| value.strip_prefix(b"Bearer ")).unwrap_or_default();
        // Digests of equal length, compared in a time that says nothing.
        digest_of(sent).ct_eq(token).into()
    }
}

fn read_token(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("Metrics.TokenFile: read {}", path.display()))?;
    let line = text.lines().next().unwrap_or_default().trim();
    if line.is_empty() {
        bail!("Metrics.TokenFile: the first line of {} is empty", path.display());
    }
    Ok(line.to_owned())
}

fn digest_of(text: impl AsRef<[u8]>) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, text.as_ref()).as_ref());
    bytes
}
