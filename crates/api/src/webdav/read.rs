//! Reading: files with ranges, and lists of directories.

use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use keep::KeepError;
use keep::tree::read_range;
use manifest::{BlockHasher, Node, Segment, Tree};
use model::Collection;

use super::asked::{self, Wanted};
use super::body_text;
use super::locks::Lock;
use super::range::{Part, part_of};
use super::xml::{self, Entry, Multistatus, encoded};
use super::{Place, Refusal, collection};
use crate::call::Parameters;
use crate::caller::Caller;
use crate::heavy::heavy;
use crate::resources::collections::tree_of;
use crate::router::Api;

/// Most entries of one list; whoever wants more asks directory by directory.
const ENTRIES_MAX: usize = 100_000;

pub(super) async fn get(
    api: &Api,
    caller: &Caller,
    place: &Place,
    parts: &Parts,
) -> Result<Response, Refusal> {
    let collection = collection(api, caller, place).await?;
    let tree = tree_of(&collection).await?;
    let node = tree.get(&place.path).ok_or_else(|| no_such(place))?;
    match node {
        Node::File(segments) => file(api, place, &collection, segments, parts).await,
        Node::Directory(_) => Ok(names(node).into_response()),
    }
}

/// The names in a directory, one on a line.
fn names(directory: &Node) -> String {
    let line = |(name, node): (&str, &Node)| {
        let end = if node.is_directory() { "/\n" } else { "\n" };
        format!("{name}{end}")
    };
    directory.entries().map(line).collect()
}

async fn file(
    api: &Api,
    place: &Place,
    collection: &Collection,
    segments: &[Segment],
    parts: &Parts,
) -> Result<Response, Refusal> {
    let size = segments.iter().map(|segment| segment.len).sum();
    let etag = etag(segments);
    let mut headers = headers_of(place, collection, &etag, parts)?;
    let sent = &parts.headers;
    let text = |name| sent.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let matches =
        |list: &str| list.split(',').any(|one| matches!(one.trim(), "*") || one.trim() == etag);
    if text(header::IF_NONE_MATCH).is_some_and(matches) {
        return Ok((StatusCode::NOT_MODIFIED, headers, Body::empty()).into_response());
    }
    // Of another version no part is of use.
    let is_same = text(header::IF_RANGE).is_none_or(|known| known == etag);
    let range = text(header::RANGE).filter(|_| is_same);
    let (status, range) = match part_of(range, size) {
        Part::Whole => (StatusCode::OK, 0..size),
        Part::Bytes(range) => (StatusCode::PARTIAL_CONTENT, range),
        Part::Unsatisfiable => {
            let none = HeaderValue::try_from(format!("bytes */{size}"));
            headers.insert(header::CONTENT_RANGE, none.map_err(|_never| no_such(place))?);
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers, Body::empty()).into_response());
        }
    };
    if status == StatusCode::PARTIAL_CONTENT {
        let part = HeaderValue::try_from(format!("bytes {}-{}/{size}", range.start, range.end - 1));
        headers.insert(header::CONTENT_RANGE, part.map_err(|_never| no_such(place))?);
    }
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(range.end - range.start));
    if parts.method == Method::HEAD {
        return Ok((status, headers, Body::empty()).into_response());
    }
    let body = body(api, segments.to_vec(), range).await?;
    Ok((status, headers, body).into_response())
}

/// The first piece is read before anything is answered: what cannot be read is an error, and no answer
/// that breaks off.
async fn body(
    api: &Api,
    segments: Vec<Segment>,
    range: std::ops::Range<u64>,
) -> Result<Body, KeepError> {
    let mut pieces = Box::pin(read_range(api.blocks().keep.clone(), segments, range));
    let Some(first) = pieces.try_next().await? else { return Ok(Body::empty()) };
    let all = stream::iter([Ok(first)]).chain(pieces);
    Ok(Body::from_stream(all.map_err(std::io::Error::other)))
}

fn headers_of(
    place: &Place,
    collection: &Collection,
    etag: &str,
    parts: &Parts,
) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    let value = |text: &str| HeaderValue::try_from(text).map_err(|_never| no_such(place));
    headers.insert(header::ETAG, value(etag)?);
    let modified = httpdate::fmt_http_date(modified(collection));
    headers.insert(header::LAST_MODIFIED, value(&modified)?);
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type(&place.path)));
    let parameters = Parameters::parse(parts.uri.query().unwrap_or_default());
    if parameters.text("disposition") == Some("attachment") {
        headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    }
    Ok(headers)
}

pub(super) async fn propfind(
    api: &Api,
    caller: &Caller,
    place: &Place,
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let wanted = asked::properties(&body_text(body).await?);
    let wanted = wanted.ok_or_else(|| {
        Refusal::Bad("the body does not say which properties are wanted".to_owned())
    })?;
    let depth = match headers.get("depth").map(HeaderValue::as_bytes) {
        Some(b"0") => 0,
        Some(b"1") => 1,
        // RFC 4918 section 9.1: without a depth it is all of it.
        None | Some(b"infinity") => usize::MAX,
        Some(_) => return Err(Refusal::Bad("Depth must be 0, 1 or infinity".to_owned())),
    };
    let collection = collection(api, caller, place).await?;
    let tree = tree_of(&collection).await?;
    let (place, n_bytes, api) = (place.clone(), collection.manifest_text.len(), api.clone());
    let listed = heavy(n_bytes, move || {
        let locks_on = |path: &str| api.locks().on(collection.uuid.as_str(), path);
        list(&tree, &place, &collection, depth, &wanted, &locks_on)
    });
    Ok(xml::answer(listed.await??))
}

/// `PROPPATCH`: properties are what files are, and are not written down beside them.
pub(super) async fn refuse_changes(
    api: &Api,
    caller: &Caller,
    place: &Place,
    body: Body,
) -> Result<Response, Refusal> {
    let collection = collection(api, caller, place).await?;
    let node = tree_of(&collection).await?;
    let node = node.get(&place.path).ok_or_else(|| no_such(place))?;
    let names = asked::changes(&body_text(body).await?);
    let names = names.ok_or_else(|| {
        Refusal::Bad("the body does not say which properties to change".to_owned())
    })?;
    let entry = entry(place, &place.path, node, modified(&collection));
    Ok(xml::answer(xml::refusal_of_changes(&entry.href, &names)))
}

/// The tag of what is at a place, if it is a file.
pub(super) async fn etag_at(
    api: &Api,
    caller: &Caller,
    place: &Place,
) -> Result<Option<String>, Refusal> {
    let collection = collection(api, caller, place).await?;
    Ok(match tree_of(&collection).await?.get(&place.path) {
        Some(Node::File(segments)) => Some(etag(segments)),
        _ => None,
    })
}

fn list(
    tree: &Tree,
    place: &Place,
    collection: &Collection,
    depth: usize,
    wanted: &Wanted,
    locks_on: &dyn Fn(&str) -> Vec<Lock>,
) -> Result<String, Refusal> {
    let node = tree.get(&place.path).ok_or_else(|| no_such(place))?;
    let modified = modified(collection);
    let mut multistatus = Multistatus::new();
    let mut todo = vec![(place.path.clone(), node, 0)];
    let mut n_entries = 0;
    while let Some((path, node, level)) = todo.pop() {
        n_entries += 1;
        if n_entries > ENTRIES_MAX {
            let words = format!("there are more than {ENTRIES_MAX} entries: ask with Depth: 1");
            return Err(Refusal::State(StatusCode::FORBIDDEN, words));
        }
        let locks = locks_on(&path);
        multistatus.add_wanted(
            &entry(place, &path, node, modified),
            wanted,
            &place.root,
            Some(&locks),
        );
        if level < depth {
            let below: Vec<_> = node
                .entries()
                .map(|(name, node)| {
                    let path =
                        if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
                    (path, node, level + 1)
                })
                .collect();
            todo.extend(below.into_iter().rev());
        }
    }
    Ok(multistatus.finish())
}

fn entry<'p>(place: &Place, path: &'p str, node: &Node, modified: SystemTime) -> Entry<'p> {
    let mut href = place.root.clone();
    if !path.is_empty() {
        href.push('/');
        href.push_str(&encoded(path));
    }
    if node.is_directory() {
        href.push('/');
    }
    let (size, etag) = match node {
        Node::File(segments) => (Some(node.size()), Some(etag(segments))),
        Node::Directory(_) => (None, None),
    };
    let name = path.rsplit('/').next().unwrap_or_default();
    Entry { href, name, size, modified: Some(modified), etag, content_type: content_type(path) }
}

/// Follows from the bytes, as far as they are in the same blocks.
fn etag(segments: &[Segment]) -> String {
    let mut hasher = BlockHasher::new();
    for Segment { locator, offset, len } in segments {
        hasher.update(locator.hash().as_bytes());
        hasher.update(&offset.to_le_bytes());
        hasher.update(&len.to_le_bytes());
    }
    format!("\"{}\"", hasher.finish())
}

fn modified(collection: &Collection) -> SystemTime {
    let at = collection.modified_at.as_jiff();
    SystemTime::UNIX_EPOCH + Duration::try_from(at.as_duration()).unwrap_or_default()
}

fn no_such(place: &Place) -> Refusal {
    Refusal::NotFound(format!("there is nothing at {:?} in {}", place.path, place.collection))
}

/// By the end of the name: what people look at in a browser, else bytes.
fn content_type(path: &str) -> &'static str {
    let end = path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map(|(_, end)| end);
    match end.unwrap_or_default().to_ascii_lowercase().as_str() {
        "txt" | "log" | "cwl" | "yml" | "yaml" | "py" | "r" | "sh" | "md" | "fasta" | "fa" => {
            "text/plain; charset=utf-8"
        }
        "csv" => "text/csv; charset=utf-8",
        "tsv" => "text/tab-separated-values; charset=utf-8",
        "html" | "htm" => "text/html; charset=utf-8",
        "json" => "application/json",
        "xml" => "text/xml",
        "pdf" => "application/pdf",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "svg" => "image/svg+xml",
        "gz" => "application/gzip",
        "zip" => "application/zip",
        "tar" => "application/x-tar",
        _ => "application/octet-stream",
    }
}
