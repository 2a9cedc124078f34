//! `Authorization: Bearer|OAuth2 <token>` where the token is one of ours. Any other is the app's own. Pure.

use http::HeaderMap;
use http::header::{AUTHORIZATION, Entry, HeaderValue};
use model::{ApiToken, ClusterId};

/// Takes our token out of the `Authorization` headers; others stay as they are.
///
/// A token is ours by its form and cluster, valid or not: a revoked one is no business of an app either.
pub(crate) fn take_ours(headers: &mut HeaderMap, cluster: &ClusterId) -> Option<ApiToken> {
    let ours = headers.get_all(AUTHORIZATION).iter().find_map(|value| token_in(value, cluster))?;
    let Entry::Occupied(entry) = headers.entry(AUTHORIZATION) else { return None };
    let (_name, values) = entry.remove_entry_mult();
    let theirs: Vec<HeaderValue> =
        values.filter(|value| token_in(value, cluster).is_none()).collect();
    for value in theirs {
        headers.append(AUTHORIZATION, value);
    }
    Some(ours)
}

fn token_in(value: &HeaderValue, cluster: &ClusterId) -> Option<ApiToken> {
    let (scheme, token) = value.to_str().ok()?.trim().split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") && !scheme.eq_ignore_ascii_case("oauth2") {
        return None;
    }
    let token = ApiToken::parse(token.trim()).ok()?;
    (token.uuid().cluster() == cluster.as_str()).then_some(token)
}
