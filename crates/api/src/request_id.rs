//! `X-Request-Id`: taken from the client where it sent a sound one, else made; on every answer, and behind the texts of
//! errors.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, header};
use ring::rand::{SecureRandom, SystemRandom};
use tracing::Instrument as _;

use crate::error::ErrorTexts;

/// The header's name.
const HEADER: &str = "x-request-id";
/// Longest id taken over from a client.
const ID_BYTES_MAX: usize = 64;

/// Gives the request its id, and logs under it.
pub(crate) async fn layer(mut request: Request, next: Next) -> Response {
    let sent = request.headers().get(HEADER).filter(|id| is_sound(id)).cloned();
    let id = sent.unwrap_or_else(new_id);
    request.headers_mut().insert(HEADER, id.clone());
    let span = tracing::info_span!(
        "api",
        request.id = id.to_str().unwrap_or_default(),
        method = %request.method(),
        path = request.uri().path(),
    );
    let mut response = next.run(request).instrument(span).await;
    if let Some(texts) = response.extensions_mut().remove::<ErrorTexts>() {
        let body = texts.body(id.to_str().ok()).to_string();
        // It was that of the texts without the id.
        response.headers_mut().remove(header::CONTENT_LENGTH);
        *response.body_mut() = Body::from(body);
    }
    response.headers_mut().insert(HEADER, id);
    response
}

fn is_sound(id: &HeaderValue) -> bool {
    let bytes = id.as_bytes();
    let character = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=ID_BYTES_MAX).contains(&bytes.len()) && bytes.iter().all(character)
}

/// `req-` and 20 digits of base 36, as Arvados makes them.
fn new_id() -> HeaderValue {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut bytes = [0_u8; 20];
    // Without random bytes the id is all zeroes: it is for finding log lines, not a secret.
    let _unspecified = SystemRandom::new().fill(&mut bytes);
    let digits = bytes.iter().map(|byte| char::from(DIGITS[usize::from(byte % 36)]));
    let id: String = "req-".chars().chain(digits).collect();
    HeaderValue::from_str(&id).unwrap_or_else(|_impossible| HeaderValue::from_static("req-"))
}
