//! Gzip for pages and our own files, where a browser takes it.
//!
//! A compressed page tells by its length what repeats in it, so whoever can have a browser fetch pages that show back
//! what an address says could guess what else is on them (BREACH). Hence: pages that another site asked for are never
//! compressed; nor are answers to forms, which may show a token or a link once; and form tokens look different in each
//! answer (`session`). Streams are left alone: what is to be seen at once must not wait for a block to fill.

use std::io::Write as _;

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use flate2::Compression;
use flate2::write::GzEncoder;

use crate::guard;

/// What is shorter costs more time than it saves.
const BYTES_MIN: u64 = 1024;
/// What is longer is none of our pages or files.
const BYTES_MAX: u64 = 4 << 20;
/// Near the default's size in half of its time.
const LEVEL: u32 = 5;
/// What is compressed: what we make whole.
const KINDS: [&str; 4] = ["text/html", "text/css", "text/javascript", "image/svg+xml"];

/// A layer around the dashboard's routes.
pub(crate) async fn compress(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let is_public = request.uri().path().starts_with("/assets/");
    let wanted = request.method() == Method::GET
        && takes_gzip(headers)
        && (is_public || guard::is_from_own_pages(headers));
    let response = next.run(request).await;
    if wanted && is_whole_text(&response) { squeezed(response).await } else { response }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let lists = headers.get_all(header::ACCEPT_ENCODING).iter();
    lists.filter_map(|list| list.to_str().ok()).flat_map(|list| list.split(',')).any(|one| {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let is_refused = matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000");
        name.trim().eq_ignore_ascii_case("gzip") && !is_refused
    })
}

fn is_whole_text(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let size = response.body().size_hint().exact();
    response.status() == StatusCode::OK
        && !response.headers().contains_key(header::CONTENT_ENCODING)
        && kind.is_some_and(|kind| KINDS.iter().any(|known| kind.starts_with(known)))
        && size.is_some_and(|size| (BYTES_MIN..=BYTES_MAX).contains(&size))
}

async fn squeezed(response: Response) -> Response {
    let (mut head, body) = response.into_parts();
    let limit = usize::try_from(BYTES_MAX).unwrap_or(usize::MAX);
    // It lies in memory whole, so that nothing is waited for and nothing fails.
    let text = to_bytes(body, limit).await.unwrap_or_default();
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 4), Compression::new(LEVEL));
    let packed = encoder.write_all(&text).and_then(|()| encoder.finish());
    let Ok(packed) = packed else { return Response::from_parts(head, Body::from(text)) };
    head.headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(packed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_where_it_is_named_and_not_refused() {
        for (text, expected) in [
            ("gzip", true),
            ("gzip, deflate, br, zstd", true),
            ("br;q=1, GZIP;q=0.5", true),
            ("gzip;q=0", false),
            ("br", false),
            ("x-gzipped", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(text));
            assert_eq!(takes_gzip(&headers), expected, "{text}");
        }
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
