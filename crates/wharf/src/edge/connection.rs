//! One client connection, from its first byte to its last request.

use super::body::{Content, EdgeBody};
use super::client_io::ClientIo;
use super::placed::Placed;
use super::places::Place;
use super::stream::{Stream, StreamExecutor};
use super::wire::Wire;
use super::{Surroundings, first_byte};
use axum::Router;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use proxy::{Downstream, DownstreamLimits, Farewell, Peer, Proxy};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

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
    mut place: Place,
    around: Surroundings,
) {
    // Small replies must not wait for an acknowledgement of the one before.
    let _best_effort = stream.set_nodelay(true);
    let bound = around.limits.handshake_timeout;
    let Ok(Ok(is_tls)) = timeout(bound, first_byte::is_tls(&stream)).await else { return };
    let peer = around.rooms.proxy.peer(peer, is_tls);
    if is_tls {
        match timeout(bound, around.tls.accept(stream)).await {
            Ok(Ok(stream)) => {
                place.settle();
                serve_http(stream, peer, place, around).await;
            }
            Ok(Err(error)) => tracing::debug!(error = %error, "TLS handshake failed"),
            Err(_elapsed) => tracing::debug!("TLS handshake took too long"),
        }
    } else {
        place.settle();
        serve_http(stream, peer, place, around).await;
    }
}

/// What the requests of one connection share.
pub(super) struct Connection {
    pub(super) around: Surroundings,
    pub(super) peer: Peer,
    wire: Arc<Wire>,
}

/// A request that has begun; its end is the end of its answer.
pub(super) struct OpenRequest(Arc<Connection>);

impl OpenRequest {
    fn begin(connection: &Arc<Connection>) -> Self {
        connection.wire.begin_request();
        Self(Arc::clone(connection))
    }
}

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.wire.end_request();
    }
}

impl std::fmt::Debug for OpenRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenRequest")
    }
}

/// Plain requests for services over HTTP/1.1 are served by the proxy itself; from the first that is none of these on,
/// the connection is hyper's.
async fn serve_http<IO>(stream: IO, peer: Peer, place: Place, around: Surroundings)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = &around.limits;
    let client = Downstream {
        io: Placed::new(stream, place),
        peer: peer.clone(),
        limits: DownstreamLimits {
            head_bytes_max: limits.header_bytes_max as usize,
            head_timeout: limits.header_timeout,
            idle_timeout: limits.idle_timeout,
            stall_timeout: limits.stall_timeout,
        },
        leaving: around.descent.leaving.clone(),
        closing: around.descent.closing.clone(),
    };
    if let Some(stream) = around.rooms.proxy.serve_http1(client).await {
        // Boxed: what hyper serves costs room of its own, which connections to services do without.
        Box::pin(serve_all(stream, peer, around)).await;
    }
}

/// Serves whatever comes, over any version of HTTP.
async fn serve_all<IO>(stream: IO, peer: Peer, around: Surroundings)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let builder = builder(&around);
    let wire = Arc::<Wire>::default();
    let limits = Arc::clone(&around.limits);
    let io = ClientIo::new(stream, limits, Arc::clone(&wire));
    let shared = Arc::new(Connection { around, peer, wire });
    let asked = Arc::clone(&shared);
    let service = hyper::service::service_fn(move |request| {
        let open = OpenRequest::begin(&asked);
        // Boxed where it is made: it is large, and moved several times on its way into its task.
        Box::pin(answer(open, request))
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    tokio::pin!(connection);
    // A set of one: it is looked at when it was woken, and not whenever a request moves.
    let mut ending = FuturesUnordered::from_iter([shared.is_to_end()]);
    let outcome = tokio::select! {
        biased;
        outcome = connection.as_mut() => outcome,
        Some(()) = ending.next() => {
            connection.as_mut().graceful_shutdown();
            tokio::select! {
                outcome = connection => outcome,
                () = shared.peer.until(Farewell::Now) => return,
            }
        }
    };
    if let Err(error) = outcome {
        tracing::debug!(error = %error, "connection ended early");
    }
}

/// How a connection is served.
fn builder(around: &Surroundings) -> auto::Builder<StreamExecutor> {
    let limits = &around.limits;
    let http2 = &limits.http2;
    let mut builder = auto::Builder::new(StreamExecutor { stall_timeout: limits.stall_timeout });
    builder
        .http1()
        .timer(TokioTimer::new())
        // Also the wait for the next head; how long that itself may take, its bytes are watched for.
        .header_read_timeout(limits.idle_timeout.max(limits.header_timeout))
        .max_buf_size(limits.header_bytes_max as usize);
    builder
        .http2()
        .timer(TokioTimer::new())
        .enable_connect_protocol()
        .max_concurrent_streams(http2.n_streams_max)
        .max_header_list_size(limits.header_bytes_max)
        .initial_stream_window_size(http2.stream_window)
        .initial_connection_window_size(http2.connection_window)
        .keep_alive_interval(http2.keep_alive_interval)
        .keep_alive_timeout(http2.keep_alive_timeout);
    builder
}

impl Connection {
    /// Waits until the connection should take no more requests: the edge comes down, the client asked for too much, or
    /// for nothing in a long time.
    async fn is_to_end(&self) {
        let descent = &self.around.descent;
        let told = async {
            descent.leaving.cancelled().await;
            tokio::select! {
                () = descent.closing.cancelled() => {}
                () = self.wire.http2() => {}
            }
        };
        tokio::select! {
            () = told => {}
            () = self.peer.until(Farewell::Gracefully) => {}
            () = self.is_unused() => {}
        }
    }

    /// Waits until a connection of HTTP/2 has had no stream for as long as one may be idle.
    async fn is_unused(&self) {
        self.wire.http2().await;
        let mut n_seen = self.wire.n_begun();
        loop {
            tokio::time::sleep(self.around.limits.idle_timeout).await;
            let n_begun = self.wire.n_begun();
            if self.wire.is_idle() && n_begun == n_seen && !self.peer.has_sockets() {
                return;
            }
            n_seen = n_begun;
        }
    }
}

/// The answer to a request; while we leave it is the last one on its HTTP/1.1 connection (RFC 9112 section 9.6).
async fn answer(
    open: OpenRequest,
    request: Request<Incoming>,
) -> Result<Response<EdgeBody>, Infallible> {
    let version = request.version();
    let connection = &*open.0;
    let mut response = connection.route(request).await;
    let is_http2 = version >= http::Version::HTTP_2;
    let is_switching = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if is_switching {
        connection.wire.switch();
    } else if !is_http2 && connection.around.descent.leaving.is_cancelled() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    let stream = if is_http2 { Stream::current() } else { None };
    Ok(response.map(|content| EdgeBody::new(content, stream, open)))
}

impl Connection {
    /// Sends a request to its room.
    async fn route(&self, request: Request<Incoming>) -> Response<Content> {
        let rooms = &self.around.rooms;
        if rooms.proxy.claims(&request) {
            let response = rooms.proxy.serve(request, self.peer.clone()).await;
            return response.map(Content::Service);
        }
        // Boxed: the future of a service's request stays small.
        Box::pin(self.call(request)).await
    }
}
