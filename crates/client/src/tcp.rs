//! Raw TCP to a port of a container, through its service host.

use http::{HeaderValue, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::call::{Client, not_understood, refuse_errors};
use crate::error::ClientError;
use crate::transport::Transport;

/// Where service hosts open raw connections.
const PATH: &str = "/.wharf/tcp";

/// Bytes to and from a port of a container. Shutting it down ends our half.
pub type ByteStream = TokioIo<hyper::upgrade::Upgraded>;

impl Client {
    /// Connects to the port behind a service host, given as its address (`http://…/`).
    ///
    /// Where the API is on this machine the connection is made to it, since not every resolver knows names below
    /// `localhost`; else to the service host itself. It is TLS whenever calls are.
    pub async fn open_tcp(&self, service_url: &str) -> Result<ByteStream, ClientError> {
        let wrong = || ClientError::Address { address: service_url.to_owned() };
        let url: Uri = service_url.parse().map_err(|_not_a_uri| wrong())?;
        let authority = url.authority().ok_or_else(wrong)?;
        let what = format!("a connection to {authority}");
        let Transport::Http(transport) = &self.transport else {
            return Err(not_understood(&what, "a router in memory has no connections"));
        };
        let mut request = Request::get(PATH)
            .header(header::HOST, authority.as_str())
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "tcp")
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(header::USER_AGENT, crate::call::USER_AGENT);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(()).map_err(|_malformed| wrong())?;
        let bound = self.deadlines.stream_head;
        let opening = async {
            let answer = transport.upgrade(authority, request, self.deadlines.connect).await?;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                let broken = |source: hyper::Error| ClientError::Broken {
                    what: what.clone(),
                    source: source.into(),
                };
                return hyper::upgrade::on(answer).await.map(TokioIo::new).map_err(broken);
            }
            refuse_errors(&what, answer).await?;
            Err(not_understood(&what, "the server did not switch to TCP"))
        };
        timeout(bound, opening)
            .await
            .map_err(|_elapsed| ClientError::TimedOut { what: what.clone(), bound })?
    }
}
