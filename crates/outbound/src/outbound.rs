//! The client.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Request, Response, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::body::AnswerBody;
use crate::connector::Connector;
use crate::error::{BoxError, OutboundError};
use crate::trust::{RootsError, TlsTrust};

/// A connection that is unused for so long is closed: servers and what lies between forget them after a minute.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unused connections kept to one server.
const IDLE_PER_SERVER: usize = 16;

/// How long each wait may take.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// For a connection, name and TLS included.
    pub connect: Duration,
    /// From the request's first byte to the answer's head: sending the body is part of it.
    pub answer: Duration,
    /// For the next bytes of the answer's body.
    pub silence: Duration,
}

/// Sends requests. Clones share the kept connections.
#[derive(Clone)]
pub struct Outbound {
    client: Client<Connector, UnsyncBoxBody<Bytes, BoxError>>,
    bounds: Bounds,
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("bounds", &self.bounds).finish_non_exhaustive()
    }
}

impl Outbound {
    /// With these roots and deadlines.
    ///
    /// # Errors
    /// When the roots cannot be loaded.
    pub fn new(trust: &TlsTrust, bounds: Bounds) -> Result<Self, RootsError> {
        let tls = TlsConnector::from(Arc::new(trust.client_config()?));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(IDLE_PER_SERVER)
            .build(Connector { tls, connect_timeout: bounds.connect });
        Ok(Self { client, bounds })
    }

    /// Sends a request to an absolute address and waits for the answer's head.
    ///
    /// # Errors
    /// Any of [`OutboundError`]; an answer that says no is an answer.
    pub async fn send<B>(
        &self,
        mut request: Request<B>,
    ) -> Result<Response<AnswerBody>, OutboundError>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let uri = request.uri();
        let server = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(server))
                if [Scheme::HTTP, Scheme::HTTPS].contains(scheme)
                    && !server.as_str().contains('@') =>
            {
                server.clone()
            }
            _ => return Err(OutboundError::Address(server_of(uri))),
        };
        let agent = HeaderValue::from_static(concat!("wharf/", env!("CARGO_PKG_VERSION")));
        request.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        let bound = self.bounds.answer;
        let answered = timeout(bound, self.client.request(request)).await;
        match answered {
            Ok(Ok(answer)) => {
                Ok(answer.map(|body| AnswerBody::new(body, server, self.bounds.silence)))
            }
            Ok(Err(source)) if source.is_connect() => {
                Err(OutboundError::Unreachable { server, source: source.into() })
            }
            Ok(Err(source)) => Err(OutboundError::Broken { server, source: source.into() }),
            Err(_elapsed) => Err(OutboundError::TimedOut { server, bound }),
        }
    }
}

/// What may be told of a wrong address.
fn server_of(uri: &http::Uri) -> String {
    format!("{}://{}", uri.scheme_str().unwrap_or_default(), uri.host().unwrap_or_default())
}

/// Whether a host, as in an address, is this machine itself (RFC 6761 section 6.3 for names below `localhost`).
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
    let is_address = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    is_address || host == "localhost" || host.ends_with(".localhost")
}
