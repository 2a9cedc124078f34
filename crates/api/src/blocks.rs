//! Keep blocks over HTTP, at the root of the API's address: `PUT /<md5>`, `GET` and `HEAD
//! /<locator>`, as Arvados's clients ask their keep services.
//!
//! Answers are text, as they are upstream. What will not change by itself is no 5xx, which clients
//! would ask for again for a quarter of an hour: a corrupt block is 422.

use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use http_body_util::BodyExt as _;
use keep::{Keep, KeepError, PermissionFault, Signer, Wish};
use manifest::{BLOCK_BYTES_MAX, BlockHash, Locator};
use model::Timestamp;

use crate::caller::{Caller, authenticate};
use crate::error::ApiError;
use crate::router::Api;

/// What is said to clients where nothing is signed: they read collections again after half of it.
const UNSIGNED_TTL: Duration = Duration::from_secs(14 * 24 * 3600);

const DESIRED_REPLICAS: &str = "x-keep-desired-replicas";
const STORAGE_CLASSES: &str = "x-keep-storage-classes";
/// Storage classes that one block may be meant for.
const STORAGE_CLASSES_MAX: usize = 16;

/// Where blocks are, and who may read them.
#[derive(Debug, Clone)]
pub struct Blocks {
    /// The blocks.
    pub keep: Keep,
    /// Signs permissions to read them; none where everybody with a token may.
    pub signer: Option<Signer>,
}

impl Blocks {
    /// How long permissions hold; as long as upstream where none are needed.
    pub(crate) fn signature_ttl(&self) -> Duration {
        self.signer.as_ref().map_or(UNSIGNED_TTL, Signer::ttl)
    }
}

/// Why a block was not given or taken.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Call(#[from] ApiError),
    #[error("{0}")]
    Locator(String),
    #[error("{0}")]
    Permission(#[from] PermissionFault),
    #[error("a block is read by its whole locator, with +size behind the hash")]
    NoSize,
    #[error("{0} is no method of a block")]
    Method(Method),
    #[error("the body ended before it was complete")]
    Body,
    #[error("the header {0} is not understood")]
    Header(&'static str),
    #[error("{0}")]
    Keep(#[from] KeepError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Call(error) => error.status(),
            Self::Locator(_) | Self::Body | Self::Header(_) => StatusCode::BAD_REQUEST,
            Self::Permission(PermissionFault::Expired) => StatusCode::UNAUTHORIZED,
            Self::Permission(_) => StatusCode::BAD_REQUEST,
            Self::NoSize | Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Keep(error) => match error {
                KeepError::Mismatch { .. } | KeepError::Range(_) => StatusCode::BAD_REQUEST,
                KeepError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
                KeepError::Missing(_) => StatusCode::NOT_FOUND,
                KeepError::Corrupt(_) | KeepError::NoSuchClass { .. } => {
                    StatusCode::UNPROCESSABLE_ENTITY
                }
                KeepError::Full => StatusCode::INSUFFICIENT_STORAGE,
                KeepError::Busy
                | KeepError::Interrupted
                | KeepError::Remote { .. }
                | KeepError::TooFewCopies { .. } => StatusCode::SERVICE_UNAVAILABLE,
                KeepError::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }
}

/// Whether a path is a block's: its hash, and what may be behind it.
pub(crate) fn locator_in(path: &str) -> Option<&str> {
    // Clients put a slash behind an address that ends with one.
    let name = path.strip_prefix("//").or_else(|| path.strip_prefix('/'))?;
    let hash = name.get(..32)?;
    let is_hash = BlockHash::parse(&hash.to_ascii_lowercase()).is_some();
    let rest = &name[32..];
    (is_hash && (rest.is_empty() || rest.starts_with(['+', '%']))).then_some(name)
}

/// Answers a call for a block.
pub(crate) async fn serve(api: &Api, locator: &str, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let answered = match parts.method {
        Method::GET | Method::HEAD => get(api, locator, &parts).await,
        Method::PUT => put(api, locator, &parts, body).await,
        other => Err(Refusal::Method(other)),
    };
    answered.unwrap_or_else(|refusal| {
        let status = refusal.status();
        if status.is_server_error() {
            tracing::error!(error = ?refusal, status = status.as_u16(), "a block call failed");
        }
        (status, format!("{refusal}\n")).into_response()
    })
}

async fn caller(api: &Api, parts: &Parts) -> Result<Caller, ApiError> {
    authenticate(api.store(), &parts.headers, &parts.method, parts.uri.path()).await
}

async fn get(api: &Api, text: &str, parts: &Parts) -> Result<Response, Refusal> {
    let caller = caller(api, parts).await?;
    let text = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    if text.len() == 32 {
        return Err(Refusal::NoSize);
    }
    let locator = Locator::parse(&text).map_err(|error| Refusal::Locator(error.to_string()))?;
    api.check_permission(&locator, &caller)?;
    let hash = locator.hash();
    let of_another_size = |size: u64| size != locator.size();
    if parts.method == Method::HEAD {
        let status = api.blocks().keep.status(hash).await?.map(|status| status.size);
        let size = if hash == BlockHash::EMPTY { Some(0) } else { status };
        let size = size.ok_or(KeepError::Missing(hash))?;
        if of_another_size(size) {
            return Err(KeepError::Missing(hash).into());
        }
        return Ok((headers_of(size), Body::empty()).into_response());
    }
    let block = api.blocks().keep.open(hash).await?.ok_or(KeepError::Missing(hash))?;
    let size = block.size();
    if of_another_size(size) {
        return Err(KeepError::Missing(hash).into());
    }
    let pieces = block.stream(0..size).map_err(std::io::Error::other);
    Ok((headers_of(size), Body::from_stream(pieces)).into_response())
}

fn headers_of(size: u64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(size));
    let mut set = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    set(header::CONTENT_TYPE, "application/octet-stream");
    // Users' bytes at our own address: no browser shall see a page in them.
    set(header::CONTENT_DISPOSITION, "attachment");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    headers
}

async fn put(api: &Api, text: &str, parts: &Parts, mut body: Body) -> Result<Response, Refusal> {
    let caller = caller(api, parts).await?;
    let hash = BlockHash::parse(text).ok_or_else(|| {
        Refusal::Locator("a block is put at /<its MD5 in lower-case hexadecimal>".to_owned())
    })?;
    let announced = parts.headers.get(header::CONTENT_LENGTH);
    let announced = announced.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|n_bytes| n_bytes > BLOCK_BYTES_MAX) {
        return Err(KeepError::TooLarge.into());
    }
    let keep = &api.blocks().keep;
    let wish = wish(&parts.headers, keep.options().replication)?;
    let mut upload = keep.begin_with(Some(hash), &wish).await?;
    // Polling the body is what sends `100 Continue`.
    while let Some(frame) = body.frame().await {
        let piece: Bytes =
            frame.map_err(|_broken_off| Refusal::Body)?.into_data().unwrap_or_default();
        upload.write(&piece).await?;
    }
    let stored = upload.store(Some(hash)).await?;
    let signed = api.permitted(&stored.locator, &caller, None);
    let classes = stored.by_class.iter().map(|(class, copies)| format!("{class}={copies}"));
    let headers = [
        ("x-keep-replicas-stored", stored.copies.to_string()),
        ("x-keep-storage-classes-confirmed", classes.collect::<Vec<_>>().join(", ")),
    ];
    Ok((headers, format!("{signed}\n")).into_response())
}

/// What the writer of a block asks for (`X-Keep-Desired-Replicas`, `X-Keep-Storage-Classes`).
fn wish(headers: &HeaderMap, copies: u32) -> Result<Wish, Refusal> {
    let text = |name: &'static str| match headers.get(name).map(HeaderValue::to_str) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(Err(_not_text)) => Err(Refusal::Header(name)),
    };
    let copies = match text(DESIRED_REPLICAS)? {
        Some(number) => number.parse().map_err(|_wrong| Refusal::Header(DESIRED_REPLICAS))?,
        None => copies,
    };
    let classes = text(STORAGE_CLASSES)?.unwrap_or_default().split(',').map(str::trim);
    let storage_classes: Vec<String> =
        classes.filter(|class| !class.is_empty()).map(str::to_owned).collect();
    if storage_classes.len() > STORAGE_CLASSES_MAX {
        return Err(Refusal::Header(STORAGE_CLASSES));
    }
    Ok(Wish { copies, storage_classes })
}

impl Api {
    /// Whether the caller may read a block by this locator.
    ///
    /// # Errors
    /// Where not.
    pub(crate) fn check_permission(
        &self,
        locator: &Locator,
        caller: &Caller,
    ) -> Result<(), PermissionFault> {
        match &self.blocks().signer {
            Some(signer) if locator.hash() != BlockHash::EMPTY => {
                signer.check(locator, caller.token.uuid.as_str(), unix_seconds(self.store().now()))
            }
            _ => Ok(()),
        }
    }

    /// The locator with permission for the caller, which ends with `not_after`.
    pub(crate) fn permitted(
        &self,
        locator: &Locator,
        caller: &Caller,
        not_after: Option<Timestamp>,
    ) -> Locator {
        match self.permit(locator, caller, not_after) {
            hint if hint.is_empty() => locator.clone(),
            hint => locator.with_permission(&hint),
        }
    }

    /// A manifest with permission on each block for the caller, which ends with `not_after`.
    pub(crate) fn permitted_manifest(
        &self,
        text: &str,
        caller: &Caller,
        not_after: Option<Timestamp>,
    ) -> String {
        manifest::sign(text, |locator| self.permit(locator, caller, not_after))
    }

    fn permit(&self, locator: &Locator, caller: &Caller, not_after: Option<Timestamp>) -> String {
        let Some(signer) = &self.blocks().signer else { return String::new() };
        if locator.hash() == BlockHash::EMPTY {
            return String::new();
        }
        let full = unix_seconds(self.store().now()).saturating_add(signer.ttl().as_secs());
        let expiry = not_after.map_or(full, |at| unix_seconds(at).min(full));
        signer.permit(locator, caller.token.uuid.as_str(), expiry)
    }
}

fn unix_seconds(at: Timestamp) -> u64 {
    u64::try_from(at.as_jiff().as_second()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::locator_in;

    #[test]
    fn only_hashes_are_taken_for_blocks() {
        let hash = "acbd18db4cc2f85cedef654fccc4a4d8";
        for path in [format!("/{hash}"), format!("//{hash}+3+Ax@1"), format!("/{hash}%2B3")] {
            assert!(locator_in(&path).is_some(), "{path}");
        }
        for path in [
            "/",
            "/services",
            &format!("/a/{hash}"),
            &format!("/{hash}0"),
            &format!("/{}", "é".repeat(20)),
        ] {
            assert!(locator_in(path).is_none(), "{path}");
        }
    }
}
