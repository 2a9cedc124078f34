//! `/echo`: the request as the application received it, so that anybody can see what the gate
//! passed on and what it took away.

use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use http_body_util::BodyExt as _;
use serde::Serialize;

/// Bytes of the body that are sent back; a longer body is read and counted, not returned.
const BODY_SHOWN_BYTES_MAX: usize = 64 * 1024;

/// What arrived.
#[derive(Debug, Serialize)]
struct Received {
    method: String,
    /// The request target exactly as sent: path bytes and query untouched.
    target: String,
    version: String,
    /// Name and value in order of arrival, repeated names repeated.
    headers: Vec<(String, String)>,
    body_bytes: u64,
    /// First [`BODY_SHOWN_BYTES_MAX`] bytes of the body as text, invalid UTF-8 replaced.
    body: String,
    /// Trailers, as headers.
    trailers: Vec<(String, String)>,
}

fn pairs(headers: &axum::http::HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

pub(super) async fn echo(request: Request) -> Response {
    let (parts, mut body) = request.into_parts();
    let (mut body_bytes, mut shown, mut trailers) = (0_u64, BytesMut::new(), Vec::new());
    while let Some(frame) = body.frame().await {
        let frame = match frame {
            Ok(frame) => frame,
            Err(error) => {
                return (StatusCode::BAD_REQUEST, format!("body broke off: {error}\n"))
                    .into_response();
            }
        };
        if let Some(data) = frame.data_ref() {
            body_bytes += data.len() as u64;
            let room = BODY_SHOWN_BYTES_MAX.saturating_sub(shown.len());
            shown.extend_from_slice(&data[..data.len().min(room)]);
        } else if let Some(found) = frame.trailers_ref() {
            trailers = pairs(found);
        }
    }
    Json(Received {
        method: parts.method.to_string(),
        target: parts.uri.path_and_query().map_or_else(|| "*".to_owned(), ToString::to_string),
        version: format!("{:?}", parts.version),
        headers: pairs(&parts.headers),
        body_bytes,
        body: String::from_utf8_lossy(&shown).into_owned(),
        trailers,
    })
    .into_response()
}
