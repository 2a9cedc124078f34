//! One provider: what is known of it, and the two steps of a sign-in.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, StatusCode};
use outbound::TlsTrust;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::attempt::Attempt;
use crate::config::{ConfigFault, ProviderConfig};
use crate::discovery::{Document, place_of};
use crate::error::ProviderError;
use crate::http::{Endpoint, Http};
use crate::id_token::{self, Expected, IdTokenFault};
use crate::keys::KeySet;
use crate::person::Person;

/// What is asked for where the config says nothing else.
const SCOPE: &str = "openid profile email";
/// What is known of a provider that does not answer any more is used for so long.
const STALE_MAX: Duration = Duration::from_secs(24 * 3600);
/// After a failure the provider is not asked again for so long: whoever wants to sign in hears of it at once.
const FAILURE_REST: Duration = Duration::from_secs(2);

/// A provider that people sign in with. Cheap to clone; clones share what is known of it.
#[derive(Clone)]
pub struct Provider(Arc<Inner>);

struct Inner {
    config: ProviderConfig,
    http: Http,
    known: Mutex<State>,
}

/// What is known, and what went wrong last.
#[derive(Default)]
struct State {
    known: Option<Known>,
    failure: Option<(Instant, String)>,
}

#[derive(Clone)]
struct Known {
    document: Arc<Document>,
    keys: Arc<KeySet>,
    read_at: Instant,
    keys_read_at: Instant,
}

/// What a browser brings back in the address; the state was compared already.
#[derive(Clone, Copy)]
pub struct Returned<'r> {
    /// To be changed for an ID token, once.
    pub code: &'r str,
    /// Which provider it says it comes from (RFC 9207).
    pub issuer: Option<&'r str>,
}

#[derive(Deserialize)]
struct Tokens {
    id_token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct Refusal {
    error: String,
    error_description: Option<String>,
}

/// The code stays out of debug output.
impl fmt::Debug for Returned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Returned").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.0.config).finish()
    }
}

impl Provider {
    /// Asks nobody yet. `trust` says which servers are believed.
    ///
    /// # Errors
    /// Where the config cannot be so.
    pub fn new(config: ProviderConfig, trust: &TlsTrust) -> Result<Self, ConfigFault> {
        config.check()?;
        let http = Http::new(trust, config.timeout)
            .map_err(|error| ConfigFault::Roots(format!("{error}: {}", error.source)))?;
        Ok(Self(Arc::new(Inner { config, http, known: Mutex::default() })))
    }

    /// A new attempt, and the address that the browser is to be sent to.
    ///
    /// # Errors
    /// Where the provider does not say where that is.
    pub async fn begin(&self) -> Result<(Attempt, String), ProviderError> {
        let known = self.0.known().await?;
        let attempt = Attempt::new()?;
        let config = &self.0.config;
        let challenge = attempt.challenge();
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", config.client_id.as_str()),
            ("redirect_uri", &config.redirect_uri),
            ("state", &attempt.state),
            ("nonce", &attempt.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if !config.parameters.contains_key("scope") {
            pairs.push(("scope", SCOPE));
        }
        pairs.extend(config.parameters.iter().map(|(name, value)| (&**name, &**value)));
        let url = with_query(&known.document.authorization, &pairs);
        Ok((attempt, url))
    }

    /// The person that the code of this attempt stands for. A code works once.
    ///
    /// # Errors
    /// Where the provider does not answer, does not take the code, or says what does not hold.
    pub async fn finish(
        &self,
        attempt: &Attempt,
        returned: Returned<'_>,
    ) -> Result<Person, ProviderError> {
        let known = self.0.known().await?;
        let config = &self.0.config;
        match returned.issuer {
            Some(issuer) if issuer != config.issuer => return Err(ProviderError::OtherIssuer),
            None if known.document.names_issuer => return Err(ProviderError::OtherIssuer),
            _ => {}
        }
        let tokens = self.0.redeem(&known.document, attempt, returned.code).await?;
        let id_token = tokens.id_token.ok_or_else(|| {
            ProviderError::Unavailable("the provider's answer has no ID token".to_owned())
        })?;
        let mut claims = self.0.checked(known.clone(), &id_token, &attempt.nonce).await?;
        if let (None, Some(endpoint), Some(access)) =
            (claims.get(&config.claims.email), &known.document.userinfo, &tokens.access_token)
        {
            let more = self.0.userinfo(endpoint, access, &claims).await?;
            // What is signed goes before what is only said.
            for (name, value) in more {
                claims.entry(name).or_insert(value);
            }
        }
        Ok(Person::of(&config.issuer, &claims, &config.claims))
    }

    /// Where a browser signs out of the provider too, and comes back to where sign-ins do; none where the provider has no
    /// such place, or cannot be asked (OpenID Connect RP-Initiated Logout 1.0).
    pub async fn sign_out_url(&self) -> Option<String> {
        let known = self.0.known().await.ok()?;
        let config = &self.0.config;
        let pairs = [
            ("client_id", config.client_id.as_str()),
            ("post_logout_redirect_uri", &config.redirect_uri),
        ];
        known.document.end_session.as_ref().map(|endpoint| with_query(endpoint, &pairs))
    }
}

impl Inner {
    /// Endpoints and keys: kept ones, or read now. One asks at a time, the others wait for what it hears.
    async fn known(&self) -> Result<Known, ProviderError> {
        let mut state = self.known.lock().await;
        let age_max = self.config.discovery_age_max;
        if let Some(known) = state.known.as_ref().filter(|it| it.read_at.elapsed() < age_max) {
            return Ok(known.clone());
        }
        let failure = state.failure.as_ref().filter(|(at, _)| at.elapsed() < FAILURE_REST);
        let words = match failure {
            Some((_, words)) => words.clone(),
            None => match self.read().await {
                Ok(known) => {
                    *state = State { known: Some(known.clone()), failure: None };
                    return Ok(known);
                }
                Err(words) => {
                    tracing::warn!(why = %words, "the sign-in provider does not say what it has");
                    state.failure = Some((Instant::now(), words.clone()));
                    words
                }
            },
        };
        match &state.known {
            Some(known) if known.read_at.elapsed() < STALE_MAX => Ok(known.clone()),
            _ => Err(ProviderError::Unavailable(words)),
        }
    }

    async fn read(&self) -> Result<Known, String> {
        let place = Endpoint::parse(&place_of(&self.config.issuer))?;
        let text = self.document_at(&place).await?;
        let document = Document::parse(&text, &self.config.issuer)
            .map_err(|why| format!("{}: {why}", self.config.issuer))?;
        let keys = self.read_keys(&document).await?;
        let now = Instant::now();
        Ok(Known {
            document: Arc::new(document),
            keys: Arc::new(keys),
            read_at: now,
            keys_read_at: now,
        })
    }

    async fn read_keys(&self, document: &Document) -> Result<KeySet, String> {
        let text = self.document_at(&document.keys).await?;
        KeySet::parse(&text).map_err(|error| format!("the provider's keys are none: {error}"))
    }

    async fn document_at(&self, endpoint: &Endpoint) -> Result<bytes::Bytes, String> {
        let answer = self.http.get(endpoint, None).await?;
        if answer.status != StatusCode::OK {
            let (status, path) = (answer.status.as_u16(), endpoint.as_uri());
            return Err(format!("{path} was answered with status {status}"));
        }
        Ok(answer.body)
    }

    /// The claims of an ID token that holds. For a key that is not known the provider's are read again, once.
    async fn checked(
        &self,
        known: Known,
        id_token: &str,
        nonce: &str,
    ) -> Result<Map<String, Value>, ProviderError> {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let whole = |seconds: u64| i64::try_from(seconds).unwrap_or(i64::MAX);
        let expected = Expected {
            issuer: &self.config.issuer,
            client_id: &self.config.client_id,
            nonce,
            now: whole(since_1970.unwrap_or_default().as_secs()),
            skew: whole(self.config.clock_skew.as_secs()),
        };
        match id_token::check(id_token, &known.keys, &expected) {
            Err(IdTokenFault::UnknownKey) => {
                let newer = self.newer_keys(&known).await?;
                Ok(id_token::check(id_token, &newer, &expected)?)
            }
            other => Ok(other?),
        }
    }

    async fn newer_keys(&self, before: &Known) -> Result<Arc<KeySet>, ProviderError> {
        let mut state = self.known.lock().await;
        let Some(known) = &mut state.known else { return Ok(Arc::clone(&before.keys)) };
        let was_read = known.keys_read_at > before.keys_read_at;
        if !was_read && known.keys_read_at.elapsed() >= self.config.key_refresh_min {
            let keys = self.read_keys(&known.document).await;
            known.keys_read_at = Instant::now();
            known.keys = Arc::new(keys.map_err(ProviderError::Unavailable)?);
        }
        Ok(Arc::clone(&known.keys))
    }

    /// Changes the code for tokens (OpenID Connect Core 1.0 section 3.1.3).
    async fn redeem(
        &self,
        document: &Document,
        attempt: &Attempt,
        code: &str,
    ) -> Result<Tokens, ProviderError> {
        let (form, authorization) = self.code_form(document, attempt, code);
        let answer = self.http.post(&document.token, authorization.as_ref(), form).await;
        let answer = answer.map_err(ProviderError::Unavailable)?;
        if answer.status == StatusCode::OK {
            let tokens = serde_json::from_slice(&answer.body);
            return tokens.map_err(|_not_understood| {
                ProviderError::Unavailable("the provider's tokens are not understood".to_owned())
            });
        }
        Err(refusal(answer.status, &answer.body))
    }

    /// What the token endpoint is sent: a form, and a header where the secret is not in that.
    fn code_form(
        &self,
        document: &Document,
        attempt: &Attempt,
        code: &str,
    ) -> (String, Option<HeaderValue>) {
        let config = &self.config;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "authorization_code")
            .append_pair("code", code)
            .append_pair("redirect_uri", &config.redirect_uri)
            .append_pair("code_verifier", &attempt.verifier);
        match &config.client_secret {
            Some(secret) if !document.is_secret_in_form => {
                return (form.finish(), Some(basic(&config.client_id, secret)));
            }
            Some(secret) => form.append_pair("client_secret", secret),
            None => &mut form,
        }
        .append_pair("client_id", &config.client_id);
        (form.finish(), None)
    }

    /// What the provider tells of a person beside the ID token, which must be the same person.
    async fn userinfo(
        &self,
        endpoint: &Endpoint,
        access_token: &str,
        claims: &Map<String, Value>,
    ) -> Result<Map<String, Value>, ProviderError> {
        let unavailable = |words: &str| ProviderError::Unavailable(words.to_owned());
        let mut bearer = HeaderValue::try_from(format!("Bearer {access_token}"))
            .map_err(|_no_header| unavailable("the provider's access token is none"))?;
        bearer.set_sensitive(true);
        let answer = self.http.get(endpoint, Some(&bearer)).await;
        let answer = answer.map_err(ProviderError::Unavailable)?;
        let info = serde_json::from_slice::<Map<String, Value>>(&answer.body).ok();
        match info.filter(|_| answer.status == StatusCode::OK) {
            Some(info) if info.get("sub") == claims.get("sub") => Ok(info),
            Some(_) => Err(IdTokenFault::Subject.into()),
            None => Err(unavailable("the provider does not tell who signed in (userinfo)")),
        }
    }
}

/// RFC 6749 section 5.2. That it does not take *us* is for an administrator to mend, and no fault of the person.
fn refusal(status: StatusCode, body: &[u8]) -> ProviderError {
    let Ok(refusal) = serde_json::from_slice::<Refusal>(body) else {
        let words = format!("the provider's token endpoint answered with status {status}");
        return ProviderError::Unavailable(words);
    };
    let words = match refusal.error_description {
        Some(why) => format!("{}: {why}", refusal.error),
        None => refusal.error.clone(),
    };
    let words: String = words.chars().filter(|c| !c.is_control()).take(200).collect();
    match refusal.error.as_str() {
        "invalid_grant" => ProviderError::Code(words),
        "invalid_client" | "unauthorized_client" => ProviderError::Unavailable(format!(
            "the provider does not accept ClientID and ClientSecret of this site: {words}"
        )),
        _ => ProviderError::Unavailable(format!("the provider's token endpoint: {words}")),
    }
}

/// The client's secret in a header: both parts are encoded as in a form first (RFC 6749 section 2.3.1).
fn basic(id: &str, secret: &str) -> HeaderValue {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let pair = STANDARD.encode(format!("{}:{}", encode(id), encode(secret)));
    let mut value = HeaderValue::try_from(format!("Basic {pair}")).expect("base64 is plain");
    value.set_sensitive(true);
    value
}

fn with_query(endpoint: &Endpoint, pairs: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let joint = if endpoint.as_uri().query().is_some() { '&' } else { '?' };
    format!("{}{joint}{query}", endpoint.as_uri())
}
