//! Calls over sockets: kept connections to one host, plain or with TLS.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use outbound::{RootsError, TlsTrust};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::Head;
use super::connection::{self, Connection, PooledBody, Socket, Unsent};
use crate::body::{BoxBody, Pieces, RequestBody};
use crate::error::ClientError;

/// Connections kept for the next call: a command makes one call at a time, a wait holds two more.
const IDLE_CONNECTIONS_MAX: usize = 8;

/// How long an upload waits for `100 Continue`.
const CONTINUE_TIMEOUT: Duration = Duration::from_secs(1);

/// Clones share the kept connections.
#[derive(Clone)]
pub(crate) struct HttpTransport {
    shared: Arc<Shared>,
}

pub(super) struct Shared {
    authority: Authority,
    /// Scheme, host and port, for messages.
    address: String,
    host: HeaderValue,
    tls: Option<TlsConnector>,
    idle: Mutex<Vec<Connection>>,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpTransport").field(&self.shared.address).finish()
    }
}

impl HttpTransport {
    /// For `http://host[:port]` or `https://host[:port]`. Loads the roots for https; connects later.
    pub(crate) fn new(base_url: &str, trust: &TlsTrust) -> Result<Self, ClientError> {
        let wrong = || ClientError::Address { address: base_url.to_owned() };
        let uri: Uri = base_url.parse().map_err(|_not_a_uri| wrong())?;
        let authority = uri.authority().ok_or_else(wrong)?.clone();
        if uri.path() != "/" || uri.query().is_some() || authority.as_str().contains('@') {
            return Err(wrong());
        }
        let tls = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => None,
            Some(scheme) if *scheme == Scheme::HTTPS => {
                let roots = |RootsError { path, source }| ClientError::Roots { path, source };
                Some(TlsConnector::from(Arc::new(trust.client_config().map_err(roots)?)))
            }
            _ => return Err(wrong()),
        };
        let host = HeaderValue::from_str(authority.as_str()).map_err(|_not_a_value| wrong())?;
        let address = base_url.trim_end_matches('/').to_owned();
        let shared = Shared { authority, address, host, tls, idle: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    pub(super) async fn send(
        &self,
        mut head: Head,
        body: RequestBody,
        connect_timeout: Duration,
    ) -> Result<Response<BoxBody>, ClientError> {
        head.headers.insert(header::HOST, self.shared.host.clone());
        let what = format!("{} {}", head.method, head.uri.path());
        let mut request = match body {
            RequestBody::Stream(pieces) => patient(head, pieces),
            whole => Request::from_parts(head, whole.into_body()),
        };
        // A kept connection may have been closed by the other side meanwhile; what hyper hands
        // back as never sent goes to the next one, and at last to a fresh one.
        while let Some(mut kept) = self.shared.take_idle() {
            match kept.send(request).await {
                Ok(answer) => return Ok(self.answer(answer, kept)),
                Err(Unsent { request: Some(unsent), .. }) => request = unsent,
                Err(Unsent { request: None, source }) => {
                    return Err(ClientError::Broken { what, source });
                }
            }
        }
        let mut fresh = timeout(connect_timeout, self.shared.open())
            .await
            .map_err(|_elapsed| self.shared.no_answer(connect_timeout))??;
        match fresh.send(request).await {
            Ok(answer) => Ok(self.answer(answer, fresh)),
            Err(Unsent { source, .. }) => Err(ClientError::Broken { what, source }),
        }
    }

    /// Sends a request that asks to switch protocols, on a connection of its own.
    pub(crate) async fn upgrade(
        &self,
        authority: &Authority,
        request: Request<()>,
        connect_timeout: Duration,
    ) -> Result<Response<BoxBody>, ClientError> {
        let what = format!("a connection to {authority}");
        let near = if is_here(&self.shared.authority) { &self.shared.authority } else { authority };
        let connecting = self.shared.connect(near, authority.host());
        let socket = timeout(connect_timeout, connecting)
            .await
            .map_err(|_elapsed| self.shared.no_answer(connect_timeout))??;
        let request = request.map(|()| RequestBody::Empty.into_body());
        connection::switch(socket, request)
            .await
            .map_err(|source| ClientError::Broken { what, source: source.into() })
    }

    /// The connection comes back to the pool when the body was read to its end.
    fn answer(
        &self,
        answer: Response<hyper::body::Incoming>,
        connection: Connection,
    ) -> Response<BoxBody> {
        answer.map(|body| PooledBody::boxed(body, connection, Arc::clone(&self.shared)))
    }
}

/// An upload that waits to be asked for: a server that refuses it can say why before megabytes are under way, and
/// need not cut the connection to stop them (RFC 9110 section 10.1.1).
fn patient(mut head: Head, pieces: Pieces) -> Request<BoxBody> {
    let asked = Arc::new(Notify::new());
    let waiting = Arc::clone(&asked);
    let wait = futures_util::stream::once(async move {
        // A server that never asks gets it all the same.
        let _asked_or_late = timeout(CONTINUE_TIMEOUT, waiting.notified()).await;
    });
    let nothing = wait.filter_map(|()| std::future::ready(None));
    head.headers.insert(header::EXPECT, HeaderValue::from_static("100-continue"));
    let body = RequestBody::Stream(Box::pin(nothing.chain(pieces))).into_body();
    let mut request = Request::from_parts(head, body);
    hyper::ext::on_informational(&mut request, move |answer| {
        if answer.status() == StatusCode::CONTINUE {
            asked.notify_one();
        }
    });
    request
}

/// Whether an address is this machine's own, as `localhost` and all names below it are (RFC 6761 section 6.3).
fn is_here(authority: &Authority) -> bool {
    let host = authority.host().trim_matches(['[', ']']).trim_end_matches('.');
    let address = host.parse::<std::net::IpAddr>();
    address.is_ok_and(|address| address.is_loopback())
        || host.eq_ignore_ascii_case("localhost")
        || host.to_ascii_lowercase().ends_with(".localhost")
}

impl Shared {
    async fn open(&self) -> Result<Connection, ClientError> {
        let socket = self.connect(&self.authority, self.authority.host()).await?;
        Connection::open(socket).await.map_err(|source| self.unreachable(source))
    }

    /// Connects to a server, which with TLS must prove to be `name`.
    async fn connect(&self, at: &Authority, name: &str) -> Result<Box<dyn Socket>, ClientError> {
        let default_port = if self.tls.is_some() { 443 } else { 80 };
        let host = at.host().trim_matches(['[', ']']);
        let port = at.port_u16().unwrap_or(default_port);
        let unreachable = |source| self.unreachable(source);
        let socket = TcpStream::connect((host, port)).await.map_err(unreachable)?;
        socket.set_nodelay(true).map_err(unreachable)?;
        let Some(tls) = &self.tls else { return Ok(Box::new(socket)) };
        let name = name.trim_matches(['[', ']']).to_owned();
        let name = rustls::pki_types::ServerName::try_from(name)
            .map_err(|_not_a_name| ClientError::Address { address: self.address.clone() })?;
        let refused = |source| ClientError::Tls { address: self.address.clone(), source };
        Ok(Box::new(tls.connect(name, socket).await.map_err(refused)?))
    }

    fn unreachable(&self, source: std::io::Error) -> ClientError {
        ClientError::Unreachable { address: self.address.clone(), source }
    }

    fn no_answer(&self, bound: Duration) -> ClientError {
        let text = format!("no answer within {bound:?}");
        self.unreachable(std::io::Error::new(std::io::ErrorKind::TimedOut, text))
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(connection) = idle.pop() {
            if !connection.is_closed() {
                return Some(connection);
            }
        }
        None
    }

    /// Keeps a connection for the next call, or closes it when enough are kept.
    pub(super) fn keep(&self, connection: Connection) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_CONNECTIONS_MAX && !connection.is_closed() {
            idle.push(connection);
        }
    }
}
