//! The check of an ID token (OpenID Connect Core 1.0 section 3.1.3.7): pure, without a clock or a socket.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use crate::keys::{Algorithm, KeySet};

/// Longest ID token that is looked at; with many groups in it one has some 10 KiB.
const TOKEN_BYTES_MAX: usize = 128 * 1024;
/// Longest subject (OpenID Connect Core 1.0 section 2).
const SUBJECT_BYTES_MAX: usize = 255;

/// Why an ID token does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenFault {
    /// Not three parts of base64 and JSON, or far too long.
    #[error("it is no signed token")]
    Form,
    /// `none`, a shared secret, or a way to sign that we do not know.
    #[error("it is signed by {0:?}, which is not accepted")]
    Algorithm(String),
    /// Its header asks for what we do not know (RFC 7515 section 4.1.11).
    #[error("its header says that something must be understood that is not")]
    Critical,
    /// No key of the provider fits its header.
    #[error("the provider has no such key")]
    UnknownKey,
    /// The signature is not by that key.
    #[error("its signature is wrong")]
    Signature,
    /// `iss`.
    #[error("it is of another issuer")]
    Issuer,
    /// `aud`.
    #[error("it is for another client")]
    Audience,
    /// `azp`.
    #[error("it was given to another client")]
    AuthorizedParty,
    /// `exp`.
    #[error("it has expired, or does not say when it does; compare the clocks")]
    Expired,
    /// `iat` or `nbf` is ahead of us.
    #[error("it is from the future; compare the clocks")]
    Future,
    /// `nonce`.
    #[error("it was not made for this sign-in")]
    Nonce,
    /// `sub`.
    #[error("it does not say whom it is about")]
    Subject,
}

/// What an ID token must say.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'e> {
    /// The provider.
    pub issuer: &'e str,
    /// Us.
    pub client_id: &'e str,
    /// Of this attempt.
    pub nonce: &'e str,
    /// Seconds since the epoch.
    pub now: i64,
    /// Seconds by which clocks may differ.
    pub skew: i64,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

/// The claims of a token that holds.
///
/// # Errors
/// The first thing that is wrong with it; [`IdTokenFault::UnknownKey`] where newer keys may help.
pub fn check(
    token: &str,
    keys: &KeySet,
    expected: &Expected<'_>,
) -> Result<Map<String, Value>, IdTokenFault> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(IdTokenFault::Form);
    }
    let (message, signature) = token.rsplit_once('.').ok_or(IdTokenFault::Form)?;
    let (header, claims) = message.split_once('.').ok_or(IdTokenFault::Form)?;
    let header: Header = decode(header)?;
    let name = header.alg;
    let algorithm = Algorithm::parse(&name)
        .ok_or_else(|| IdTokenFault::Algorithm(name.chars().take(20).collect()))?;
    if header.crit.is_some() {
        return Err(IdTokenFault::Critical);
    }
    let kid = header.kid.as_deref();
    if !keys.has(kid, algorithm, &name) {
        return Err(IdTokenFault::UnknownKey);
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_no_base64| IdTokenFault::Form)?;
    if !keys.verify(kid, algorithm, &name, message.as_bytes(), &signature) {
        return Err(IdTokenFault::Signature);
    }
    let claims: Map<String, Value> = decode(claims)?;
    check_claims(&claims, expected)?;
    Ok(claims)
}

fn decode<T: for<'d> Deserialize<'d>>(part: &str) -> Result<T, IdTokenFault> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_no_base64| IdTokenFault::Form)?;
    serde_json::from_slice(&bytes).map_err(|_no_json| IdTokenFault::Form)
}

fn check_claims(claims: &Map<String, Value>, expected: &Expected<'_>) -> Result<(), IdTokenFault> {
    let text = |name: &str| claims.get(name).and_then(Value::as_str);
    if text("iss") != Some(expected.issuer) {
        return Err(IdTokenFault::Issuer);
    }
    check_audience(claims, expected.client_id)?;
    let Expected { now, skew, .. } = *expected;
    if seconds(claims.get("exp")).is_none_or(|at| at.saturating_add(skew) <= now) {
        return Err(IdTokenFault::Expired);
    }
    let latest = now.saturating_add(skew);
    let is_ahead = |name: &str| seconds(claims.get(name)).is_some_and(|at| at > latest);
    if is_ahead("iat") || is_ahead("nbf") {
        return Err(IdTokenFault::Future);
    }
    let nonce = text("nonce").unwrap_or_default();
    if expected.nonce.is_empty() || !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
        return Err(IdTokenFault::Nonce);
    }
    match text("sub") {
        Some(subject) if !subject.is_empty() && subject.len() <= SUBJECT_BYTES_MAX => Ok(()),
        _ => Err(IdTokenFault::Subject),
    }
}

/// Among others we may be one of several audiences, but then the token must have been given to us.
fn check_audience(claims: &Map<String, Value>, client_id: &str) -> Result<(), IdTokenFault> {
    let n_audiences = match claims.get("aud") {
        Some(Value::String(one)) if one == client_id => 1,
        Some(Value::Array(list)) if list.iter().any(|it| it == client_id) => list.len(),
        _ => return Err(IdTokenFault::Audience),
    };
    match claims.get("azp") {
        Some(party) if party == client_id => Ok(()),
        None if n_audiences == 1 => Ok(()),
        _ => Err(IdTokenFault::AuthorizedParty),
    }
}

/// Whole seconds of a number of them (RFC 7519 section 2, `NumericDate`).
fn seconds(value: Option<&Value>) -> Option<i64> {
    let value = value?;
    #[expect(clippy::cast_possible_truncation, reason = "what is too large is cut to the largest")]
    let whole = |seconds: f64| seconds as i64;
    value.as_i64().or_else(|| value.as_f64().map(whole))
}
