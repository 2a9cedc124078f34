//! Single-use codes: into a service, and into the dashboard. No token ever travels in a link.

use std::fmt;

use model::{ApiToken, ContainerPort, Timestamp, UserUuid};
use serde::Deserialize;
use serde_json::json;

use crate::call::{Client, not_understood};
use crate::error::ClientError;

#[derive(Deserialize)]
struct Url {
    url: String,
}

/// A link that signs in to the dashboard once.
#[derive(Clone, Deserialize)]
pub struct LoginLink {
    /// To be opened in a browser.
    pub url: String,
    /// When the link stops working unused.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

impl fmt::Debug for LoginLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginLink").field("expires_at", &self.expires_at).finish_non_exhaustive()
    }
}

/// What a sign-in code was good for.
#[derive(Clone, Debug)]
pub struct LoginSession {
    /// A new token, to be deleted at sign-out.
    pub token: ApiToken,
    /// When the session ends.
    pub expires_at: Option<Timestamp>,
    /// Who signed in.
    pub user_uuid: UserUuid,
}

#[derive(Deserialize)]
struct Redeemed {
    token: String,
    #[serde(default)]
    expires_at: Option<Timestamp>,
    user: RedeemedUser,
}

#[derive(Deserialize)]
struct RedeemedUser {
    uuid: UserUuid,
}

impl Client {
    /// The address of a service's port with a single-use code in it.
    ///
    /// `uuid` is a request's or a container's; `path` (with query and fragment) replaces the
    /// port's initial path. The code works once, for about a minute, on that host only.
    pub async fn handoff(
        &self,
        uuid: &str,
        port: Option<ContainerPort>,
        path: Option<&str>,
    ) -> Result<String, ClientError> {
        let mut body = json!({ "uuid": uuid });
        if let Some(port) = port {
            body["port"] = port.get().into();
        }
        if let Some(path) = path {
            body["path"] = path.into();
        }
        let Url { url } = self.post("/wharf/v1/handoff", &body).await?;
        Ok(url)
    }

    /// The address `path` (with query) on exactly this service host, with a single-use code in it.
    ///
    /// For a sign-in that comes back to the address a person opened. `browser` is what that host gave on the way: the
    /// code works in that browser alone.
    pub async fn handoff_to_host(
        &self,
        host: &str,
        path: &str,
        browser: &str,
    ) -> Result<String, ClientError> {
        let body = json!({ "host": host, "path": path, "browser": browser });
        let Url { url } = self.post("/wharf/v1/handoff", &body).await?;
        Ok(url)
    }

    /// A link that signs this token's user in to the dashboard, once.
    pub async fn login_link(&self) -> Result<LoginLink, ClientError> {
        self.post("/wharf/v1/login_links", &json!({})).await
    }

    /// Turns a code of such a link into a session; needs no token. A used code errs with 403.
    pub async fn redeem_login(&self, code: &str) -> Result<LoginSession, ClientError> {
        let path = "/wharf/v1/login_links/redeem";
        let answer: Redeemed = self.without_token().post(path, &json!({ "code": code })).await?;
        let token =
            ApiToken::parse(&answer.token).map_err(|source| not_understood(path, source))?;
        Ok(LoginSession { token, expires_at: answer.expires_at, user_uuid: answer.user.uuid })
    }
}
