//! The HTTP below `object_store`: ours.

use async_trait::async_trait;
use http_body_util::BodyExt as _;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use outbound::{Bounds, Outbound, OutboundError, RootsError, TlsTrust};

/// Hands requests to [`Outbound`], whose deadlines hold; those of `object_store` are not used.
#[derive(Debug, Clone)]
pub(super) struct Connector(Outbound);

impl Connector {
    pub(super) fn new(trust: &TlsTrust, bounds: Bounds) -> Result<Self, RootsError> {
        Ok(Self(Outbound::new(trust, bounds)?))
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Connector {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let answer = self.0.send(request).await.map_err(http_error)?;
        Ok(answer.map(|body| HttpResponseBody::new(body.map_err(http_error))))
    }
}

/// Which decides whether a request is tried again.
fn http_error(error: OutboundError) -> HttpError {
    let kind = match &error {
        OutboundError::Address(_) => HttpErrorKind::Unknown,
        OutboundError::Unreachable { .. } => HttpErrorKind::Connect,
        OutboundError::TimedOut { .. } => HttpErrorKind::Timeout,
        OutboundError::Broken { .. } => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error)
}
