//! `LOCK` and `UNLOCK`, and whether a change may be made.

use std::time::Instant;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

use super::conditions::{self, List, State};
use super::locks::{Lock, LockFault, timeout_of};
use super::{Place, Refusal, asked, body_text, read, write, xml};
use crate::caller::Caller;
use crate::router::Api;

/// Takes a lock, or with a token in `If` gives one more time.
pub(super) async fn lock(
    api: &Api,
    caller: &Caller,
    place: &Place,
    parts: &Parts,
    body: Body,
) -> Result<Response, Refusal> {
    let collection = write::of_place(api, caller, place).await?;
    let text = |name: &'static str| parts.headers.get(name).and_then(|value| value.to_str().ok());
    let timeout = timeout_of(text("timeout"));
    let body = body_text(body).await?;
    let (collection, user) = (collection.uuid.to_string(), caller.user.uuid);
    if body.trim().is_empty() {
        let lists = lists(&parts.headers)?;
        let at = (collection.as_str(), place.path.as_str());
        let refreshed = conditions::tokens(&lists)
            .iter()
            .find_map(|token| api.locks().refresh(token, user, at, timeout));
        let words = "there is no lock of yours with this token here";
        let lock = refreshed
            .ok_or_else(|| Refusal::State(StatusCode::PRECONDITION_FAILED, words.to_owned()))?;
        return Ok(answer(place, &lock, StatusCode::OK));
    }
    let wanted = asked::lock(&body)
        .ok_or_else(|| Refusal::Bad("the body is no request for a write lock".to_owned()))?;
    let is_deep = match text("depth") {
        Some("0") => false,
        None | Some("infinity") => true,
        Some(_) => return Err(Refusal::Bad("Depth must be 0 or infinity".to_owned())),
    };
    let lock = Lock {
        token: String::new(),
        collection,
        path: place.path.clone(),
        is_deep,
        is_shared: wanted.is_shared,
        user,
        owner: wanted.owner,
        expires: Instant::now() + timeout,
    };
    let lock = api.locks().take(lock).map_err(|fault| match fault {
        LockFault::Locked => locked(&place.path),
        LockFault::TooMany => Refusal::State(
            StatusCode::INSUFFICIENT_STORAGE,
            "there are too many locks: release some, or wait until they expire".to_owned(),
        ),
        LockFault::NoRandom => Refusal::State(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the system gives no random bytes".to_owned(),
        ),
    })?;
    // What is not there yet is made, empty, so that nobody else makes it (RFC 4918 section 7.3).
    match write::make_empty(api, caller, place).await {
        Ok(is_new) => {
            let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
            Ok(answer(place, &lock, status))
        }
        Err(refusal) => {
            api.locks().release(&lock.token, user, &lock.collection, &lock.path);
            Err(refusal)
        }
    }
}

/// Releases the lock that is named.
pub(super) async fn unlock(
    api: &Api,
    caller: &Caller,
    place: &Place,
    headers: &HeaderMap,
) -> Result<Response, Refusal> {
    let collection = write::of_place(api, caller, place).await?;
    let token = headers.get("lock-token").and_then(|value| value.to_str().ok());
    let token = token.and_then(|text| text.trim().strip_prefix('<')?.strip_suffix('>'));
    let token = token.ok_or_else(|| Refusal::Bad("Lock-Token must be <a token>".to_owned()))?;
    let collection = collection.uuid.to_string();
    if api.locks().release(token, caller.user.uuid, &collection, &place.path) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let words = "there is no lock of yours with this token here";
    Err(Refusal::State(StatusCode::CONFLICT, words.to_owned()))
}

/// Something that a call would change.
pub(super) struct Change<'c> {
    pub(super) path: &'c str,
    /// Whether all below it changes too.
    pub(super) is_deep: bool,
}

/// Whether the caller may change these paths: the `If` header is true, and no lock is in the way whose token
/// is not shown.
pub(super) async fn check(
    api: &Api,
    caller: &Caller,
    place: &Place,
    headers: &HeaderMap,
    changes: &[Change<'_>],
) -> Result<(), Refusal> {
    // Locks are on what has a uuid; anything else is refused by the change itself.
    if place.is_content() {
        return Ok(());
    }
    let lists = lists(headers)?;
    if !lists.is_empty() && !is_one_true(api, caller, place, &lists).await? {
        let words = "no list of the If header is true".to_owned();
        return Err(Refusal::State(StatusCode::PRECONDITION_FAILED, words));
    }
    let tokens = conditions::tokens(&lists);
    let collection = place.collection.as_str();
    for Change { path, is_deep } in changes {
        let may = api.locks().permit(caller.user.uuid, &tokens, (collection, path), *is_deep);
        // To make or delete a name is to change the directory that it is in.
        if !may {
            return Err(locked(path));
        }
    }
    Ok(())
}

fn lists(headers: &HeaderMap) -> Result<Vec<List>, Refusal> {
    let Some(value) = headers.get("if") else { return Ok(Vec::new()) };
    let lists = value.to_str().ok().and_then(conditions::parse);
    lists.ok_or_else(|| Refusal::Bad("the If header is not understood".to_owned()))
}

async fn is_one_true(
    api: &Api,
    caller: &Caller,
    place: &Place,
    lists: &[List],
) -> Result<bool, Refusal> {
    for list in lists {
        let at = match &list.tag {
            None => Some(place.clone()),
            Some(tag) => tag.parse::<Uri>().ok().and_then(|uri| Place::of(uri.path())),
        };
        let Some(at) = at.filter(|at| at.collection == place.collection) else { continue };
        let mut is_true = true;
        for condition in &list.conditions {
            let holds = match &condition.state {
                State::Token(token) => {
                    let locks = api.locks().on(&at.collection, &at.path);
                    locks.iter().any(|lock| lock.token == *token)
                }
                State::ETag(etag) => {
                    read::etag_at(api, caller, &at).await?.is_some_and(|own| own == *etag)
                }
            };
            is_true &= holds != condition.is_negated;
        }
        if is_true {
            return Ok(true);
        }
    }
    Ok(false)
}

fn locked(path: &str) -> Refusal {
    Refusal::State(StatusCode::LOCKED, format!("{path:?} is locked: wait until it is released"))
}

fn answer(place: &Place, lock: &Lock, status: StatusCode) -> Response {
    let body = xml::lock_answer(&place.root, lock);
    let mut response =
        (status, [(header::CONTENT_TYPE, "text/xml; charset=utf-8")], body).into_response();
    if let Ok(token) = HeaderValue::try_from(format!("<{}>", lock.token)) {
        response.headers_mut().insert("lock-token", token);
    }
    response
}
