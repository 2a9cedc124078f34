//! A connection that becomes another protocol's: what it is asked with, and the deadline for all of it.

use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode, Uri, header};
use hyper_util::rt::TokioIo;
use tokio::time::timeout;

use crate::call::{Client, not_understood, refuse_errors};
use crate::error::ClientError;
use crate::transport::Transport;

/// Bytes both ways. Shutting it down ends our half.
pub type ByteStream = TokioIo<hyper::upgrade::Upgraded>;

/// What is asked for.
pub(crate) struct Upgrade<'u> {
    /// The address of the host; its path does not count.
    pub(crate) url: &'u str,
    pub(crate) path: &'u str,
    /// The protocol's name in the header.
    pub(crate) token: &'static str,
    /// And for people.
    pub(crate) protocol: &'static str,
    pub(crate) more: &'u [(HeaderName, &'u str)],
}

impl Client {
    /// Asks for it; `what` is told in errors. Answers the headers of the switch, and the connection.
    pub(crate) async fn upgrade(
        &self,
        wanted: Upgrade<'_>,
        what: impl FnOnce(&str) -> String,
    ) -> Result<(HeaderMap, ByteStream), ClientError> {
        let wrong = || ClientError::Address { address: wanted.url.to_owned() };
        let url: Uri = wanted.url.parse().map_err(|_not_a_uri| wrong())?;
        let authority = url.authority().ok_or_else(wrong)?;
        let what = what(authority.as_str());
        let Transport::Http(transport) = &self.transport else {
            return Err(not_understood(&what, "a router in memory has no connections"));
        };
        let mut request = Request::get(wanted.path)
            .header(header::HOST, authority.as_str())
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, wanted.token)
            .header(header::ACCEPT, HeaderValue::from_static("application/json"))
            .header(header::USER_AGENT, crate::call::USER_AGENT);
        for (name, value) in wanted.more {
            request = request.header(name, *value);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        let request = request.body(()).map_err(|_malformed| wrong())?;
        let bound = self.deadlines.stream_head;
        let opening = async {
            let answer = transport.upgrade(authority, request, self.deadlines.connect).await?;
            if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
                refuse_errors(&what, answer).await?;
                let problem = format!("the server did not switch to {}", wanted.protocol);
                return Err(not_understood(&what, problem));
            }
            let headers = answer.headers().clone();
            let broken = |source: hyper::Error| ClientError::Broken {
                what: what.clone(),
                source: source.into(),
            };
            let stream = hyper::upgrade::on(answer).await.map(TokioIo::new).map_err(broken)?;
            Ok((headers, stream))
        };
        timeout(bound, opening)
            .await
            .map_err(|_elapsed| ClientError::TimedOut { what: what.clone(), bound })?
    }
}
