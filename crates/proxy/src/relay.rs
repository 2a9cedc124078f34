//! One request to the app and its answer back, as streams.
//!
//! A pooled connection may have died unnoticed. If nothing was answered on it, a request that was not begun, or that
//! has no body and does no harm twice, is sent once more on a new connection.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::header::EXPECT;
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Body, Incoming};
use hyper::client::conn::TrySendError;

use crate::body::ProxyBody;
use crate::config::ProxyConfig;
use crate::dial::{Dial, DialError};
use crate::headers;
use crate::refusal::GatewayProblem;
use crate::request_body::{Gate, RequestBody};
use crate::standing::Revoked;
use crate::upstream::{self, Connection, Lease, Pool, PoolKey};

/// A connection this young is trusted with a request that cannot be sent twice.
const TRUSTED_AGE: Duration = Duration::from_secs(1);

/// Why there is no answer of the app.
#[derive(Debug)]
pub(crate) enum RelayError {
    /// There is no connection.
    Dial(DialError),
    /// There is one, and the app misbehaved on it.
    Gateway(GatewayProblem),
    /// It took longer than this site allows.
    TooSlow,
    /// Access was withdrawn while waiting.
    Revoked,
}

/// Where a request goes and within which limits.
#[derive(Clone, Copy)]
pub(crate) struct Way<'p> {
    pub(crate) dial: &'p dyn Dial,
    pub(crate) pool: &'p Arc<Pool>,
    pub(crate) config: &'p ProxyConfig,
    pub(crate) key: PoolKey,
}

/// Sends a prepared request to the app and streams its answer.
pub(crate) async fn relay(
    way: Way<'_>,
    parts: Parts,
    body: Incoming,
    mut revoked: Option<Revoked>,
) -> Result<Response<ProxyBody>, RelayError> {
    let sending = pin!(send(way, parts, body));
    let (answer, lease) = until_revoked(sending, &mut revoked).await?;
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(RelayError::Gateway(GatewayProblem::BadUpgrade));
    }
    Ok(stream(answer, Some(lease), revoked))
}

/// The app's answer as the client gets it.
pub(crate) fn stream(
    answer: Response<Incoming>,
    lease: Option<Lease>,
    revoked: Option<Revoked>,
) -> Response<ProxyBody> {
    let (mut head, body) = answer.into_parts();
    headers::prepare_response(&mut head.headers);
    Response::from_parts(head, ProxyBody::app(body, lease, revoked))
}

/// Asks the app to switch to WebSocket, on a connection of its own.
pub(crate) async fn ask_for_socket(
    way: Way<'_>,
    parts: Parts,
    revoked: &mut Option<Revoked>,
) -> Result<(Response<Incoming>, Connection), RelayError> {
    let asking = pin!(async {
        let connecting = upstream::connect(way.dial, &way.key, way.config.connect_timeout);
        let mut connection = connecting.await.map_err(RelayError::Dial)?;
        let request = Request::from_parts(parts, RequestBody::Empty);
        let answering = pin!(connection.send(request));
        let answer = within(way.config.first_byte_timeout, answering).await?;
        Ok((answer.map_err(|error| problem_of(&error))?, connection))
    });
    until_revoked(asking, revoked).await
}

async fn send(
    way: Way<'_>,
    mut parts: Parts,
    body: Incoming,
) -> Result<(Response<Incoming>, Lease), RelayError> {
    let can_repeat = body.is_end_stream() && is_idempotent(&parts.method);
    let age_max = if can_repeat { way.config.pool_idle_timeout } else { TRUSTED_AGE };
    let body = if body.is_end_stream() { RequestBody::Empty } else { body_of(&mut parts, body) };
    let mut request = Request::from_parts(parts, body);
    if let Some(mut lease) = way.pool.take(&way.key, age_max) {
        let spare = can_repeat.then(|| copy(&request));
        let sent = {
            let answering = pin!(lease.connection.send(request));
            within(way.config.first_byte_timeout, answering).await?
        };
        let mut error = match sent {
            Ok(answer) => return Ok((answer, lease)),
            Err(error) => error,
        };
        let unsent = error.take_message();
        let died = is_death(&error);
        let Some(again) = unsent.or(if died { spare } else { None }) else {
            return Err(problem_of(&error));
        };
        request = again;
    }
    // Boxed with all that follows: most requests find a connection, and carry no room for this.
    Box::pin(async move {
        let connecting = upstream::connect(way.dial, &way.key, way.config.connect_timeout);
        let mut lease = way.pool.lend(way.key, connecting.await.map_err(RelayError::Dial)?);
        let sent = {
            let answering = pin!(lease.connection.send(request));
            within(way.config.first_byte_timeout, answering).await?
        };
        Ok((sent.map_err(|error| problem_of(&error))?, lease))
    })
    .await
}

/// The client's body; held back where the client waits for `100 Continue`, so that the app decides.
fn body_of(parts: &mut Parts, body: Incoming) -> RequestBody {
    let waits = parts.headers.get(EXPECT);
    if !waits.is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue")) {
        return RequestBody::Client(body);
    }
    let gate = Gate::default();
    let opened = gate.clone();
    let mut carrier = Request::new(());
    hyper::ext::on_informational(&mut carrier, move |answer| {
        if answer.status() == StatusCode::CONTINUE {
            opened.open();
        }
    });
    parts.extensions.extend(std::mem::take(carrier.extensions_mut()));
    RequestBody::awaited(body, gate)
}

fn is_idempotent(method: &Method) -> bool {
    method.is_idempotent()
}

/// A second copy of a request without body.
fn copy(request: &Request<RequestBody>) -> Request<RequestBody> {
    let mut copy = Request::new(RequestBody::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// Whether the connection ended without a byte of an answer.
fn is_death(error: &TrySendError<Request<RequestBody>>) -> bool {
    let error = error.error();
    error.is_incomplete_message() || error.is_canceled() || error.is_closed() || is_reset(error)
}

fn is_reset(error: &hyper::Error) -> bool {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            use std::io::ErrorKind::{
                BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected,
            };
            return matches!(
                io.kind(),
                BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected
            );
        }
        source = cause.source();
    }
    false
}

fn problem_of(error: &TrySendError<Request<RequestBody>>) -> RelayError {
    tracing::debug!(error = %error.error(), "the app gave no answer");
    let problem =
        if is_death(error) { GatewayProblem::ClosedEarly } else { GatewayProblem::BadResponse };
    RelayError::Gateway(problem)
}

async fn within<T>(
    limit: Option<Duration>,
    answer: Pin<&mut impl Future<Output = T>>,
) -> Result<T, RelayError> {
    match limit {
        None => Ok(answer.await),
        Some(limit) => {
            tokio::time::timeout(limit, answer).await.map_err(|_elapsed| RelayError::TooSlow)
        }
    }
}

async fn until_revoked<T>(
    work: Pin<&mut impl Future<Output = Result<T, RelayError>>>,
    revoked: &mut Option<Revoked>,
) -> Result<T, RelayError> {
    match revoked {
        None => work.await,
        Some(revoked) => tokio::select! {
            biased;
            done = work => done,
            () = revoked => Err(RelayError::Revoked),
        },
    }
}
