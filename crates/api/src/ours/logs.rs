//! `GET logs/{uuid}`: a container's logs as text lines, to the end or as they come.

mod followed;

use std::io;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::{Uri, header};
use model::{ContainerUuid, RequestUuid};
use store::Resource;

use crate::call::Call;
use crate::caller_watch::CallerWatch;
use crate::error::ApiError;
use crate::extract::Path;
use crate::images::ByteStream;
use crate::logs::{LogQuery, LogStream, Merged};
use crate::resources::ByUuid;
use crate::router::Api;

use followed::followed;

/// Most lines of a tail.
const TAIL_LINES_MAX: u32 = 100_000;

pub(crate) async fn logs(
    State(api): State<Api>,
    Path(path): Path<ByUuid>,
    uri: Uri,
    call: Call,
) -> Result<Response, ApiError> {
    // Watched from before the answer on: nothing between is missed.
    let watch = CallerWatch::new(api.clone(), call.caller.clone(), uri.path());
    let container = find(&api, &call, &path.uuid).await?;
    let follow = call.parameters.flag("follow")?;
    let tail = call.parameters.number("tail")?;
    if tail.is_some_and(|lines| lines > TAIL_LINES_MAX) {
        return Err(ApiError::field("tail", format!("is more than {TAIL_LINES_MAX} lines")));
    }
    let tail_lines = tail.map(u64::from);
    let text = call.parameters.text("stream").unwrap_or("all");
    let body = match stream_named(text) {
        _ if text == "all" => {
            let mut sources = Vec::new();
            for stream in LogStream::ALL {
                let query = LogQuery { stream, follow, tail_lines };
                if let Some(bytes) = open(&api, &container, query).await? {
                    sources.push((stream, bytes));
                }
            }
            let merged = Merged::new(sources, follow);
            match tail {
                Some(lines) if !follow => last(merged, lines).await?,
                _ if follow => Body::from_stream(followed(merged, api, watch, container)),
                _ => Body::from_stream(merged),
            }
        }
        Some(stream) => {
            match open(&api, &container, LogQuery { stream, follow, tail_lines }).await? {
                Some(bytes) if follow => Body::from_stream(followed(bytes, api, watch, container)),
                Some(bytes) => Body::from_stream(bytes),
                None => Body::empty(),
            }
        }
        None => {
            return Err(ApiError::field("stream", "must be stdout, stderr, crunch-run or all"));
        }
    };
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        // An app writes what it likes: no browser shall guess a page in it.
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, body).into_response())
}

fn stream_named(name: &str) -> Option<LogStream> {
    LogStream::ALL.into_iter().find(|stream| stream.as_str() == name)
}

async fn open(
    api: &Api,
    container: &ContainerUuid,
    query: LogQuery,
) -> Result<Option<ByteStream>, ApiError> {
    let opened = api.logs().open(container, query).await;
    opened.map_err(|words| ApiError::Failed(format!("cannot read the log: {words}")))
}

/// The container: named itself, or by a request, where the caller may see it.
pub(super) async fn find(api: &Api, call: &Call, uuid: &str) -> Result<ContainerUuid, ApiError> {
    let reader = call.caller.reader();
    if RequestUuid::parse(uuid).is_ok() {
        let found = api.store().get(Resource::ContainerRequests, uuid, &reader).await?;
        let request = found.ok_or_else(|| ApiError::no_such("container request", uuid))?;
        let container = request.get("container_uuid").and_then(|value| value.as_str());
        return container.and_then(|uuid| ContainerUuid::parse(uuid).ok()).ok_or_else(|| {
            ApiError::NotFound(format!("the request {uuid} is not committed: it has no logs"))
        });
    }
    let no_such = || ApiError::no_such("container or container request", uuid);
    let container = ContainerUuid::parse(uuid).map_err(|_not_one| no_such())?;
    let found = api.store().get(Resource::Containers, uuid, &reader).await?;
    found.map(|_| container).ok_or_else(no_such)
}

/// The last lines of all logs together. Each log gave at most that many.
async fn last(
    merged: impl Stream<Item = io::Result<Bytes>> + Unpin,
    lines: u32,
) -> Result<Body, ApiError> {
    let lines_max = usize::try_from(lines).unwrap_or(usize::MAX);
    let kept = merged
        .try_fold(std::collections::VecDeque::new(), |mut kept, line| async move {
            kept.push_back(line);
            if kept.len() > lines_max {
                kept.pop_front();
            }
            Ok(kept)
        })
        .await
        .map_err(|error| ApiError::Failed(format!("cannot read the log: {error}")))?;
    Ok(Body::from_stream(stream::iter(kept).map(Ok::<_, io::Error>)))
}
