//! One gRPC call to the app and its answer back: HTTP/2 on both sides, so that trailers, resets and both directions at
//! once pass as they are.
//!
//! A call is not idempotent as far as we know: it goes out once more only where nothing of it went out before.

use std::error::Error;
use std::pin::pin;

use http::request::Parts;
use http::{Request, Response};
use hyper::body::Incoming;

use super::{RelayError, Way, until_revoked, within};
use crate::body::ProxyBody;
use crate::client_body::ClientBody;
use crate::grants::Revoked;
use crate::headers::{self, Kept};
use crate::refusal::GatewayProblem;
use crate::request_body::call::CallBody;
use crate::upstream::http2::{NoLease, StreamLease};

/// Sends a prepared call to the app and streams its answer.
pub(crate) async fn relay(
    way: Way<'_>,
    parts: &mut Parts,
    body: ClientBody,
    mut revoked: Revoked,
) -> Result<Response<ProxyBody>, RelayError> {
    let mut request = Request::new(CallBody::of(body, way.traffic));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = std::mem::take(&mut parts.uri);
    *request.version_mut() = parts.version;
    *request.headers_mut() = std::mem::take(&mut parts.headers);
    let sending = pin!(send(way, request));
    let (answer, lease) = until_revoked(sending, &mut revoked).await?;
    let (mut head, body) = answer.into_parts();
    // No cache keeps a POST.
    headers::prepare_response(&mut head.headers, Kept::AsTheAppSays);
    Ok(Response::from_parts(head, ProxyBody::call(body, lease, revoked)))
}

async fn send(
    way: Way<'_>,
    mut request: Request<CallBody>,
) -> Result<(Response<Incoming>, StreamLease), RelayError> {
    let mut may_repeat = true;
    loop {
        let lease = way.calls.lease(&way.key).await?;
        let sent = {
            let answering = pin!(lease.send(request));
            within(way.config.first_byte_timeout, answering).await?
        };
        let mut error = match sent {
            Ok(answer) => return Ok((answer, lease)),
            Err(error) => error,
        };
        match error.take_message().filter(|_unsent| may_repeat) {
            Some(unsent) => request = unsent,
            None => return Err(RelayError::Gateway(problem_of(error.error()))),
        }
        may_repeat = false;
    }
}

impl From<NoLease> for RelayError {
    fn from(why: NoLease) -> Self {
        match why {
            NoLease::Dial(error) => Self::Dial(error),
            NoLease::Full => Self::Full,
        }
    }
}

/// What ended a call before its answer began.
fn problem_of(error: &hyper::Error) -> GatewayProblem {
    tracing::debug!(error = %error, "the app gave no answer to a call");
    match source::<h2::Error>(error) {
        Some(reset) if reset.is_reset() && reset.is_remote() => {
            GatewayProblem::Reset(reset.reason().unwrap_or(h2::Reason::INTERNAL_ERROR))
        }
        Some(left) if left.is_remote() => GatewayProblem::ClosedEarly,
        Some(_senseless) => GatewayProblem::NotHttp2,
        None => GatewayProblem::ClosedEarly,
    }
}

/// The error of this type behind one of hyper's.
fn source<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(found) = cause.downcast_ref() {
            return Some(found);
        }
        source = cause.source();
    }
    None
}
