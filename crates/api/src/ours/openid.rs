//! Signing in with a provider (OpenID Connect): where to send the browser, and the code it comes back with for a token.
//!
//! These calls need no credential: the code is what proves who asks, and it is worth nothing without the verifier that
//! only the browser which began has. Whoever calls keeps both with that browser, and compares the state.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use bytes::Bytes;
use model::User;
use oidc::{Attempt, Person, ProviderError, Returned};
use serde_json::{Value, json};
use store::{Admission, Admitted, NewToken, NewUser, StoreError};

use super::login::after;
use crate::call::parse_body;
use crate::error::ApiError;
use crate::router::Api;
use crate::sign_in_config::SignInProvider;

/// Codes that are changed at once: each waits for the provider.
pub(crate) const AT_ONCE_MAX: usize = 16;
/// How long another one waits for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest code or secret that is looked at.
const TEXT_BYTES_MAX: usize = 4096;
/// Longest short name made of a provider's.
const USERNAME_BYTES_MAX: usize = 64;

/// `GET sign_in_methods`: which ways there are, for pages that offer them.
pub(crate) async fn methods(State(api): State<Api>) -> Result<Json<Value>, ApiError> {
    let ways = &api.config().sign_in;
    let name = ways.provider.as_ref().map(|it| it.name.as_str());
    // Beside a provider a form that nobody can use would only be in the way.
    let passwords = ways.passwords && (name.is_none() || api.store().has_passwords().await?);
    Ok(Json(json!({ "passwords": passwords, "provider": name })))
}

/// `POST openid/start`: an attempt, and the address that its browser is to be sent to.
pub(crate) async fn start(State(api): State<Api>) -> Result<Json<Value>, ApiError> {
    let (attempt, url) = configured(&api)?.provider.begin().await?;
    let Attempt { state, nonce, verifier } = attempt;
    Ok(Json(json!({ "url": url, "state": state, "nonce": nonce, "verifier": verifier })))
}

/// `POST openid/finish {"code", "iss"?, "nonce", "verifier"}`: a token for a session. `admitted` says what came of it:
/// `signed_in`, or `inactive` or `unknown` without a token.
pub(crate) async fn finish(State(api): State<Api>, body: Bytes) -> Result<Json<Value>, ApiError> {
    let configured = configured(&api)?;
    let body = parse_body(&body, false)?;
    let text = |name: &str| {
        let value = body.get(name).and_then(Value::as_str);
        value
            .filter(|text| !text.is_empty() && text.len() <= TEXT_BYTES_MAX)
            .ok_or_else(|| ApiError::field(name, "must be text, as it came from the provider"))
    };
    let attempt = Attempt {
        state: String::new(),
        nonce: text("nonce")?.to_owned(),
        verifier: text("verifier")?.to_owned(),
    };
    let returned =
        Returned { code: text("code")?, issuer: body.get("iss").and_then(Value::as_str) };
    let person = {
        let turn = tokio::time::timeout(TURN_TIMEOUT, api.openid_turns().acquire()).await;
        let _turn = turn.ok().and_then(Result::ok).ok_or_else(|| {
            ApiError::TooMany("many people sign in right now: try again".to_owned())
        })?;
        configured.provider.finish(&attempt, returned).await?
    };
    let Some(user) = admit(&api, configured, person).await? else {
        tracing::info!("a person of the sign-in provider has no account here");
        return Ok(Json(json!({ "admitted": "unknown" })));
    };
    if !user.is_active {
        return Ok(Json(json!({ "admitted": "inactive", "user": user })));
    }
    let new = NewToken {
        owner: user.uuid,
        scopes: vec!["all".to_owned()],
        expires_at: Some(after(&api, api.config().session_ttl)),
        made_by: user.uuid,
    };
    let (token, record) = api.store().create_token(new).await?;
    tracing::info!({ user.uuid = %user.uuid, token.uuid = %record.uuid }, "signed in with the provider");
    Ok(Json(json!({
        "admitted": "signed_in",
        "token": token.expose(),
        "user": user,
        "expires_at": record.expires_at,
    })))
}

/// `GET openid/sign_out`: where a browser signs out of the provider too; null where it has no such place.
pub(crate) async fn sign_out(State(api): State<Api>) -> Result<Json<Value>, ApiError> {
    let url = configured(&api)?.provider.sign_out_url().await;
    Ok(Json(json!({ "url": url })))
}

fn configured(api: &Api) -> Result<&SignInProvider, ApiError> {
    let words = "this site has no provider to sign in with (Login.OpenIDConnect.Enable)";
    api.config().sign_in.provider.as_ref().ok_or_else(|| ApiError::NotFound(words.to_owned()))
}

/// The account of a person: theirs of last time, one that becomes theirs, or a new one.
async fn admit(
    api: &Api,
    provider: &SignInProvider,
    person: Person,
) -> Result<Option<User>, ApiError> {
    let new = provider.makes_accounts.then(|| NewUser {
        email: person.email.clone(),
        username: username(&person.username),
        first_name: person.first_name,
        last_name: person.last_name,
        is_admin: false,
        is_active: provider.new_are_active,
    });
    let admission = Admission {
        issuer: person.issuer,
        subject: person.subject,
        links_by_email: provider.links_by_email && person.is_email_verified,
        new,
        email: person.email,
    };
    let admitted = match api.store().admit(admission.clone()).await {
        // Another controller took the name, or let the same person in, between looking and writing.
        Err(StoreError::UsernameTaken(_)) => api.store().admit(admission).await?,
        other => other?,
    };
    Ok(match admitted {
        Admitted::Known(user) => Some(user),
        Admitted::Linked(user) => {
            tracing::info!({ user.uuid = %user.uuid }, "an account was linked to a person of the sign-in provider");
            Some(user)
        }
        Admitted::Made(user) => {
            tracing::info!({ user.uuid = %user.uuid, user.is_active }, "an account was made for a person of the sign-in provider");
            Some(user)
        }
        Admitted::Unknown => None,
    })
}

/// A short name as ours are, of what a provider says: some say an address.
fn username(told: &str) -> String {
    let local = told.split('@').next().unwrap_or_default();
    let sound = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = local
        .chars()
        .filter(sound)
        .skip_while(|c| !c.is_ascii_alphabetic())
        .take(USERNAME_BYTES_MAX)
        .collect();
    if name.is_empty() { "user".to_owned() } else { name.to_ascii_lowercase() }
}

impl From<ProviderError> for ApiError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Unavailable(_) => Self::Unavailable(error.to_string()),
            ProviderError::Random => Self::Failed(error.to_string()),
            ProviderError::Code(_) | ProviderError::IdToken(_) | ProviderError::OtherIssuer => {
                tracing::warn!(%error, "a sign-in with the provider was refused");
                Self::Forbidden(error.to_string())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::username;

    #[test]
    fn short_names_are_made_of_what_a_provider_says() {
        for (told, expected) in [
            ("ada", "ada"),
            ("Ada.Lovelace@example.com", "ada.lovelace"),
            ("  ../ada l", "adal"),
            ("42ada", "ada"),
            ("ädä", "d"),
            ("", "user"),
            ("@example.com", "user"),
            ("<script>", "script"),
        ] {
            assert_eq!(username(told), expected, "{told:?}");
        }
        assert_eq!(username(&"x".repeat(300)).len(), 64);
    }
}
