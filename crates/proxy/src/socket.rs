//! A WebSocket: one handshake checked on both sides, then bytes.
//!
//! Nothing is copied before the app has answered 101 *and* proved that it speaks WebSocket; any other answer stays
//! an HTTP answer (T20). Over HTTP/2 (RFC 8441) the client sends no key, so we make one for the app.

pub(crate) mod frames;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use http1::has_token;
use ring::digest;
use ring::rand::{SecureRandom, SystemRandom};

use crate::client_stream::ClientStream;
use crate::headers::{self, Kept};
use crate::pump::{Lease, Pump};
use crate::refusal::{GatewayProblem, Refusal};
use crate::upstream::http1::Switched;

/// What every accept key is made with (RFC 6455 §1.3).
const ACCEPT_SALT: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// How the client asks.
#[derive(Debug)]
pub(crate) enum Client {
    /// Over HTTP/1.1, with its key.
    Http1(HeaderValue),
    /// Over HTTP/2, which has none.
    Http2,
}

/// The client's side of a handshake.
#[derive(Debug)]
pub(crate) struct Handshake {
    /// Becomes the client's bytes once our answer is out.
    client: ClientStream,
    /// The key that the app must answer.
    key: HeaderValue,
    over_http2: bool,
}

impl Handshake {
    /// Turns a prepared head into the request that asks the app for a WebSocket.
    pub(crate) fn begin(
        parts: &mut Parts,
        stream: Option<ClientStream>,
        client: Client,
    ) -> Result<Self, Refusal> {
        let stream = stream.ok_or(Refusal::Malformed("this connection cannot switch protocols"))?;
        let over_http2 = matches!(client, Client::Http2);
        let key = match client {
            Client::Http1(key) => key,
            Client::Http2 => {
                new_key().ok_or(Refusal::Malformed("no randomness for a WebSocket key"))?
            }
        };
        parts.method = Method::GET;
        parts.version = Version::HTTP_11;
        let headers = &mut parts.headers;
        // A handshake has no body; a length would have the app wait for one.
        headers.remove(CONTENT_LENGTH);
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        if over_http2 {
            headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
        headers.insert(SEC_WEBSOCKET_KEY, key.clone());
        Ok(Self { client: stream, key, over_http2 })
    }

    /// Checks the app's 101 and makes the client's answer of it, and the task that carries the bytes.
    pub(crate) fn complete(
        self,
        mut answer: Response<()>,
        app: Switched,
        lease: Lease,
    ) -> Result<(Response<()>, impl Future<Output = ()> + Send + use<>), Refusal> {
        if !accepts(answer.headers(), &self.key) {
            return Err(Refusal::Gateway(GatewayProblem::BadUpgrade));
        }
        answer.extensions_mut().clear();
        headers::prepare_response(answer.headers_mut(), Kept::AsTheAppSays);
        if self.over_http2 {
            *answer.status_mut() = StatusCode::OK;
            *answer.version_mut() = Version::HTTP_2;
            answer.headers_mut().remove(SEC_WEBSOCKET_ACCEPT);
        } else {
            let headers = answer.headers_mut();
            headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        Ok((answer, carry(self.client, app, lease)))
    }
}

/// Carries bytes until both sides have ended, one breaks off, or access is withdrawn.
async fn carry(client: ClientStream, app: Switched, lease: Lease) {
    let Some(client) = client.arrived().await else { return };
    let Switched { io, early } = app;
    let pump = Pump::of_frames(client, io, &early);
    // It is a piece of the buffer that the head was read into, for which idle sockets have no use.
    drop(early);
    pump.run_while_allowed(lease).await;
}

/// Whether an answer switches to WebSocket and proves it for this key.
fn accepts(headers: &HeaderMap, key: &HeaderValue) -> bool {
    let mut proofs = headers.get_all(SEC_WEBSOCKET_ACCEPT).iter();
    let proof = proofs.next().is_some_and(|value| value.as_bytes() == accept_of(key).as_bytes());
    proof && proofs.next().is_none() && has_token(headers, &UPGRADE, b"websocket")
}

fn accept_of(key: &HeaderValue) -> String {
    let mut hash = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(key.as_bytes());
    hash.update(ACCEPT_SALT);
    STANDARD.encode(hash.finish())
}

fn new_key() -> Option<HeaderValue> {
    let mut nonce = [0; 16];
    SystemRandom::new().fill(&mut nonce).ok()?;
    HeaderValue::try_from(STANDARD.encode(nonce)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_the_one_of_the_rfc() {
        let key = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(accept_of(&key), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}
