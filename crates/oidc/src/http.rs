//! One request to the provider: a deadline over all of it, a bound on the answer, no redirects.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Scheme;
use http::{HeaderValue, Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Largest answer; key sets of large providers have some 10 KiB.
const ANSWER_BYTES_MAX: usize = 512 * 1024;
/// What we call ourselves.
const USER_AGENT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));

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

fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        || host.eq_ignore_ascii_case("localhost")
}

/// Asks one provider; connections are not kept, since sign-ins are minutes apart.
#[derive(Clone)]
pub(crate) struct Http {
    tls: TlsConnector,
    timeout: Duration,
}

/// An answer, whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
}

impl Http {
    pub(crate) fn new(tls: Arc<rustls::ClientConfig>, timeout: Duration) -> Self {
        Self { tls: TlsConnector::from(tls), timeout }
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
        let uri = endpoint.as_uri();
        let place = place(uri);
        if let Some(authorization) = authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let host = uri.authority().map_or("", |authority| authority.as_str());
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let request = request
            .uri(path)
            .header(header::HOST, host)
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, USER_AGENT)
            .body(Full::new(body))
            .map_err(|error| format!("{place} cannot be asked: {error}"))?;
        let asking = async {
            let socket = self.connect(uri).await.map_err(|why| why.to_string())?;
            exchange(socket, request).await
        };
        match tokio::time::timeout(self.timeout, asking).await {
            Ok(answer) => answer.map_err(|why| format!("{place} gave no answer: {why}")),
            Err(_elapsed) => Err(format!("{place} gave no answer within {:?}", self.timeout)),
        }
    }

    async fn connect(&self, uri: &Uri) -> std::io::Result<Box<dyn Socket>> {
        let is_https = uri.scheme() == Some(&Scheme::HTTPS);
        let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = uri.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let socket = TcpStream::connect((host, port)).await?;
        if !is_https {
            return Ok(Box::new(socket));
        }
        let name = ServerName::try_from(host.to_owned()).map_err(std::io::Error::other)?;
        Ok(Box::new(self.tls.connect(name, socket).await?))
    }
}

/// Scheme, host and port, for messages: paths and queries of providers may hold names of tenants.
fn place(uri: &Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or_default();
    format!("{scheme}://{}", uri.authority().map_or("", |authority| authority.as_str()))
}

/// Plain or with TLS.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Socket for S {}

async fn exchange(
    socket: Box<dyn Socket>,
    request: Request<Full<Bytes>>,
) -> Result<Answer, String> {
    let handshake = http1::handshake(TokioIo::new(socket)).await;
    let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
    let talk = async move {
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        Ok(Answer { status, body })
    };
    tokio::pin!(talk, connection);
    // The connection moves only while it is polled; where it ends first, what it read is still to be had.
    tokio::select! {
        answer = &mut talk => answer,
        _ended = &mut connection => talk.await,
    }
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
