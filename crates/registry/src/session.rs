//! Requests to one registry: with what it wants to see, and to where it sends us.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use outbound::{AnswerBody, Outbound, is_loopback};
use serde::Deserialize;

use crate::challenge::Challenge;
use crate::credentials::Login;
use crate::error::PullError;
use crate::reference::Reference;

/// Registries send to a store of their own, and that perhaps to another one.
const REDIRECTS_MAX: usize = 5;
/// Largest answer of a realm, and what is read of an error.
const TOKEN_BYTES_MAX: usize = 1 << 20;
/// What is repeated of a registry's words.
const WORDS_CHARS_MAX: usize = 300;

/// One registry, asked for one repository.
pub(crate) struct Session {
    outbound: Outbound,
    pub(crate) reference: Reference,
    login: Option<Login>,
    /// What goes with each request to the registry itself, once it asked for something.
    authorization: Option<HeaderValue>,
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("reference", &self.reference).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Session {
    pub(crate) fn new(outbound: Outbound, reference: Reference, login: Option<Login>) -> Self {
        Self { outbound, reference, login, authorization: None }
    }

    pub(crate) fn registry(&self) -> String {
        self.reference.registry().to_owned()
    }

    /// Gets what is at a path below the repository. Only a good answer is answered.
    pub(crate) async fn get(
        &mut self,
        path: &str,
        accept: &str,
    ) -> Result<Response<AnswerBody>, PullError> {
        let address = format!("{}/{path}", self.reference.base());
        let answer = self.follow(&address, accept).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return self.good(answer, path).await;
        }
        self.authorization = Some(self.authorize(answer.headers()).await?);
        let answer = self.follow(&address, accept).await?;
        self.good(answer, path).await
    }

    async fn good(
        &self,
        answer: Response<AnswerBody>,
        what: &str,
    ) -> Result<Response<AnswerBody>, PullError> {
        let (registry, what) = (self.registry(), what.to_owned());
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_FOUND => {
                let what = format!("{} ({what})", self.reference);
                Err(PullError::Missing { registry, what })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let repository = self.reference.repository().to_owned();
                Err(PullError::Denied { registry, repository, said: words_of(answer).await })
            }
            status => {
                Err(PullError::Status { registry, status, what, said: words_of(answer).await })
            }
        }
    }

    /// Sends, and goes where it is sent to. Credentials go to the registry's own address alone.
    async fn follow(&self, address: &str, accept: &str) -> Result<Response<AnswerBody>, PullError> {
        let mut address = address.to_owned();
        for n_redirects in 0..=REDIRECTS_MAX {
            let mut request = Request::get(&address);
            if let Some(value) = self.authorization.as_ref().filter(|_| n_redirects == 0) {
                request = request.header(header::AUTHORIZATION, value);
            }
            let request = request.header(header::ACCEPT, accept).body(Empty::<Bytes>::new());
            let request = request.map_err(|_wrong| self.not_understood("an address is none"))?;
            let from = request.uri().clone();
            let answer = self.outbound.send(request).await?;
            if !answer.status().is_redirection() {
                return Ok(answer);
            }
            address = self.next(&from, answer.headers())?;
        }
        Err(self.not_understood("it sends us on and on"))
    }

    /// The address of a redirect.
    fn next(&self, from: &Uri, headers: &HeaderMap) -> Result<String, PullError> {
        let to = headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let to = to.ok_or_else(|| self.not_understood("it sends us nowhere"))?;
        let (scheme, host) = (from.scheme_str().unwrap_or_default(), from.authority());
        let to = match host {
            Some(host) if to.starts_with('/') => format!("{scheme}://{host}{to}"),
            _ => to.to_owned(),
        };
        if is_allowed(&to) {
            Ok(to)
        } else {
            Err(self.not_understood("it sends us to an address that is not https"))
        }
    }

    /// What to send with the next request, by what was asked for.
    async fn authorize(&self, headers: &HeaderMap) -> Result<HeaderValue, PullError> {
        let challenges = headers.get_all(header::WWW_AUTHENTICATE).iter();
        let challenge =
            challenges.filter_map(|value| value.to_str().ok()).find_map(Challenge::parse);
        let text = match (challenge, &self.login) {
            (Some(Challenge::Basic), Some(login)) => login.basic(),
            (Some(Challenge::Bearer { realm, service, scope }), login) => {
                let token = self.token(&realm, service, scope, login.as_ref()).await?;
                format!("Bearer {token}")
            }
            (Some(Challenge::Basic) | None, _) => return Err(self.denied(String::new())),
        };
        let mut value = HeaderValue::try_from(text)
            .map_err(|_wrong| self.not_understood("its token is none"))?;
        value.set_sensitive(true);
        Ok(value)
    }

    async fn token(
        &self,
        realm: &str,
        service: Option<String>,
        scope: Option<String>,
        login: Option<&Login>,
    ) -> Result<String, PullError> {
        if !is_allowed(realm) {
            return Err(self.not_understood("its tokens are at an address that is not https"));
        }
        let scope =
            scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository()));
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("scope", &scope);
        if let Some(service) = service {
            query.append_pair("service", &service);
        }
        let separator = if realm.contains('?') { '&' } else { '?' };
        let mut request = Request::get(format!("{realm}{separator}{}", query.finish()));
        if let Some(login) = login {
            request = request.header(header::AUTHORIZATION, login.basic());
        }
        let request = request.body(Empty::<Bytes>::new());
        let request = request.map_err(|_wrong| self.not_understood("its realm is no address"))?;
        let answer = self.outbound.send(request).await?;
        if !answer.status().is_success() {
            return Err(self.denied(words_of(answer).await));
        }
        let body = Limited::new(answer.into_body(), TOKEN_BYTES_MAX).collect().await;
        let body = body.map_err(|_broken| self.not_understood("its token broke off"))?.to_bytes();
        let token: Token = serde_json::from_slice(&body)
            .map_err(|_not_json| self.not_understood("its token is none"))?;
        token.token.or(token.access_token).ok_or_else(|| self.not_understood("it gave no token"))
    }

    fn denied(&self, said: String) -> PullError {
        let repository = self.reference.repository().to_owned();
        PullError::Denied { registry: self.registry(), repository, said }
    }

    pub(crate) fn not_understood(&self, why: impl Into<String>) -> PullError {
        PullError::NotUnderstood { registry: self.registry(), why: why.into() }
    }
}

/// Where bytes and passwords may go: over TLS, or nowhere but to this machine.
fn is_allowed(address: &str) -> bool {
    let Ok(uri) = address.parse::<Uri>() else { return false };
    match uri.scheme_str() {
        Some("https") => true,
        Some("http") => uri.host().is_some_and(is_loopback),
        _ => false,
    }
}

/// The first message of an error (OCI distribution specification, "Error Codes").
async fn words_of(answer: Response<AnswerBody>) -> String {
    let body = Limited::new(answer.into_body(), TOKEN_BYTES_MAX).collect().await;
    let Ok(body) = body else { return String::new() };
    let Ok(json) = serde_json::from_slice::<serde_json::Value>(&body.to_bytes()) else {
        return String::new();
    };
    let message = json["errors"][0]["message"].as_str().or_else(|| json["details"].as_str());
    let printable = message.unwrap_or_default().chars().filter(|it| !it.is_control());
    printable.take(WORDS_CHARS_MAX).collect()
}
