//! A container's logs as files, over WebDAV: listed with PROPFIND, read with GET and ranges, also while they grow.
//!
//! `container_requests/{uuid}/log/{container}/…` is where Arvados's clients look, `containers/{uuid}/log/…` the same
//! without the request.

use std::ops::Range;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::any;
use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use model::{ContainerUuid, RequestUuid};
use store::Resource;

use crate::caller::{Caller, authenticate};
use crate::error::ApiError;
use crate::extract::Path;
use crate::logs::LogFile;
use crate::router::Api;
use crate::webdav::range::{Part, part_of};
use crate::webdav::xml::{self, Entry, Multistatus};

pub(super) fn routes() -> Router<Api> {
    let by_request = "/arvados/v1/container_requests/{uuid}/log";
    let by_container = "/arvados/v1/containers/{uuid}/log";
    Router::new()
        .route(&format!("{by_request}/{{container}}"), any(of_request))
        .route(&format!("{by_request}/{{container}}/"), any(of_request))
        .route(&format!("{by_request}/{{container}}/{{*name}}"), any(of_request))
        .route(by_container, any(of_container))
        .route(&format!("{by_container}/"), any(of_container))
        .route(&format!("{by_container}/{{*name}}"), any(of_container))
}

/// What the path names; `container` and `name` may be missing.
#[derive(Debug, serde::Deserialize)]
struct Named {
    uuid: String,
    #[serde(default)]
    container: Option<String>,
    #[serde(default)]
    name: String,
}

async fn of_request(
    State(api): State<Api>,
    Path(named): Path<Named>,
    request: Request,
) -> Result<Response, ApiError> {
    // What a client sends with a PROPFIND says which facts it wants; it gets all that there are.
    let (asked_by, _body) = request.into_parts();
    let caller = caller(&api, &asked_by).await?;
    let uuid = &named.uuid;
    let no_such = || ApiError::no_such("container request", uuid);
    let _parsed = RequestUuid::parse(uuid).map_err(|_not_one| no_such())?;
    let found = api.store().get(Resource::ContainerRequests, uuid, &caller.reader()).await?;
    let record = found.ok_or_else(no_such)?;
    let own = record.get("container_uuid").and_then(|value| value.as_str()).unwrap_or_default();
    let asked = named.container.as_deref().unwrap_or_default();
    // A client asks for the container `null` where there is none yet.
    let container = ContainerUuid::parse(asked).ok().filter(|it| it.as_str() == own);
    let container = container.ok_or_else(|| {
        ApiError::NotFound(format!("the request {uuid} has no logs of a container {asked:?}"))
    })?;
    answer(&api, &asked_by, container, &named.name).await
}

async fn of_container(
    State(api): State<Api>,
    Path(named): Path<Named>,
    request: Request,
) -> Result<Response, ApiError> {
    // What a client sends with a PROPFIND says which facts it wants; it gets all that there are.
    let (asked_by, _body) = request.into_parts();
    let caller = caller(&api, &asked_by).await?;
    let no_such = || ApiError::no_such("container", &named.uuid);
    let container = ContainerUuid::parse(&named.uuid).map_err(|_not_one| no_such())?;
    let found = api.store().get(Resource::Containers, &named.uuid, &caller.reader()).await?;
    found.ok_or_else(no_such)?;
    answer(&api, &asked_by, container, &named.name).await
}

/// A listing is read as a GET is: what a token's scopes allow is said in terms of that.
async fn caller(api: &Api, request: &Parts) -> Result<Caller, ApiError> {
    authenticate(api.store(), &request.headers, &Method::GET, request.uri.path()).await
}

async fn answer(
    api: &Api,
    request: &Parts,
    container: ContainerUuid,
    name: &str,
) -> Result<Response, ApiError> {
    let failed = |words: String| ApiError::Failed(format!("cannot read the logs: {words}"));
    let mut files = api.logs().files(&container).await.map_err(failed)?;
    let path = request.uri.path();
    if name.is_empty() && request.method.as_str() == "PROPFIND" {
        let depth = request.headers.get("depth").is_none_or(|depth| depth != "0");
        let shown = if depth { files.as_slice() } else { &[] };
        return Ok(listing(path, Some(container.as_str()), shown));
    }
    let at = files.iter().position(|file| file.name == name);
    let Some(at) = at else {
        return Err(ApiError::NotFound(format!("the container has no log {name:?}")));
    };
    let file = files.swap_remove(at);
    match &request.method {
        &Method::GET | &Method::HEAD => {
            let asked = request.headers.get(header::RANGE).and_then(|value| value.to_str().ok());
            let range = match part_of(asked, file.n_bytes) {
                Part::Whole => None,
                Part::Bytes(range) => Some(range),
                Part::Unsatisfiable => return Ok(not_satisfiable(file.n_bytes)),
            };
            let bytes = range.clone().unwrap_or(0..file.n_bytes);
            let body = api.logs().read(&container, &file.name, bytes).await.map_err(failed)?;
            Ok(content(&file, range, Body::from_stream(body)))
        }
        method if method.as_str() == "PROPFIND" => {
            Ok(listing(path, None, std::slice::from_ref(&file)))
        }
        method => Err(ApiError::MethodNotAllowed(format!("{method} is no method of a log"))),
    }
}

fn content(file: &LogFile, range: Option<Range<u64>>, body: Body) -> Response {
    let n_bytes = range.as_ref().map_or(file.n_bytes, |range| range.end - range.start);
    let mut response = body.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(file)));
    // An app writes what it likes: no browser shall guess a page in it.
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(n_bytes));
    if let Some(range) = range {
        let text =
            format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), file.n_bytes);
        headers.extend(HeaderValue::try_from(text).ok().map(|it| (header::CONTENT_RANGE, it)));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn not_satisfiable(n_bytes: u64) -> Response {
    let headers = [(header::CONTENT_RANGE, format!("bytes */{n_bytes}"))];
    (StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response()
}

/// What is there. Clients look for the folder first.
fn listing(path: &str, folder: Option<&str>, files: &[LogFile]) -> Response {
    let mut multistatus = Multistatus::new();
    let directory = format!("{}/", path.trim_end_matches('/'));
    if let Some(name) = folder {
        multistatus.add(&Entry {
            href: directory.clone(),
            name,
            size: None,
            modified: None,
            etag: None,
            content_type: "",
        });
    }
    for file in files {
        let in_folder = || format!("{directory}{}", xml::encoded(&file.name));
        multistatus.add(&Entry {
            href: if folder.is_some() { in_folder() } else { path.to_owned() },
            name: &file.name,
            size: Some(file.n_bytes),
            modified: Some(file.modified_at),
            etag: None,
            content_type: content_type(file),
        });
    }
    xml::answer(multistatus.finish())
}

fn content_type(file: &LogFile) -> &'static str {
    if file.name.ends_with(".json") { "application/json" } else { "text/plain; charset=utf-8" }
}
