//! One request to the app and its answer back, as streams.
//!
//! A kept connection may have died unnoticed. If nothing was answered on it, a request that was not begun, or that
//! has no body and does no harm twice, is sent once more on a new connection. [`call`] does the same for gRPC.

pub(crate) mod call;

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::request::Parts;

use crate::body::ProxyBody;
use crate::client_body::ClientBody;
use crate::config::ProxyConfig;
use crate::dial::{Dial, DialError};
use crate::grants::Revoked;
use crate::headers::{self, Kept, Vouched};
use crate::refusal::GatewayProblem;
use crate::request_body::RequestBody;
use crate::traffic::PortTraffic;
use crate::upstream::answer::AnswerBody;
use crate::upstream::http1::{Outcome, SendError, Switched, WhyNot};
use crate::upstream::http2::Http2Pool;
use crate::upstream::pool::Pool;
use crate::upstream::{self, PoolKey};

/// A connection this young is trusted with a request that cannot be sent twice.
const TRUSTED_AGE: Duration = Duration::from_secs(1);

/// Why there is no answer of the app.
#[derive(Debug)]
pub(crate) enum RelayError {
    /// There is no connection.
    Dial(DialError),
    /// There is one, and the app misbehaved on it.
    Gateway(GatewayProblem),
    /// The client broke off its request's body, or it is not what it was said to be.
    Client,
    /// The client sent nothing more of its request's body.
    Stalled,
    /// It took longer than this site allows.
    TooSlow,
    /// Access was withdrawn while waiting.
    Revoked,
    /// The caller has too many calls open.
    Full,
}

/// Where a request goes and within which limits.
#[derive(Clone, Copy)]
pub(crate) struct Way<'p> {
    pub(crate) dial: &'p dyn Dial,
    pub(crate) pool: &'p Arc<Pool>,
    pub(crate) calls: &'p Arc<Http2Pool>,
    pub(crate) config: &'p ProxyConfig,
    pub(crate) key: PoolKey,
    /// Who may keep the answer.
    pub(crate) kept: Kept,
    /// Where bytes to the app are counted.
    pub(crate) traffic: &'p Arc<PortTraffic>,
}

/// Sends a prepared request to the app and streams its answer.
pub(crate) async fn relay(
    way: Way<'_>,
    parts: &mut Parts,
    vouched: &Vouched,
    body: ClientBody,
    mut revoked: Revoked,
) -> Result<Response<ProxyBody>, RelayError> {
    let sending = pin!(send(way, parts, vouched, body));
    let answer = until_revoked(sending, &mut revoked).await?;
    Ok(stream(way, answer, revoked))
}

/// The app's answer as the client gets it.
pub(crate) fn stream(
    way: Way<'_>,
    answer: Response<AnswerBody>,
    revoked: Revoked,
) -> Response<ProxyBody> {
    let (mut head, body) = answer.into_parts();
    headers::prepare_response(&mut head.headers, way.kept);
    Response::from_parts(head, ProxyBody::http(body, Arc::clone(way.pool), way.key, revoked))
}

/// What an app says to the wish for a WebSocket.
#[derive(Debug)]
pub(crate) enum SocketAnswer {
    /// It has one.
    Switched(Response<()>, Switched),
    /// An answer like any other.
    Http(Response<AnswerBody>),
}

/// Asks the app to switch to WebSocket, on a connection of its own.
pub(crate) async fn ask_for_socket(
    way: Way<'_>,
    parts: &mut Parts,
    vouched: &Vouched,
    revoked: &mut Revoked,
) -> Result<SocketAnswer, RelayError> {
    let asking = pin!(async {
        let connecting = upstream::connect(way.dial, &way.key, way.config.connect_timeout);
        let connection = connecting.await.map_err(RelayError::Dial)?;
        let (body, head_timeout) = (RequestBody::empty(), way.config.limits.head_timeout);
        let answering = pin!(connection.send(parts, vouched, body, true, head_timeout));
        let answer = within(way.config.first_byte_timeout, answering).await?;
        match answer.map_err(|error| problem_of(&error))? {
            Outcome::Switched(head, switched) => Ok(SocketAnswer::Switched(head, switched)),
            Outcome::Answer(answer) => Ok(SocketAnswer::Http(answer)),
        }
    });
    until_revoked(asking, revoked).await
}

async fn send(
    way: Way<'_>,
    parts: &mut Parts,
    vouched: &Vouched,
    body: ClientBody,
) -> Result<Response<AnswerBody>, RelayError> {
    let (head_timeout, stall_timeout) =
        (way.config.limits.head_timeout, way.config.limits.stall_timeout);
    let mut body = RequestBody::of(&parts.headers, body, stall_timeout, way.traffic);
    let can_repeat = body.is_empty() && parts.method.is_idempotent();
    let age_max = if can_repeat { way.config.pool_idle_timeout } else { TRUSTED_AGE };
    if let Some(connection) = way.pool.take(&way.key, age_max) {
        let sent = {
            let answering = pin!(connection.send(parts, vouched, body, false, head_timeout));
            within(way.config.first_byte_timeout, answering).await?
        };
        let mut error = match sent {
            Ok(outcome) => return answer_in(outcome),
            Err(error) => error,
        };
        let may_repeat = error.is_unsent || can_repeat;
        let Some(again) = error.body.take().filter(|_| may_repeat) else {
            return Err(problem_of(&error));
        };
        body = again;
    }
    // Boxed with all that follows: most requests find a connection, and carry no room for this.
    Box::pin(async move {
        let connecting = upstream::connect(way.dial, &way.key, way.config.connect_timeout);
        let connection = connecting.await.map_err(RelayError::Dial)?;
        let sent = {
            let answering = pin!(connection.send(parts, vouched, body, false, head_timeout));
            within(way.config.first_byte_timeout, answering).await?
        };
        answer_in(sent.map_err(|error| problem_of(&error))?)
    })
    .await
}

/// A switch of protocols that nobody asked for is no answer.
fn answer_in(outcome: Outcome) -> Result<Response<AnswerBody>, RelayError> {
    match outcome {
        Outcome::Answer(answer) => Ok(answer),
        Outcome::Switched(..) => Err(RelayError::Gateway(GatewayProblem::BadUpgrade)),
    }
}

fn problem_of(error: &SendError) -> RelayError {
    RelayError::Gateway(match &error.why {
        WhyNot::Died => GatewayProblem::ClosedEarly,
        WhyNot::Malformed(problem) => {
            tracing::debug!(%problem, "the app's answer is none");
            GatewayProblem::BadResponse
        }
        WhyNot::Interim => GatewayProblem::BadResponse,
        WhyNot::Unasked => GatewayProblem::BadUpgrade,
        WhyNot::SlowHead => GatewayProblem::SlowHead,
        WhyNot::Client => return RelayError::Client,
        WhyNot::Stalled => return RelayError::Stalled,
    })
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
    revoked: &mut Revoked,
) -> Result<T, RelayError> {
    tokio::select! {
        biased;
        done = work => done,
        () = revoked => Err(RelayError::Revoked),
    }
}
