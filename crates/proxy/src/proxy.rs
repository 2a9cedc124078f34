//! The gate and the data path of one request, in order.

use std::net::SocketAddr;
use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;

use crate::body::ProxyBody;
use crate::config::ProxyConfig;
use crate::dial::Dial;
use crate::directory::Directory;
use crate::host::HostRules;

/// The other end of the connection that a request came over.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// The socket's own peer address.
    pub addr: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
}

/// Serves service hosts. Clones are handles to the same proxy.
#[derive(Clone)]
pub struct Proxy {
    shared: Arc<Shared>,
}

struct Shared {
    config: ProxyConfig,
    rules: HostRules,
    directory: Arc<dyn Directory>,
    dial: Arc<dyn Dial>,
}

impl Proxy {
    /// A proxy that asks `directory` and reaches apps through `dial`.
    pub fn new(config: ProxyConfig, directory: Arc<dyn Directory>, dial: Arc<dyn Dial>) -> Self {
        let rules = HostRules::new(config.service_domain.clone(), config.external_ports.clone());
        Self { shared: Arc::new(Shared { config, rules, directory, dial }) }
    }

    /// Whether a `Host` value (with or without port) belongs to services.
    pub fn is_service_host(&self, host: &str) -> bool {
        self.shared.rules.is_service_host(host)
    }

    /// Answers one request for a service host.
    pub async fn serve(&self, _request: Request<Incoming>, _peer: Peer) -> Response<ProxyBody> {
        let _later = (&self.shared.config, &self.shared.directory, &self.shared.dial);
        Response::new(ProxyBody::full("not there yet"))
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
