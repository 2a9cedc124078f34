//! What of a request is ours: the query token, the session cookie, our bearer. All of it is taken *out* of the
//! request before anything else happens, so that no later step can pass it on.
//!
//! Three sources, in the order in which they count: [`query`], [`cookie`], [`bearer`]. [`seal`] makes and opens
//! what the cookie holds, [`browser`] ties a code of the query to the browser that it was made for.

pub(crate) mod bearer;
pub(crate) mod browser;
pub(crate) mod cookie;
pub(crate) mod query;
pub(crate) mod seal;

use std::borrow::Cow;
use std::fmt;

use http::header::COOKIE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use model::{ApiToken, ClusterId};

use crate::headers::Seen;
use cookie::{CookieNames, OurCookies};

/// What single-use codes start with.
const CODE_PREFIX: &str = "wc1_";
/// A code is its prefix and 43 characters; longer texts are none.
pub(crate) const CODE_BYTES_MAX: usize = 64;

/// Everything of ours that a request carried.
#[derive(Debug, Default)]
pub(crate) struct Credentials {
    /// From `?api_token=`; `Some` also when it is no token at all.
    pub(crate) query: Option<QueryCredential>,
    /// From our cookies.
    pub(crate) cookies: OurCookies,
    /// From `Authorization`: what looks like a token of ours, as sent.
    pub(crate) bearer: Option<HeaderValue>,
    /// The same, read.
    pub(crate) token: Option<ApiToken>,
}

/// What `?api_token=` held.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum QueryCredential {
    /// A v2 token.
    Token(ApiToken),
    /// A single-use code.
    Code(String),
    /// Something else.
    Nonsense,
}

impl QueryCredential {
    fn read(value: &str) -> Self {
        if value.starts_with(CODE_PREFIX) && value.len() <= CODE_BYTES_MAX {
            return Self::Code(value.to_owned());
        }
        ApiToken::parse(value).map_or(Self::Nonsense, Self::Token)
    }
}

impl fmt::Debug for QueryCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token(_) => "Token(…)",
            Self::Code(_) => "Code(…)",
            Self::Nonsense => "Nonsense",
        })
    }
}

impl Credentials {
    /// Takes all of ours out of a request's head; what stays is the app's.
    pub(crate) fn take_from(
        parts: &mut Parts,
        cluster: &ClusterId,
        names: &CookieNames,
        seen: Seen,
    ) -> Self {
        let path_and_query = parts.uri.path_and_query().map_or("/", |text| text.as_str());
        let query = query::split_token(path_and_query).map(|found| {
            let read = QueryCredential::read(&found.token);
            parts.uri = with_path(&parts.uri, &found.rest);
            read
        });
        let joins_crumbs = parts.version == http::Version::HTTP_2;
        Self {
            query,
            cookies: if seen.may_have(&COOKIE) {
                cookie::take_ours(&mut parts.headers, names, joins_crumbs)
            } else {
                OurCookies::default()
            },
            bearer: bearer::take_candidate(&mut parts.headers, cluster),
            token: None,
        }
    }

    /// Reads the bearer; what is no token of ours goes back to the app's headers.
    pub(crate) fn settle(&mut self, headers: &mut HeaderMap, cluster: &ClusterId) {
        if let Some(candidate) = self.bearer.take() {
            self.token = bearer::settle(headers, candidate, cluster);
        }
    }
}

/// The same address with another path and query. The text was part of a valid address, so it is one.
fn with_path(uri: &http::Uri, path_and_query: &str) -> http::Uri {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = path_and_query.parse().ok();
    http::Uri::from_parts(parts).unwrap_or_else(|_impossible| uri.clone())
}

/// `%41` and `+` undone, as forms are written; bytes that are no UTF-8 are replaced.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains(['%', '+']) {
        return Cow::Borrowed(text);
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_encoding::percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests;
