//! The listen address: every connection comes in here, and each request is sent to its room by its `Host`.
//!
//! ```text
//! accept ─► first byte ─► TLS or plain ─┬► plain requests over HTTP/1.1 for service hosts: proxy, on this thread
//!                                        └► from the first other one on, hyper: HTTP/1.1 or HTTP/2 ─► Host ─┐
//!                                               proxy, on this thread ◄─ service host ◄─────────────────────┤
//!                                               router, on the main runtime ◄─ API and pages ◄──────────────┘
//! ```
//!
//! The edge runs on a runtime and thread of its own, so that services and the API never share a queue: API work is
//! handed to the main runtime, service traffic stays here.

mod body;
mod call;
mod callers;
mod client_io;
mod connection;
mod first_byte;
mod gathered;
mod placed;
mod places;
mod refusal_lines;
mod stream;
mod thread;
mod upload;
mod wire;

use callers::Callers;
use lifecycle::{CancellationToken, TaskScope};
use limits::FrameLimits;
use places::Places;
use refusal_lines::RefusedLines;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

pub(crate) use callers::CallLimits;
pub(crate) use connection::Rooms;
pub(crate) use places::PlaceLimits;
pub(crate) use thread::EdgeThread;

/// What the edge may spend on its clients.
#[derive(Debug, Clone)]
pub(crate) struct EdgeLimits {
    pub(crate) places: PlaceLimits,
    pub(crate) calls: CallLimits,
    /// From accept to the first byte, and from there to the end of the TLS handshake.
    pub(crate) handshake_timeout: Duration,
    /// From the first byte of a request to the end of its headers.
    pub(crate) header_timeout: Duration,
    /// Longest idle keep-alive.
    pub(crate) idle_timeout: Duration,
    /// How long a client may take nothing of what is to be sent to it.
    pub(crate) stall_timeout: Duration,
    /// Largest request head, in bytes.
    pub(crate) header_bytes_max: u32,
    /// What one HTTP/2 connection may do.
    pub(crate) http2: Http2Limits,
    /// Lines a second about what was refused, for each reason.
    pub(crate) refusal_lines_per_second: u32,
}

/// What one HTTP/2 connection may do.
#[derive(Debug, Clone)]
pub(crate) struct Http2Limits {
    /// Streams open at once.
    pub(crate) n_streams_max: u32,
    pub(crate) frames: FrameLimits,
    /// Bytes that a client may send ahead on one stream, and on all of one connection.
    pub(crate) stream_window: u32,
    pub(crate) connection_window: u32,
    /// When a silent client is asked whether it is there, and how long it has to say so.
    pub(crate) keep_alive_interval: Duration,
    pub(crate) keep_alive_timeout: Duration,
}

/// How an edge is told to come down, step by step.
#[derive(Debug, Clone, Default)]
struct Descent {
    /// No new connections; those that are open end at the next good moment, of the client's choosing.
    leaving: CancellationToken,
    /// They end now, when they have finished what they are at. Comes with or after `leaving`.
    closing: CancellationToken,
}

/// All that a connection needs of its surroundings. Clones are the same.
#[derive(Clone)]
struct Surroundings {
    tls: TlsAcceptor,
    rooms: Arc<Rooms>,
    limits: Arc<EdgeLimits>,
    descent: Descent,
    places: Arc<Places>,
    callers: Arc<Callers>,
    lines: Arc<RefusedLines>,
    connections: TaskScope,
}

impl Surroundings {
    fn new(
        rooms: Arc<Rooms>,
        tls: Arc<rustls::ServerConfig>,
        limits: EdgeLimits,
        descent: Descent,
    ) -> Self {
        Self {
            tls: TlsAcceptor::from(tls),
            rooms,
            places: Arc::new(Places::new(limits.places)),
            callers: Arc::new(Callers::new(limits.calls)),
            lines: Arc::new(RefusedLines::new(limits.refusal_lines_per_second)),
            limits: Arc::new(limits),
            descent,
            connections: TaskScope::new("connections"),
        }
    }
}

/// Accepts connections on every listener until it is to leave, and lets the open ones go on until it is to close, or
/// they have ended by themselves. Then they have `grace` to finish what they are at.
async fn serve(listeners: Vec<TcpListener>, around: Surroundings, grace: Duration) {
    let accepting = listeners.into_iter().map(|listener| accept(listener, around.clone()));
    let serving = async {
        futures_util::future::join_all(accepting).await;
        tokio::select! {
            () = around.descent.closing.cancelled() => {}
            () = all_ended(&around) => {}
        }
    };
    tokio::select! {
        () = serving => {}
        () = around.lines.tell_left_out() => {}
    }
    // WebSockets have no request to finish; everything else has the grace period.
    let sockets = around.rooms.proxy.shutdown(Duration::from_millis(100)).await;
    tracing::debug!(left = ?sockets, "sockets closed");
    around.connections.idle(grace).await;
    let left = around.connections.shutdown(Duration::ZERO).await;
    tracing::info!(left = ?left, "edge closed");
}

/// Waits for the last connection, and then for the last WebSocket, which has left its connection behind.
async fn all_ended(around: &Surroundings) {
    around.connections.idle(Duration::MAX).await;
    around.rooms.proxy.sockets_ended(Duration::MAX).await;
}

async fn accept(listener: TcpListener, around: Surroundings) {
    loop {
        let accepted = tokio::select! {
            () = around.descent.leaving.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of descriptors or a peer that left already: give way for a moment, go on.
                tracing::warn!(error = %error, "accept failed");
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            }
        };
        receive(stream, peer, &around);
    }
}

/// Gives a connection its place, or closes it: where there is none for its address, others wait for nothing.
fn receive(stream: TcpStream, peer: SocketAddr, around: &Surroundings) {
    let is_front = around.rooms.proxy.is_front(peer.ip());
    match around.places.take(peer.ip(), is_front) {
        Ok(place) => {
            let serving = connection::serve(stream, peer, place, around.clone());
            around.connections.spawn("connection", serving);
        }
        Err(refused) => places::tell(&around.lines, refused, peer.ip()),
    }
}

#[cfg(test)]
mod tests;
