//! Signing in with a provider: the steps that a page takes for a browser.

use std::fmt;

use model::{ApiToken, Timestamp, User};
use serde::Deserialize;
use serde_json::json;

use crate::call::{Client, not_understood};
use crate::error::ClientError;
use crate::handoff::LoginSession;

/// Which ways to sign in a site has, beside links and tokens.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SignInMethods {
    /// Whether anybody can sign in with a password.
    pub passwords: bool,
    /// What the provider is called that people sign in with; none where there is none.
    #[serde(default)]
    pub provider: Option<String>,
}

/// An attempt to sign in with the provider. All but the address is kept with the browser that began it.
#[derive(Clone, Deserialize)]
pub struct OpenIdAttempt {
    /// Where the browser is to be sent.
    pub url: String,
    /// What it must bring back.
    pub state: String,
    /// What the provider must say.
    pub nonce: String,
    /// Shows that the code is ours.
    pub verifier: String,
}

impl fmt::Debug for OpenIdAttempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenIdAttempt(…)")
    }
}

/// What a browser brought back, with what was kept of its attempt.
#[derive(Clone, Copy)]
pub struct OpenIdReturn<'r> {
    /// From the address.
    pub code: &'r str,
    /// From the address, where it was there.
    pub issuer: Option<&'r str>,
    /// Of the attempt.
    pub nonce: &'r str,
    /// Of the attempt.
    pub verifier: &'r str,
}

impl fmt::Debug for OpenIdReturn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenIdReturn(…)")
    }
}

/// What came of a sign-in.
#[derive(Clone, Debug)]
pub enum OpenIdOutcome {
    /// A session.
    SignedIn(LoginSession),
    /// There is an account, which may not act.
    Inactive(Box<User>),
    /// There is no account for this person.
    Unknown,
}

#[derive(Deserialize)]
struct Finished {
    admitted: String,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    user: Option<User>,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct SignOut {
    url: Option<String>,
}

const FINISH: &str = "/wharf/v1/openid/finish";

impl Client {
    /// Which ways to sign in there are; needs no token.
    pub async fn sign_in_methods(&self) -> Result<SignInMethods, ClientError> {
        self.without_token().get("/wharf/v1/sign_in_methods").await
    }

    /// Begins a sign-in with the provider; needs no token. A provider that does not answer: 503.
    pub async fn openid_start(&self) -> Result<OpenIdAttempt, ClientError> {
        self.without_token().post("/wharf/v1/openid/start", &json!({})).await
    }

    /// Changes the code that a browser brought back for a session; needs no token. What does not hold errs with 403.
    pub async fn openid_finish(
        &self,
        returned: OpenIdReturn<'_>,
    ) -> Result<OpenIdOutcome, ClientError> {
        let OpenIdReturn { code, issuer, nonce, verifier } = returned;
        let body = json!({ "code": code, "iss": issuer, "nonce": nonce, "verifier": verifier });
        let Finished { admitted, token, user, expires_at } =
            self.without_token().post(FINISH, &body).await?;
        match (admitted.as_str(), token, user) {
            ("signed_in", Some(token), Some(user)) => {
                let token =
                    ApiToken::parse(&token).map_err(|source| not_understood(FINISH, source))?;
                let session = LoginSession { token, expires_at, user_uuid: user.uuid };
                Ok(OpenIdOutcome::SignedIn(session))
            }
            ("inactive", _, Some(user)) => Ok(OpenIdOutcome::Inactive(Box::new(user))),
            ("unknown", ..) => Ok(OpenIdOutcome::Unknown),
            _ => Err(not_understood(FINISH, "no outcome in it")),
        }
    }

    /// Where a browser signs out of the provider too, if there is such a place.
    pub async fn openid_sign_out_url(&self) -> Result<Option<String>, ClientError> {
        let SignOut { url } = self.without_token().get("/wharf/v1/openid/sign_out").await?;
        Ok(url)
    }
}
