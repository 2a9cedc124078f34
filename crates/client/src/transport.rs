//! The two ways to the API: a socket, or a router in this process.

mod connection;
mod http;

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use http_body_util::BodyExt;
use tower::ServiceExt;

pub(crate) use self::http::HttpTransport;
use crate::body::{BoxBody, BoxError, RequestBody};
use crate::error::ClientError;

/// Where calls go.
#[derive(Clone, Debug)]
pub(crate) enum Transport {
    Http(HttpTransport),
    Memory(Router),
}

/// Head of a call; the body travels beside it so that it can be sent again.
pub(crate) type Head = ::http::request::Parts;

impl Transport {
    /// Sends one call and waits for the answer's head. The caller sets the deadline of the answer.
    pub(crate) async fn send(
        &self,
        head: Head,
        body: RequestBody,
        connect_timeout: Duration,
    ) -> Result<::http::Response<BoxBody>, ClientError> {
        match self {
            Self::Http(http) => http.send(head, body, connect_timeout).await,
            Self::Memory(router) => {
                let body = axum::body::Body::new(body.into_body());
                let call = ::http::Request::from_parts(head, body);
                let answer: Result<_, Infallible> = router.clone().oneshot(call).await;
                let Ok(answer) = answer;
                Ok(answer.map(|body| body.map_err(BoxError::from).boxed_unsync()))
            }
        }
    }
}
