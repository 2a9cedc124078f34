//! `?api_token=` and `?arvados_api_token=`: found, taken out, the rest kept byte for byte. Pure.

use super::decoded;

/// A query token and the address without it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QueryToken {
    /// The first token's value, decoded.
    pub(crate) token: String,
    /// Path and query without any token parameter; the other parameters in their order, byte for byte.
    pub(crate) rest: String,
}

/// Splits the token off a path and query; `None` when there is none.
pub(crate) fn split_token(path_and_query: &str) -> Option<QueryToken> {
    let (path, query) = path_and_query.split_once('?')?;
    let mut token = None;
    let mut rest = String::new();
    for parameter in query.split('&') {
        match token_value(parameter) {
            Some(value) => {
                token.get_or_insert(value);
            }
            None => {
                rest.push(if rest.is_empty() { '?' } else { '&' });
                rest.push_str(parameter);
            }
        }
    }
    let rest = format!("{path}{rest}");
    token.map(|value| QueryToken { token: decoded(value).into_owned(), rest })
}

/// The first value of a parameter, decoded.
pub(crate) fn value_of(query: &str, wanted: &str) -> Option<String> {
    query.split('&').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        (decoded(name) == wanted).then(|| decoded(value).into_owned())
    })
}

fn token_value(parameter: &str) -> Option<&str> {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    matches!(&*decoded(name), "api_token" | "arvados_api_token").then_some(value)
}
