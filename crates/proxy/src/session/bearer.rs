//! `Authorization: Bearer|OAuth2 <token>` where the token is one of ours. Any other is the app's own. Pure.
//!
//! In two steps, because reading a token whole costs more than finding the grant that was made of it: what has the
//! form of one is taken out first ([`take_candidate`]), and given back if it turns out to be none ([`settle`]).

use http::HeaderMap;
use http::header::{AUTHORIZATION, Entry, HeaderValue};
use model::{ApiToken, ClusterId};

/// Takes out what looks like a token of ours.
pub(crate) fn take_candidate(headers: &mut HeaderMap, cluster: &ClusterId) -> Option<HeaderValue> {
    let Entry::Occupied(entry) = headers.entry(AUTHORIZATION) else { return None };
    let mut candidate = if entry.iter().nth(1).is_some() {
        take_among_several(headers, cluster)?
    } else if looks_like_ours(entry.get(), cluster) {
        entry.remove()
    } else {
        return None;
    };
    // Shown by nobody's `Debug`.
    candidate.set_sensitive(true);
    Some(candidate)
}

/// The token; one that is none goes back to where it was taken from.
///
/// A token is ours by its form and cluster, valid or not: a revoked one is no business of an app either.
pub(crate) fn settle(
    headers: &mut HeaderMap,
    candidate: HeaderValue,
    cluster: &ClusterId,
) -> Option<ApiToken> {
    let token = token_in(&candidate, cluster);
    if token.is_none() {
        headers.append(AUTHORIZATION, candidate);
    }
    token
}

/// Nobody honest sends several: whatever is ours among them goes, the first counts, others stay as they are.
fn take_among_several(headers: &mut HeaderMap, cluster: &ClusterId) -> Option<HeaderValue> {
    let is_ours = |value: &HeaderValue| token_in(value, cluster).is_some();
    let first = headers.get_all(AUTHORIZATION).iter().find(|value| is_ours(value))?.clone();
    let Entry::Occupied(entry) = headers.entry(AUTHORIZATION) else { return None };
    let (_name, values) = entry.remove_entry_mult();
    let theirs: Vec<HeaderValue> = values.filter(|value| !is_ours(value)).collect();
    for value in theirs {
        headers.append(AUTHORIZATION, value);
    }
    Some(first)
}

/// The scheme, and what stands before the secret of every token of this cluster.
fn looks_like_ours(value: &HeaderValue, cluster: &ClusterId) -> bool {
    let value = value.as_bytes().trim_ascii();
    let Some(space) = value.iter().position(|byte| *byte == b' ') else { return false };
    let (scheme, token) = value.split_at(space);
    let is_scheme =
        scheme.eq_ignore_ascii_case(b"bearer") || scheme.eq_ignore_ascii_case(b"oauth2");
    let uuid = token.trim_ascii_start().strip_prefix(b"v2/");
    is_scheme && uuid.is_some_and(|uuid| uuid.starts_with(cluster.as_str().as_bytes()))
}

fn token_in(value: &HeaderValue, cluster: &ClusterId) -> Option<ApiToken> {
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") && !scheme.eq_ignore_ascii_case("oauth2") {
        return None;
    }
    let token = ApiToken::parse(token.trim()).ok()?;
    (token.uuid().cluster() == cluster.as_str()).then_some(token)
}
