//! Who calls: the token in the `Authorization` header, and what its scopes allow.

use http::{HeaderMap, Method, header};
use model::{ApiToken, TokenRecord, User};
use store::{Identity, Reader, Store};

use crate::error::ApiError;

/// Longest `Authorization` value looked at.
const AUTHORIZATION_BYTES_MAX: usize = 1024;
/// The one path every token may read: its own record.
const OWN_TOKEN: &str = "/arvados/v1/api_client_authorizations/current";

/// A caller with a token that holds, for a call its scopes allow.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) user: User,
    pub(crate) token: TokenRecord,
    /// As presented, to be shown again to the one who has it.
    pub(crate) presented: ApiToken,
}

impl Caller {
    /// Whom lists and reads are for.
    pub(crate) fn reader(&self) -> Reader {
        Reader::new(self.user.uuid, self.user.is_admin)
    }

    /// # Errors
    /// 403 for everybody but administrators.
    pub(crate) fn require_admin(&self, to: &str) -> Result<(), ApiError> {
        if self.user.is_admin {
            Ok(())
        } else {
            Err(ApiError::Forbidden(format!("only an administrator may {to}")))
        }
    }

    /// # Errors
    /// 403 for a token that may not do everything its user may.
    pub(crate) fn require_unscoped(&self, to: &str) -> Result<(), ApiError> {
        if self.token.is_unscoped() {
            Ok(())
        } else {
            Err(ApiError::Forbidden(format!("a token with scopes cannot be used to {to}")))
        }
    }
}

/// The caller of a request.
///
/// # Errors
/// 401 without a token that holds; 403 where its scopes do not cover method and path.
pub(crate) async fn authenticate(
    store: &Store,
    headers: &HeaderMap,
    method: &Method,
    path: &str,
) -> Result<Caller, ApiError> {
    let presented = presented(headers)
        .ok_or(ApiError::Unauthorized("not logged in: send Authorization: Bearer <token>"))?;
    authenticate_token(store, presented, method, path).await
}

/// The same, for a token that came on another way.
///
/// # Errors
/// As [`authenticate`].
pub(crate) async fn authenticate_token(
    store: &Store,
    presented: &str,
    method: &Method,
    path: &str,
) -> Result<Caller, ApiError> {
    let found = match ApiToken::parse(presented) {
        Ok(token) => store.authenticate(&token).await?.map(|found| (found, token)),
        // Arvados's v1 form: the secret alone.
        Err(_) if presented.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            let found = store.authenticate_secret(presented).await?;
            found.map(|found| {
                let token = ApiToken::new(found.token.uuid, presented.to_owned());
                (found, token)
            })
        }
        Err(_) => None,
    };
    let Some((Identity { user, token }, presented)) = found else {
        return Err(ApiError::Unauthorized("the token is unknown, revoked or expired"));
    };
    // One that names a container holds in that container alone, while it runs.
    if let Some(container) = presented.container()
        && store.container(container).await?.is_some()
        && store.container_of_token(&presented).await?.is_none_or(|it| it.uuid != container)
    {
        return Err(ApiError::Unauthorized("the token's container does not run any more"));
    }
    if !is_in_scope(&token.scopes, method, path) {
        return Err(ApiError::Forbidden(format!(
            "the token's scopes do not allow {method} {path}"
        )));
    }
    Ok(Caller { user, token, presented })
}

/// The credential of `Bearer` or `OAuth2`, the two schemes Arvados clients use.
fn presented(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?;
    if value.len() > AUTHORIZATION_BYTES_MAX {
        return None;
    }
    let (scheme, credential) = value.to_str().ok()?.trim().split_once(' ')?;
    let known = scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth2");
    Some(credential.trim()).filter(|credential| known && !credential.is_empty())
}

/// Whether scopes allow a call: `all`, or `METHOD /path` exactly, or a prefix that ends in `/`.
/// What allows GET allows HEAD.
pub(crate) fn is_in_scope(scopes: &[String], method: &Method, path: &str) -> bool {
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    if method == "GET" && path == OWN_TOKEN {
        return true;
    }
    scopes.iter().any(|scope| {
        if scope == "all" {
            return true;
        }
        let Some((allowed_method, allowed_path)) = scope.split_once(' ') else { return false };
        allowed_method == method
            && (allowed_path == path
                || (allowed_path.ends_with('/') && path.starts_with(allowed_path)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scope: &str, method: &Method, path: &str, expected: bool) {
        assert_eq!(is_in_scope(&[scope.to_owned()], method, path), expected, "{scope} {path}");
    }

    #[test]
    fn a_scope_covers_its_path_and_nothing_else() {
        check("all", &Method::DELETE, "/x", true);
        check("GET /a/b", &Method::GET, "/a/b", true);
        check("GET /a/b", &Method::HEAD, "/a/b", true);
        check("GET /a/b", &Method::POST, "/a/b", false);
        check("GET /a/b", &Method::GET, "/a/b/c", false);
        check("GET /a/b/", &Method::GET, "/a/b/c", true);
        check("GET /a/b/", &Method::GET, "/a/b", false);
        check("GET", &Method::GET, "/a", false);
        check("POST /x", &Method::GET, OWN_TOKEN, true);
        check("ALL", &Method::GET, "/a", false);
    }
}
