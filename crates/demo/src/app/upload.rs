//! `/upload`: counts the bytes of a body of any size without keeping them.

use axum::Json;
use axum::body::Body;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt as _;
use ring::digest;
use serde::Serialize;

/// What was received.
#[derive(Debug, Serialize)]
struct Uploaded {
    bytes: u64,
    /// SHA-256 of the body, 64 hex digits, to compare with what was sent.
    sha256: String,
}

pub(super) async fn upload(body: Body) -> Response {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut hash) = (0_u64, digest::Context::new(&digest::SHA256));
    while let Some(chunk) = chunks.next().await {
        match chunk {
            Ok(chunk) => {
                bytes += chunk.len() as u64;
                hash.update(&chunk);
            }
            Err(error) => {
                let text = format!("upload broke off after {bytes} bytes: {error}\n");
                return (StatusCode::BAD_REQUEST, text).into_response();
            }
        }
    }
    Json(Uploaded { bytes, sha256: crate::image::hex(hash.finish().as_ref()) }).into_response()
}
