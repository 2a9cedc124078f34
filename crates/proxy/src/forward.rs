//! Behind the gate: a granted request goes to its app, by the protocol it speaks.

use std::sync::Arc;

use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderValue, Method, Response, Uri, Version};
use http_body::Body;

use crate::access_log::Reason;
use crate::authorize::{Caller, Denied};
use crate::body::ProxyBody;
use crate::budgets::{Open, SocketPlace};
use crate::client_body::ClientBody;
use crate::client_stream::ClientStream;
use crate::dial::DialError;
use crate::directory::{StartInfo, Target};
use crate::exchange::Exchange;
use crate::grants::{Grant, Revoked};
use crate::grpc;
use crate::headers::{self, Forwarded, Vouched};
use crate::proxy::Shared;
use crate::pump::Lease;
use crate::refusal::{GatewayProblem, Refusal};
use crate::relay::{self, RelayError, SocketAnswer, Way};
use crate::route::{self, Protocol, Reach};
use crate::socket::{Client, Handshake};
use crate::tcp;
use crate::upstream::{self, Owner, PoolKey};
use crate::uses;

impl Shared {
    /// Carries a granted request to its app. Its place among the open ones goes with the answer.
    pub(crate) async fn carry(
        &self,
        parts: &mut Parts,
        body: ClientBody,
        protocol: Protocol,
        grant: &Arc<Grant>,
        exchange: &Exchange,
        mut open: Open,
    ) -> Result<Response<ProxyBody>, Refusal> {
        if uses::is_use(&protocol, &parts.method, &parts.headers, grant.caller.is_program()) {
            open.count_as_use();
        }
        match protocol {
            Protocol::Http => self.forward(parts, body, grant, exchange, open).await,
            Protocol::Call => Box::pin(self.forward_call(parts, body, grant, exchange, open)).await,
            Protocol::Tcp => Box::pin(self.open_tcp(parts, grant, exchange, open)).await,
            Protocol::WebSocket(key) => {
                let client = Client::Http1(key);
                Box::pin(self.open_socket(parts, client, grant, exchange, open)).await
            }
            Protocol::WebSocketOverHttp2 => {
                Box::pin(self.open_socket(parts, Client::Http2, grant, exchange, open)).await
            }
            Protocol::Status => Ok(Box::pin(self.status(&grant.target, Some(grant))).await),
            // The gate has answered what begins the way in.
            Protocol::Enter | Protocol::Invitation | Protocol::NothingOfOurs => {
                Err(Refusal::NotFound)
            }
            Protocol::Unknown => Err(Refusal::UnknownProtocol),
        }
    }

    /// One request and one answer.
    async fn forward(
        &self,
        parts: &mut Parts,
        body: ClientBody,
        grant: &Arc<Grant>,
        exchange: &Exchange,
        open: Open,
    ) -> Result<Response<ProxyBody>, Refusal> {
        if parts.version == Version::HTTP_2 && body.is_end_stream() {
            say_that_there_is_no_body(parts);
        }
        let vouched = self.prepare(parts, grant, exchange)?;
        let way = self.way(grant, exchange);
        match relay::relay(way, parts, &vouched, body, Revoked::of(grant)).await {
            Ok(mut response) => {
                response.body_mut().hold(open);
                Ok(response)
            }
            Err(error) => Err(Box::pin(self.refusal_of(error, grant, exchange)).await),
        }
    }

    /// One gRPC call and its answer.
    async fn forward_call(
        &self,
        parts: &mut Parts,
        body: ClientBody,
        grant: &Arc<Grant>,
        exchange: &Exchange,
        open: Open,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let vouched = self.prepare(parts, grant, exchange)?;
        grpc::prepare_call(parts, vouched)
            .map_err(|_impossible| Refusal::Malformed("the address cannot be read"))?;
        let way = self.way(grant, exchange);
        match relay::call::relay(way, parts, body, Revoked::of(grant)).await {
            Ok(mut response) => {
                response.body_mut().hold(open);
                Ok(response)
            }
            Err(error) => Err(self.refusal_of(error, grant, exchange).await),
        }
    }

    /// A WebSocket, or whatever the app answers instead.
    async fn open_socket(
        &self,
        parts: &mut Parts,
        client: Client,
        grant: &Arc<Grant>,
        exchange: &Exchange,
        open: Open,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let stream = ClientStream::promised(&mut parts.extensions);
        let vouched = self.prepare(parts, grant, exchange)?;
        let handshake = Handshake::begin(parts, stream, client)?;
        let way = self.way(grant, exchange);
        let mut revoked = Revoked::of(grant);
        let (answer, app) = match relay::ask_for_socket(way, parts, &vouched, &mut revoked).await {
            Ok(SocketAnswer::Switched(answer, app)) => (answer, app),
            Ok(SocketAnswer::Http(answer)) => {
                let mut response = relay::stream(way, answer, revoked);
                response.body_mut().hold(open);
                return Ok(response);
            }
            Err(error) => return Err(self.refusal_of(error, grant, exchange).await),
        };
        let (head, carrying) =
            handshake.complete(answer, app, self.lease(revoked, open, exchange))?;
        let _ends_by_itself = self.sockets.spawn_cancellable("socket", carrying);
        Ok(head.map(|()| ProxyBody::empty()))
    }

    /// The app's port itself.
    async fn open_tcp(
        &self,
        parts: &mut Parts,
        grant: &Arc<Grant>,
        exchange: &Exchange,
        open: Open,
    ) -> Result<Response<ProxyBody>, Refusal> {
        let client = ClientStream::promised(&mut parts.extensions);
        let client = client.ok_or(Refusal::Malformed("this connection cannot switch protocols"))?;
        let way = self.way(grant, exchange);
        let app = match upstream::dial(way.dial, &way.key, way.config.connect_timeout).await {
            Ok(app) => app,
            Err(error) => {
                return Err(self.refusal_of(RelayError::Dial(error), grant, exchange).await);
            }
        };
        let carrying = tcp::carry(client, app, self.lease(Revoked::of(grant), open, exchange));
        let _ends_by_itself = self.sockets.spawn_cancellable("raw connection", carrying);
        Ok(tcp::switching())
    }

    fn lease(&self, revoked: Revoked, open: Open, exchange: &Exchange) -> Lease {
        let stall_timeout = self.config.limits.stall_timeout;
        Lease::new(revoked, SocketPlace::new(open, &exchange.peer), stall_timeout)
    }

    /// Makes the client's head the app's: same path, same host. Answers our fields.
    fn prepare(
        &self,
        parts: &mut Parts,
        grant: &Grant,
        exchange: &Exchange,
    ) -> Result<Vouched, Refusal> {
        let uri = std::mem::take(&mut parts.uri).into_parts();
        let path = uri.path_and_query.ok_or(Refusal::Malformed("the request has no path"))?;
        parts.uri = Uri::from(path);
        parts.version = Version::HTTP_11;
        // Nothing that the server's side attached is meant for the client's side.
        parts.extensions.clear();
        let forwarded = Forwarded {
            peer: exchange.peer.shown(),
            peer_is_front: exchange.peer.is_front(),
            https: grant.origin.https,
            authority: uri.authority.as_ref(),
            request_id: exchange.request_id,
            seen: exchange.seen,
        };
        headers::prepare_request(&mut parts.headers, forwarded)
            .ok_or(Refusal::Malformed("the request has no host"))
    }

    fn way<'w>(&'w self, grant: &'w Grant, exchange: &Exchange) -> Way<'w> {
        let owner = match &grant.caller {
            Caller::Anyone => Owner::Address(exchange.client_ip()),
            Caller::User { user, .. } => Owner::User(*user),
            Caller::Guest(guest) => Owner::Guest(guest.session),
        };
        let key = PoolKey { container: grant.container, port: grant.target.port.get(), owner };
        Way {
            dial: &*self.dial,
            pool: &self.pool,
            calls: &self.calls,
            config: &self.config,
            key,
            kept: grant.kept(),
            traffic: &grant.traffic,
        }
    }

    /// The start page's question: asks the app's port itself, since records follow it by a moment.
    pub(crate) async fn status(
        &self,
        target: &Target,
        grant: Option<&Grant>,
    ) -> Response<ProxyBody> {
        let dialled = match grant {
            None => Err(DialError::Refused),
            Some(grant) => {
                let dialling = self.dial.dial(&grant.container, target.port.get());
                match tokio::time::timeout(self.config.connect_timeout, dialling).await {
                    Ok(dialled) => dialled.map(drop),
                    Err(_elapsed) => Err(DialError::Timeout),
                }
            }
        };
        // A port that was never promised goes to its own page, which says so.
        let refuses_for_good = grant.is_some() && (target.was_ready() || !target.is_published());
        let is_ready = dialled.is_ok() || (dialled == Err(DialError::Refused) && refuses_for_good);
        let info = self.directory.start_info(target).await;
        let connected = dialled != Err(DialError::NoTunnel);
        self.pages.status(target, &info, connected, is_ready)
    }

    pub(crate) async fn starting(&self, target: &Arc<Target>, exchange: &Exchange) -> Refusal {
        Refusal::Starting(Arc::clone(target), self.start_info(target, exchange).await)
    }

    /// Log lines cost something; only a page shows them.
    async fn start_info(&self, target: &Target, exchange: &Exchange) -> Box<StartInfo> {
        if exchange.wants_html && exchange.is_get_or_head() {
            Box::new(self.directory.start_info(target).await)
        } else {
            Box::default()
        }
    }

    /// What to tell who was let in and lost the grant before the app answered: that the service is over, if it is that.
    async fn why_it_ended(&self, grant: &Grant) -> Refusal {
        match self.directory.find(&grant.host).await {
            Ok(Some(target)) if route::reach(&target, true) == Reach::Over => {
                Refusal::Stopped(target)
            }
            Ok(_) => Refusal::Denied(Denied::NotAllowed),
            Err(unknown) => Refusal::NoRecords(unknown),
        }
    }

    /// What a failed try at the app means, by what the records say of the port.
    async fn refusal_of(&self, error: RelayError, grant: &Grant, exchange: &Exchange) -> Refusal {
        let target = &grant.target;
        let may_still_start = target.is_published() && !target.was_ready();
        match error {
            RelayError::Gateway(problem) => Refusal::Gateway(problem),
            RelayError::Client => Refusal::BrokenBody,
            RelayError::Stalled => Refusal::StalledBody,
            RelayError::TooSlow => Refusal::TooSlow,
            RelayError::Full => Refusal::Full,
            RelayError::Revoked => self.why_it_ended(grant).await,
            RelayError::Dial(DialError::Refused | DialError::Other(_)) if may_still_start => {
                self.starting(target, exchange).await
            }
            RelayError::Dial(DialError::Refused) => {
                Refusal::Gateway(GatewayProblem::Refused(target.port.get()))
            }
            RelayError::Dial(DialError::NoTunnel | DialError::Timeout) => {
                Refusal::Unreachable(Arc::clone(target), self.start_info(target, exchange).await)
            }
            RelayError::Dial(DialError::Other(problem)) => {
                if self.refusal_lines.may_write(Reason::NotDialled, exchange.tick()) {
                    tracing::warn!(error = problem, "the app could not be dialled");
                }
                Refusal::Gateway(GatewayProblem::NotConnected)
            }
        }
    }
}

/// HTTP/2 ends a request by itself; a server of HTTP/1.1 may insist on a length where one could be expected
/// (RFC 9110 §8.6).
fn say_that_there_is_no_body(parts: &mut Parts) {
    if matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
        let none = HeaderValue::from_static("0");
        parts.headers.entry(CONTENT_LENGTH).or_insert(none);
    }
}
