//! The listen address: every connection comes in here, and each request is sent to its room by its `Host`.
//!
//! ```text
//! accept ─► first byte ─► TLS or plain ─► HTTP/1.1 or HTTP/2 ─► Host ─┬► service host: proxy, on this thread
//!                                                                      └► API and pages: router, on the main runtime
//! ```
//!
//! The edge runs on a runtime and thread of its own, so that services and the API never share a queue: API work is
//! handed to the main runtime, service traffic stays here.

mod body;
mod connection;
mod first_byte;
mod thread;

use lifecycle::{CancellationToken, TaskScope};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

pub(crate) use connection::Rooms;
pub(crate) use thread::EdgeThread;

/// What the edge may spend on one connection.
#[derive(Debug, Clone)]
pub(crate) struct EdgeLimits {
    /// From accept to the end of the TLS handshake.
    pub(crate) handshake_timeout: Duration,
    /// From the first byte of a request to the end of its headers; also the longest idle keep-alive.
    pub(crate) header_timeout: Duration,
    /// Largest request head over HTTP/1.1, in bytes.
    pub(crate) header_bytes_max: usize,
    /// Streams one HTTP/2 connection may have open.
    pub(crate) n_http2_streams_max: u32,
    /// Connections open at once; further ones wait in the kernel's backlog.
    pub(crate) n_connections_max: usize,
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
    limits: EdgeLimits,
    descent: Descent,
    places: Arc<Semaphore>,
    connections: TaskScope,
}

/// Accepts connections on every listener until it is to leave, and lets the open ones go on until it is to close, or
/// they have ended by themselves. Then they have `grace` to finish what they are at.
async fn serve(listeners: Vec<TcpListener>, around: Surroundings, grace: Duration) {
    let accepting = listeners.into_iter().map(|listener| accept(listener, around.clone()));
    futures_util::future::join_all(accepting).await;
    tokio::select! {
        () = around.descent.closing.cancelled() => {}
        () = all_ended(&around) => {}
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
        let Ok(place) = Arc::clone(&around.places).acquire_owned().await else { break };
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
        let Surroundings { tls, rooms, limits, descent, .. } = around.clone();
        around.connections.spawn("connection", async move {
            connection::serve(stream, peer, &tls, rooms, &limits, descent).await;
            drop(place);
        });
    }
}
