//! The files of collections by WebDAV (RFC 4918, classes 1 and 2), under the paths that Arvados's keep-web
//! has: `/c=<uuid or content>/…`, `/collections/<uuid>/…`, `/by_id/<uuid or content>/…`.
//!
//! A part of the API and no role of its own: who may read which collection, permissions on blocks and
//! the writing of records are all here, and a second crate could see none of it.
//!
//! Files are users' own, at our address: answers forbid browsers to run anything in them, and cookies
//! open nothing here.

use axum::body::Body;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use percent_encoding::percent_decode_str;

use crate::caller::{Caller, authenticate};
use crate::error::ApiError;
use crate::resources::collections::find::{by_content, content_hash, find};
use crate::router::Api;

mod asked;
mod conditions;
mod lock_calls;
pub(crate) mod locks;
pub(crate) mod range;
mod read;
mod refusal;
mod write;
pub(crate) mod xml;

use lock_calls::{Change, check};
use refusal::Refusal;

/// Everything that is answered, for `Allow` and for other origins.
const METHODS: &str =
    "OPTIONS, GET, HEAD, PROPFIND, PROPPATCH, PUT, DELETE, MKCOL, MOVE, COPY, LOCK, UNLOCK";
/// Headers that pages of other origins may send.
const HEADERS: &str = "Authorization, Cache-Control, Content-Type, Depth, Destination, If, \
                       If-None-Match, Lock-Token, Overwrite, Range, Timeout, X-Request-Id";
/// Prefixes, each followed by the identifier of a collection. The first is often percent-encoded.
const PREFIXES: [&str; 5] = ["/c=", "/c%3D", "/c%3d", "/collections/", "/by_id/"];

/// A path: which collection, and what in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The start of the path as it was sent, without a slash at its end: addresses in answers begin
    /// with it.
    pub(super) root: String,
    /// Identifier or portable data hash.
    pub(super) collection: String,
    /// Path in the collection, decoded, without slashes at its ends; `""` is all of it.
    pub(super) path: String,
}

impl Place {
    fn of(path: &str) -> Option<Self> {
        let prefix = PREFIXES.iter().find(|prefix| path.starts_with(**prefix))?;
        let rest = &path[prefix.len()..];
        let (id, below) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let decode = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
        let id_text = decode(id)?;
        // In host names and old addresses a hyphen stands for the plus.
        let with_plus = id_text.replacen('-', "+", 1);
        let collection = match (content_hash(&id_text), content_hash(&with_plus)) {
            (Some(hash), _) | (None, Some(hash)) => hash.to_owned(),
            (None, None) if model::uuid::looks_like_uuid(&id_text) => id_text.clone(),
            (None, None) => return None,
        };
        let path = decode(below)?.trim_matches('/').to_owned();
        Some(Self { root: format!("{prefix}{id}"), collection, path })
    }

    fn is_content(&self) -> bool {
        content_hash(&self.collection).is_some()
    }
}

/// Whether a path is in a collection.
pub(crate) fn is_place(path: &str) -> bool {
    Place::of(path).is_some()
}

/// Answers a call for something in a collection.
pub(crate) async fn serve(api: &Api, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    bearer_of_basic(&mut parts.headers);
    let mut response = match answer(api, &parts, body).await {
        Ok(response) => response,
        Err(refusal) => refusal.into_response(),
    };
    let headers = response.headers_mut();
    let mut set = |name, value| drop(headers.insert(name, HeaderValue::from_static(value)));
    set(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    set(header::ACCESS_CONTROL_ALLOW_HEADERS, HEADERS);
    set(header::ACCESS_CONTROL_EXPOSE_HEADERS, "Content-Length, Content-Range, ETag, X-Request-Id");
    set(header::ACCESS_CONTROL_MAX_AGE, "86400");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::CONTENT_SECURITY_POLICY, "sandbox; default-src 'none'");
    response
}

async fn answer(api: &Api, parts: &Parts, body: Body) -> Result<Response, Refusal> {
    let no_such = || Refusal::NotFound("there is nothing here".to_owned());
    let place = Place::of(parts.uri.path()).ok_or_else(no_such)?;
    if parts.method == Method::OPTIONS {
        return Ok(options());
    }
    let caller = authenticate(api.store(), &parts.headers, &parts.method, parts.uri.path()).await?;
    match parts.method.as_str() {
        "GET" | "HEAD" => read::get(api, &caller, &place, parts).await,
        "PROPFIND" => read::propfind(api, &caller, &place, &parts.headers, body).await,
        "LOCK" => lock_calls::lock(api, &caller, &place, parts, body).await,
        "UNLOCK" => lock_calls::unlock(api, &caller, &place, &parts.headers).await,
        "PUT" | "PROPPATCH" | "DELETE" | "MKCOL" | "MOVE" | "COPY" => {
            change(api, &caller, &place, parts, body).await
        }
        other => Err(Refusal::Method(other.chars().take(20).collect())),
    }
}

/// What changes a collection, where nobody has locked it.
async fn change(
    api: &Api,
    caller: &Caller,
    place: &Place,
    parts: &Parts,
    body: Body,
) -> Result<Response, Refusal> {
    let headers = &parts.headers;
    let whole = |path| Change { path, is_deep: true };
    // Making or taking away a name changes the directory that it is in, too.
    let path = place.path.as_str();
    match parts.method.as_str() {
        "PUT" => {
            check(api, caller, place, headers, &[Change { path, is_deep: false }]).await?;
            write::put(api, caller, place, body).await
        }
        "PROPPATCH" => {
            check(api, caller, place, headers, &[Change { path, is_deep: false }]).await?;
            read::refuse_changes(api, caller, place, body).await
        }
        "MKCOL" => {
            check(api, caller, place, headers, &[whole(path), above(path)]).await?;
            // RFC 4918 section 9.3: a body would say what to make, and none is understood.
            if !body_text(body).await?.is_empty() {
                let words = "MKCOL takes no body".to_owned();
                return Err(Refusal::State(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
            }
            write::make_directory(api, caller, place).await
        }
        "DELETE" => {
            check(api, caller, place, headers, &[whole(path), above(path)]).await?;
            let deleted = write::delete(api, caller, place).await?;
            api.locks().forget(&place.collection, path);
            Ok(deleted)
        }
        method => {
            let takes_away = method == "MOVE";
            let to = write::destination(headers, place)?;
            let mut changes = vec![whole(to.as_str()), above(&to)];
            if takes_away {
                changes.extend([whole(path), above(path)]);
            }
            check(api, caller, place, headers, &changes).await?;
            let done = write::transfer(api, caller, place, headers, takes_away).await?;
            if takes_away {
                api.locks().forget(&place.collection, path);
            }
            Ok(done)
        }
    }
}

/// The directory that a path is in.
fn above(path: &str) -> Change<'_> {
    let path = path.rsplit_once('/').map_or("", |(above, _)| above);
    Change { path, is_deep: false }
}

/// A body of XML.
async fn body_text(body: Body) -> Result<String, Refusal> {
    use http_body_util::BodyExt as _;
    let body = http_body_util::Limited::new(body, asked::BODY_BYTES_MAX).collect().await;
    let bytes = body.map_err(|_broken_or_long| Refusal::Body)?.to_bytes();
    String::from_utf8(bytes.into())
        .map_err(|_not_text| Refusal::Bad("the body is no text".to_owned()))
}

fn options() -> Response {
    let headers = [("allow", METHODS), ("dav", "1, 2"), ("ms-author-via", "DAV")];
    (StatusCode::OK, headers, Body::empty()).into_response()
}

/// Programs that mount addresses send a name and a password: the password is the token.
fn bearer_of_basic(headers: &mut HeaderMap) {
    let token = headers.get(header::AUTHORIZATION).and_then(|value| {
        let (scheme, credential) = value.to_str().ok()?.trim().split_once(' ')?;
        let is_basic = scheme.eq_ignore_ascii_case("basic");
        let pair = STANDARD.decode(is_basic.then_some(credential.trim())?).ok()?;
        let (_name, password) = std::str::from_utf8(&pair).ok()?.split_once(':')?;
        HeaderValue::try_from(format!("Bearer {password}")).ok()
    });
    if let Some(mut token) = token {
        token.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, token);
    }
}

/// The collection at a place.
async fn collection(
    api: &Api,
    caller: &Caller,
    place: &Place,
) -> Result<model::Collection, Refusal> {
    let found = if place.is_content() {
        by_content(api, caller, &place.collection, false).await?
    } else {
        find(api, caller, &place.collection, false).await?
    };
    found.ok_or_else(|| ApiError::no_such("collection", &place.collection).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_keep_web_reads_them() {
        let uuid = "wharf-4zz18-0123456789abcde";
        let hash = "d41d8cd98f00b204e9800998ecf8427e";
        let check = |path: &str, root: &str, collection: &str, below: &str| {
            let place = Place::of(path).unwrap_or_else(|| panic!("{path}"));
            let expected = Place {
                root: root.to_owned(),
                collection: collection.to_owned(),
                path: below.to_owned(),
            };
            assert_eq!(place, expected, "{path}");
        };
        check(&format!("/c={uuid}"), &format!("/c={uuid}"), uuid, "");
        check(&format!("/c%3D{uuid}/a%20b/c/"), &format!("/c%3D{uuid}"), uuid, "a b/c");
        check(
            &format!("/by_id/{hash}+0/x"),
            &format!("/by_id/{hash}+0"),
            &format!("{hash}+0"),
            "x",
        );
        check(&format!("/c={hash}-0/"), &format!("/c={hash}-0"), &format!("{hash}+0"), "");
        check(&format!("/c={hash}%2B0"), &format!("/c={hash}%2B0"), &format!("{hash}+0"), "");
        for other in ["/", "/c=", "/c=x/", "/collections", "/collections/new/x", "/services/x"] {
            assert_eq!(Place::of(other), None, "{other}");
        }
    }

    #[test]
    fn a_password_is_taken_for_the_token() {
        let mut headers = HeaderMap::new();
        let basic = format!("Basic {}", STANDARD.encode("any:v2/a/b"));
        headers.insert(header::AUTHORIZATION, HeaderValue::try_from(basic).unwrap());
        bearer_of_basic(&mut headers);
        assert_eq!(headers[header::AUTHORIZATION], "Bearer v2/a/b");
        headers.insert(header::AUTHORIZATION, HeaderValue::from_static("Bearer x"));
        bearer_of_basic(&mut headers);
        assert_eq!(headers[header::AUTHORIZATION], "Bearer x");
    }
}
