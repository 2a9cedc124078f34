//! One request to the provider: a deadline over all of it, a bound on the answer, no redirects.

use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use outbound::{Bounds, Outbound, RootsError, TlsTrust, is_loopback};

/// Largest answer; key sets of large providers have some 10 KiB.
const ANSWER_BYTES_MAX: usize = 512 * 1024;

/// An address of a provider that secrets may be sent to: https, or anything on loopback.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Endpoint(Uri);

impl Endpoint {
    /// # Errors
    /// Words for what is wrong with it.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| format!("must be {what}, is {text:?}");
        let uri: Uri =
            text.parse().map_err(|_not_one| wrong("an address such as https://id.example.com"))?;
        let authority = uri.authority().ok_or_else(|| wrong("a whole address with its host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("an address without a user"));
        }
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let is_http = uri.scheme() == Some(&Scheme::HTTP);
        if is_https || (is_http && is_loopback(authority.host())) {
            Ok(Self(uri))
        } else {
            Err(wrong("an https address (http is for this machine alone)"))
        }
    }

    pub(crate) fn as_uri(&self) -> &Uri {
        &self.0
    }
}

/// Asks one provider.
#[derive(Clone)]
pub(crate) struct Http {
    outbound: Outbound,
    timeout: Duration,
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Http {
    /// # Errors
    /// When the roots cannot be loaded.
    pub(crate) fn new(trust: &TlsTrust, timeout: Duration) -> Result<Self, RootsError> {
        let bounds = Bounds { connect: timeout, answer: timeout, silence: timeout };
        Ok(Self { outbound: Outbound::new(trust, bounds)?, timeout })
    }

    /// Reads a document.
    pub(crate) async fn get(
        &self,
        endpoint: &Endpoint,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, String> {
        self.ask(endpoint, Request::get(endpoint.as_uri().clone()), authorization, Bytes::new())
            .await
    }

    /// Sends a form.
    pub(crate) async fn post(
        &self,
        endpoint: &Endpoint,
        authorization: Option<&HeaderValue>,
        form: String,
    ) -> Result<Answer, String> {
        let request = Request::post(endpoint.as_uri().clone())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(endpoint, request, authorization, form.into()).await
    }

    async fn ask(
        &self,
        endpoint: &Endpoint,
        mut request: http::request::Builder,
        authorization: Option<&HeaderValue>,
        body: Bytes,
    ) -> Result<Answer, String> {
        let place = place(endpoint.as_uri());
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request
            .header(header::ACCEPT, "application/json")
            .body(Full::new(body))
            .map_err(|error| format!("{place} cannot be asked: {error}"))?;
        let asking = async {
            let answer = self.outbound.send(request).await.map_err(|error| words(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
            let body = body.map_err(|error| words(&*error))?.to_bytes();
            Ok(Answer { status, body })
        };
        match tokio::time::timeout(self.timeout, asking).await {
            Ok(answer) => answer.map_err(|why: String| format!("{place} gave no answer: {why}")),
            Err(_elapsed) => Err(format!("{place} gave no answer within {:?}", self.timeout)),
        }
    }
}

/// An error with what is behind it.
fn words(error: &dyn std::error::Error) -> String {
    let behind = std::iter::successors(error.source(), |error| error.source());
    behind.fold(error.to_string(), |words, error| format!("{words}: {error}"))
}

/// Scheme, host and port, for messages: paths and queries of providers may hold names of tenants.
fn place(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    format!("{scheme}://{}", uri.authority().map_or("", |authority| authority.as_str()))
}

#[cfg(test)]
mod tests {
    use super::Endpoint;

    #[test]
    fn secrets_go_to_https_or_stay_on_this_machine() {
        for good in [
            "https://id.example.com",
            "https://id.example.com:8443/realms/x",
            "http://localhost:3000/",
            "http://127.0.0.1:1/a",
            "http://[::1]:1/a",
        ] {
            assert!(Endpoint::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/path",
            "id.example.com",
            "http://id.example.com/",
            "http://localhost.evil.example/",
            "http://127.0.0.1.evil.example/",
            "https://user@id.example.com/",
            "ftp://id.example.com/",
            "javascript:alert(1)",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
        }
    }
}
