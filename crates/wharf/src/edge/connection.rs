//! One client connection, from its first byte to its last request.

use super::body::EdgeBody;
use super::{EdgeLimits, first_byte};
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
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
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
    stop: CancellationToken,
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
            Ok(Ok(stream)) => serve_http(stream, peer, rooms, limits, stop).await,
            Ok(Err(error)) => tracing::debug!(error = %error, "TLS handshake failed"),
            Err(_elapsed) => tracing::debug!("TLS handshake took too long"),
        }
    } else {
        serve_http(stream, peer, rooms, limits, stop).await;
    }
}

async fn serve_http<IO>(
    stream: IO,
    peer: Peer,
    rooms: Arc<Rooms>,
    limits: &EdgeLimits,
    stop: CancellationToken,
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
    let service =
        hyper::service::service_fn(move |request| route(Arc::clone(&rooms), request, peer.clone()));
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error = %error, "connection ended early");
    }
}

/// Sends a request to its room.
async fn route(
    rooms: Arc<Rooms>,
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
    let mut request = request.map(axum::body::Body::new);
    request.extensions_mut().insert(dashboard::Transport { tls: peer.is_tls() });
    let work = rooms.router_runtime.spawn(router.oneshot(request));
    let response = match work.await {
        Ok(Ok(response)) => response,
        Ok(Err(never)) => match never {},
        Err(error) => {
            tracing::error!(error = %error, "the API's answer was lost");
            let problem = "the controller failed on this request: its log says why";
            return Ok(refusal(http::StatusCode::INTERNAL_SERVER_ERROR, problem));
        }
    };
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
