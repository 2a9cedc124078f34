//! Long reads sent as POST, and form bodies.
//!
//! A list with many identifiers does not fit a URL: clients then POST the query string as a form,
//! with `X-HTTP-Method-Override: GET` or `_method=GET`. Before routing that becomes the GET it
//! means.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use form_urlencoded::Serializer;
use http::{Method, Uri, header};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde_json::Value;

use crate::error::ApiError;
use crate::router::Api;

/// Turns a POST that means another method into that.
pub(crate) async fn layer(State(api): State<Api>, request: Request, next: Next) -> Response {
    match rewritten(request, api.config().request_bytes_max).await {
        Ok(request) => next.run(request).await,
        Err(error) => error.into_response(),
    }
}

async fn rewritten(request: Request, bytes_max: usize) -> Result<Request, ApiError> {
    if request.method() != Method::POST || is_upload(&request) {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let body = read_body(body, bytes_max).await?;
    let content_type = parts.headers.get(header::CONTENT_TYPE);
    let is_form = content_type
        .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let in_header = parts
        .headers
        .get("x-http-method-override")
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let wanted = in_header
        .or_else(|| pair(query.as_bytes(), "_method"))
        .or_else(|| if is_form { pair(&body, "_method") } else { json_method(&body) });
    let Some(wanted) = wanted else {
        return Ok(Request::from_parts(parts, Body::from(body)));
    };
    parts.method = match wanted.to_ascii_uppercase().as_str() {
        "GET" => Method::GET,
        "PUT" => Method::PUT,
        "PATCH" => Method::PATCH,
        "DELETE" => Method::DELETE,
        "POST" => Method::POST,
        other => {
            let problem = format!("is {other:?}; known are GET, PUT, PATCH, DELETE, POST");
            return Err(ApiError::field("_method", problem));
        }
    };
    if parts.method != Method::GET {
        return Ok(Request::from_parts(parts, Body::from(body)));
    }
    let sent =
        if is_form { String::from_utf8_lossy(&body).into_owned() } else { json_query(&body) };
    let query = [query, sent].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>();
    // A Uri is limited to 64 KiB, the parameters are not: they travel beside it.
    parts.extensions.insert(LongQuery(query.join("&")));
    parts.uri = Uri::try_from(parts.uri.path()).unwrap_or(parts.uri);
    parts.headers.remove(header::CONTENT_TYPE);
    parts.headers.remove(header::CONTENT_LENGTH);
    Ok(Request::from_parts(parts, Body::empty()))
}

/// The query string of a read that came as a body.
#[derive(Debug, Clone)]
pub(crate) struct LongQuery(pub(crate) String);

/// Image archives are streams: never read here.
fn is_upload(request: &Request) -> bool {
    request.uri().path() == crate::router::IMAGES
}

/// The whole body, within the limit.
///
/// # Errors
/// 413 naming the limit; 422 where the client stopped in the middle.
pub(crate) async fn read_body(body: Body, bytes_max: usize) -> Result<Bytes, ApiError> {
    match Limited::new(body, bytes_max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ApiError::TooLarge(format!(
            "the body is larger than request_bytes_max ({bytes_max} bytes)"
        ))),
        Err(_) => Err(ApiError::field("body", "ended before it was complete")),
    }
}

fn pair(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

fn json_method(body: &[u8]) -> Option<String> {
    // Cheap to rule out: most bodies do not have the word.
    if !body.windows(9).any(|window| window == b"\"_method\"") {
        return None;
    }
    let value: Value = serde_json::from_slice(body).ok()?;
    value.get("_method")?.as_str().map(str::to_owned)
}

fn json_query(body: &[u8]) -> String {
    let Ok(Value::Object(map)) = serde_json::from_slice(body) else { return String::new() };
    let mut query = Serializer::new(String::new());
    for (name, value) in map {
        match value {
            Value::String(text) => query.append_pair(&name, &text),
            other => query.append_pair(&name, &other.to_string()),
        };
    }
    query.finish()
}
