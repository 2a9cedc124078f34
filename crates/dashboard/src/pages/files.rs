//! Files of collections, through this page's session: what the API's WebDAV gives, passed on piece by piece.
//!
//! A file is its author's, at our address: it is always sent as something to save, never as a page (T28).

use axum::body::Body;
use axum::extract::{Path, Request};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::TryStreamExt as _;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::problem::{NoPage, Problem};
use super::signed_in::SignedIn;

/// What may stand in a path as it is.
const PATH: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The form token of an upload, which has no form.
const FORM_TOKEN: &str = "x-form-token";

/// Where a file is downloaded.
pub(super) fn address(uuid: &str, path: &str) -> String {
    format!("/data/{uuid}/files/{}", utf8_percent_encode(path, PATH))
}

pub(crate) async fn download(
    me: SignedIn,
    Path((uuid, path)): Path<(String, String)>,
) -> Result<Response, NoPage> {
    check(&uuid, &path)?;
    let bytes = me.api.client.read_file(&uuid, &path).await;
    let bytes = bytes.map_err(|error| me.no_page(error.into(), "file"))?;
    let name = path.rsplit('/').next().unwrap_or_default();
    let name = utf8_percent_encode(name, PATH);
    let headers: [(HeaderName, String); 3] = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename*=UTF-8''{name}")),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox".to_owned()),
    ];
    Ok((headers, Body::from_stream(bytes)).into_response())
}

pub(crate) async fn upload(
    me: SignedIn,
    Path((uuid, path)): Path<(String, String)>,
    request: Request,
) -> Result<Response, NoPage> {
    let token = request.headers().get(FORM_TOKEN).and_then(|value| value.to_str().ok());
    me.check_form(token.unwrap_or_default())?;
    check(&uuid, &path)?;
    let pieces = request.into_body().into_data_stream().map_err(std::io::Error::other);
    let written = me.api.client.write_file(&uuid, &path, Box::pin(pieces)).await;
    written.map_err(|error| me.no_page(error.into(), "file"))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn check(uuid: &str, path: &str) -> Result<(), Problem> {
    let is_path = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if model::uuid::looks_like_uuid(uuid) && is_path {
        return Ok(());
    }
    Err(Problem::not_found("file"))
}
