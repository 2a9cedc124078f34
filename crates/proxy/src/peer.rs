//! The other end of a client's connection.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use http::HeaderValue;
use limits::Count;
use tokio::sync::Notify;

use crate::budgets::Address;

/// The other end of the connection that a request came over. Clones are the same.
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

struct Inner {
    ip: IpAddr,
    tls: bool,
    /// As `X-Forwarded-For` says it, written once for all requests of the connection.
    shown: HeaderValue,
    /// A proxy whose word about its clients counts.
    is_front: bool,
    address: Arc<Address>,
    /// Sockets that came out of requests over HTTP/2 and live on in its streams.
    sockets: Count,
    farewell: AtomicU8,
    said: Notify,
}

/// How a connection is to end, if at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Farewell {
    /// It takes no new requests; those that are open go on.
    Gracefully = 1,
    /// At once.
    Now = 2,
}

impl Peer {
    pub(crate) fn new(ip: IpAddr, tls: bool, is_front: bool, address: Arc<Address>) -> Self {
        // An address in digits is a valid header value.
        let shown = HeaderValue::try_from(ip.to_string());
        let shown = shown.unwrap_or_else(|_impossible| HeaderValue::from_static("unknown"));
        Self(Arc::new(Inner {
            ip,
            tls,
            shown,
            is_front,
            address,
            sockets: Count::default(),
            farewell: AtomicU8::new(0),
            said: Notify::new(),
        }))
    }

    /// The address, which nobody can make up.
    pub fn ip(&self) -> IpAddr {
        self.0.ip
    }

    /// Whether the connection is TLS.
    pub fn is_tls(&self) -> bool {
        self.0.tls
    }

    pub(crate) fn shown(&self) -> HeaderValue {
        self.0.shown.clone()
    }

    pub(crate) fn is_front(&self) -> bool {
        self.0.is_front
    }

    pub(crate) fn address(&self) -> &Arc<Address> {
        &self.0.address
    }

    pub(crate) fn sockets(&self) -> &Count {
        &self.0.sockets
    }

    /// Whether sockets live on in the connection's streams, so that it is in use although no request is open.
    pub fn has_sockets(&self) -> bool {
        self.0.sockets.get() > 0
    }

    /// The connection is to end; to whoever drives it. What was said before and is stronger stays.
    pub(crate) fn say(&self, farewell: Farewell) {
        if self.0.farewell.fetch_max(farewell as u8, Ordering::Relaxed) < farewell as u8 {
            self.0.said.notify_one();
        }
    }

    /// How the connection is to end, if it is.
    pub fn farewell(&self) -> Option<Farewell> {
        match self.0.farewell.load(Ordering::Relaxed) {
            0 => None,
            1 => Some(Farewell::Gracefully),
            _ => Some(Farewell::Now),
        }
    }

    /// Waits until the connection is to end at least that way. For one task, which drives it.
    pub async fn until(&self, farewell: Farewell) {
        while self.farewell() < Some(farewell) {
            self.0.said.notified().await;
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("ip", &self.0.ip)
            .field("tls", &self.0.tls)
            .finish_non_exhaustive()
    }
}
