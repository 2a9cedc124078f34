//! One client connection, from its first byte to its last request.

use super::body::EdgeBody;
use super::{Descent, EdgeLimits, first_byte};
use axum::Router;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use lifecycle::CancellationToken;
use proxy::{Peer, Proxy};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

/// Where requests go.
#[derive(Debug)]
pub(crate) struct Rooms {
    /// Service hosts.
    pub(crate) proxy: Arc<Proxy>,
    /// API and pages.
    pub(crate) router: Router,
    /// What browsers that met the API and the pages over TLS are told (Strict-Transport-Security).
    pub(crate) router_hsts: Option<http::HeaderValue>,
    /// The runtime that the router works on.
    pub(crate) router_runtime: Handle,
}

/// Serves one connection to its end.
pub(super) async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    tls: &TlsAcceptor,
    rooms: Arc<Rooms>,
    limits: &EdgeLimits,
    descent: Descent,
) {
    // Small replies must not wait for an acknowledgement of the one before.
    let _best_effort = stream.set_nodelay(true);
    let Ok(Ok(is_tls)) = timeout(limits.handshake_timeout, first_byte::is_tls(&stream)).await
    else {
        return;
    };
    let peer = Peer::new(peer, is_tls);
    if is_tls {
        match timeout(limits.handshake_timeout, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve_http(stream, peer, rooms, limits, descent).await,
            Ok(Err(error)) => tracing::debug!(error = %error, "TLS handshake failed"),
            Err(_elapsed) => tracing::debug!("TLS handshake took too long"),
        }
    } else {
        serve_http(stream, peer, rooms, limits, descent).await;
    }
}

/// What the requests of one connection share.
#[derive(Debug)]
struct Shared {
    rooms: Arc<Rooms>,
    peer: Peer,
    leaving: CancellationToken,
    /// Whether it speaks HTTP/2, which can be told that the connection is to end; HTTP/1.1 only hears it with an answer.
    is_http2: AtomicBool,
    heard_http2: Notify,
}

impl Shared {
    fn hear(&self, version: http::Version) {
        if version == http::Version::HTTP_2 && !self.is_http2.swap(true, Ordering::Relaxed) {
            self.heard_http2.notify_one();
        }
    }

    /// Waits for the first request over HTTP/2.
    async fn http2(&self) {
        while !self.is_http2.load(Ordering::Relaxed) {
            self.heard_http2.notified().await;
        }
    }
}

async fn serve_http<IO>(
    stream: IO,
    peer: Peer,
    rooms: Arc<Rooms>,
    limits: &EdgeLimits,
    descent: Descent,
) where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_buf_size(limits.header_bytes_max);
    builder
        .http2()
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(limits.n_http2_streams_max)
        .adaptive_window(true);
    let Descent { leaving, closing } = descent;
    let shared = Arc::new(Shared {
        rooms,
        peer,
        leaving,
        is_http2: AtomicBool::new(false),
        heard_http2: Notify::new(),
    });
    let asked = Arc::clone(&shared);
    let service = hyper::service::service_fn(move |request| answer(Arc::clone(&asked), request));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let to_be_told = async {
        shared.leaving.cancelled().await;
        tokio::select! {
            () = closing.cancelled() => {}
            () = shared.http2() => {}
        }
    };
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = to_be_told => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error = %error, "connection ended early");
    }
}

/// The answer to a request; while we leave it is the last one on its HTTP/1.1 connection (RFC 9112 section 9.6).
async fn answer(
    shared: Arc<Shared>,
    request: Request<Incoming>,
) -> Result<Response<EdgeBody>, Infallible> {
    let version = request.version();
    shared.hear(version);
    let mut response = route(&shared.rooms, request, shared.peer.clone()).await?;
    let is_switching = response.status() == http::StatusCode::SWITCHING_PROTOCOLS;
    if version < http::Version::HTTP_2 && !is_switching && shared.leaving.is_cancelled() {
        let close = http::HeaderValue::from_static("close");
        response.headers_mut().insert(http::header::CONNECTION, close);
    }
    Ok(response)
}

/// Sends a request to its room.
async fn route(
    rooms: &Rooms,
    request: Request<Incoming>,
    peer: Peer,
) -> Result<Response<EdgeBody>, Infallible> {
    if rooms.proxy.claims(&request) {
        let response = rooms.proxy.serve(request, peer).await;
        return Ok(response.map(EdgeBody::Service));
    }
    if !has_sound_host(&request) {
        let problem = "the request must have exactly one Host, of the form name[:port] (RFC 9112 section 3.2)";
        return Ok(refusal(http::StatusCode::BAD_REQUEST, problem));
    }
    let router = rooms.router.clone();
    let hsts = rooms.router_hsts.clone().filter(|_| peer.is_tls());
    let mut request = request.map(axum::body::Body::new);
    request.extensions_mut().insert(dashboard::Transport { tls: peer.is_tls() });
    let work = rooms.router_runtime.spawn(router.oneshot(request));
    let mut response = match work.await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(error) => {
            tracing::error!(error = %error, "the API's answer was lost");
            let problem = "the controller failed on this request: its log says why";
            return Ok(refusal(http::StatusCode::INTERNAL_SERVER_ERROR, problem));
        }
    };
    if let Some(hsts) = hsts {
        response.headers_mut().insert(http::header::STRICT_TRANSPORT_SECURITY, hsts);
    }
    Ok(response.map(EdgeBody::Router))
}

/// Whether a request names its host once and plainly. HTTP/2 names it in the target, HTTP/1.0 may leave it out.
fn has_sound_host(request: &Request<Incoming>) -> bool {
    let mut hosts = request.headers().get_all(http::header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => is_host(host.as_bytes()),
        (None, _) => request.version() != http::Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// `name`, `name:port`, `[address]` or `[address]:port`, where a port is a number up to 65535.
fn is_host(host: &[u8]) -> bool {
    let Ok(authority) = http::uri::Authority::try_from(host) else { return false };
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(byte);
    let port = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
    host.iter().all(plain) && (port.is_empty() || authority.port_u16().is_some())
}

/// An error in the Arvados form.
fn refusal(status: http::StatusCode, problem: &str) -> Response<EdgeBody> {
    let text = serde_json::json!({ "errors": [problem] }).to_string();
    let mut response = Response::new(EdgeBody::Router(axum::body::Body::from(text)));
    *response.status_mut() = status;
    let json = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, json);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t04_only_plain_hosts_are_hosts() {
        for host in ["localhost", "localhost:8000", "127.0.0.1:8000", "[::1]:8000", "a.b-c.example"]
        {
            assert!(is_host(host.as_bytes()), "{host}");
        }
        for host in [
            "", "a@b", "a/b", "a b", "a,b", "a?b", "a#b", "a:b:c", "a:99999", "a:", "a:x", "a\\b",
            "h\u{e9}",
        ] {
            assert!(!is_host(host.as_bytes()), "{host}");
        }
    }
}
