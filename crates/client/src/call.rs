//! The client itself, and what every call has in common: address, token, deadline, errors.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use bytes::Bytes;
use futures_util::StreamExt;
use http::header::{self, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, BodyStream as Frames};
use model::ApiToken;
use outbound::TlsTrust;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::body::{BodyStream, BoxBody, BoxError, RequestBody};
use crate::error::ClientError;
use crate::transport::{HttpTransport, Transport};

/// Largest JSON answer that is read; a page of a thousand requests has some 4 MiB.
const ANSWER_BYTES_MAX: usize = 64 << 20;

/// What we call ourselves.
pub(crate) const USER_AGENT: &str = concat!("wharf/", env!("CARGO_PKG_VERSION"));

/// How long to wait for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// For a connection; a host that is there answers at once.
    pub connect: Duration,
    /// For a whole answer, body included; the API itself gives up later.
    pub answer: Duration,
    /// For the answer to an upload, from its first byte to the image being stored.
    pub upload: Duration,
    /// For the head of a stream (logs, events); what follows may be silent for days.
    pub stream_head: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(60),
            upload: Duration::from_secs(3600),
            stream_head: Duration::from_secs(60),
        }
    }
}

/// Speaks to one API with one token. Cheap to clone; clones share connections.
#[derive(Clone, Debug)]
pub struct Client {
    pub(crate) transport: Transport,
    /// The `Authorization` header, marked sensitive so that it does not print.
    pub(crate) authorization: Option<HeaderValue>,
    pub(crate) deadlines: Deadlines,
    /// Where a person would open it; for messages.
    base_url: Arc<str>,
}

impl Client {
    /// For `http://host[:port]` or `https://host[:port]`. Connects with the first call.
    pub fn http(
        base_url: &str,
        token: impl Borrow<ApiToken>,
        trust: &TlsTrust,
    ) -> Result<Self, ClientError> {
        let transport = Transport::Http(HttpTransport::new(base_url, trust)?);
        Ok(Self::new(transport, base_url).with_token(token.borrow()))
    }

    /// Calls go straight into `router`.
    pub fn in_memory(router: Router, token: impl Borrow<ApiToken>) -> Self {
        Self::new(Transport::Memory(router), "http://localhost").with_token(token.borrow())
    }

    fn new(transport: Transport, base_url: &str) -> Self {
        let base_url = base_url.trim_end_matches('/').into();
        Self { transport, authorization: None, deadlines: Deadlines::default(), base_url }
    }

    /// The same API, acting for another token.
    #[must_use]
    pub fn with_token(&self, token: &ApiToken) -> Self {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .expect("a token has only letters, digits, hyphens and slashes");
        value.set_sensitive(true);
        Self { authorization: Some(value), ..self.clone() }
    }

    /// The same API, acting for nobody.
    #[must_use]
    pub fn without_token(&self) -> Self {
        Self { authorization: None, ..self.clone() }
    }

    /// The same API and token with other deadlines.
    #[must_use]
    pub fn with_deadlines(&self, deadlines: Deadlines) -> Self {
        Self { deadlines, ..self.clone() }
    }

    /// The API's address as given, without a trailing slash.
    pub fn base_url(&self) -> &str {
        &self.base_url
    }

    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::GET, path, RequestBody::Empty).await
    }

    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.call(Method::POST, path, json(body)).await
    }

    pub(crate) async fn patch<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, ClientError> {
        self.call(Method::PATCH, path, json(body)).await
    }

    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        self.call(Method::DELETE, path, RequestBody::Empty).await
    }

    /// One call whose answer is one JSON value, within the deadline for answers.
    async fn call<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: RequestBody,
    ) -> Result<T, ClientError> {
        self.call_within(self.deadlines.answer, method, path, body).await
    }

    /// As [`Client::call`] with another deadline, for uploads.
    pub(crate) async fn upload<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: RequestBody,
    ) -> Result<T, ClientError> {
        self.call_within(self.deadlines.upload, method, path, body).await
    }

    async fn call_within<T: DeserializeOwned>(
        &self,
        bound: Duration,
        method: Method,
        path: &str,
        body: RequestBody,
    ) -> Result<T, ClientError> {
        let what = describe(&method, path);
        let exchange = async {
            let answer = self.send(method, path, body, "application/json").await?;
            collect(&what, answer).await
        };
        let bytes = timeout(bound, exchange)
            .await
            .map_err(|_elapsed| ClientError::TimedOut { what: what.clone(), bound })??;
        serde_json::from_slice(&bytes)
            .map_err(|source| ClientError::NotUnderstood { what, source: source.into() })
    }

    /// A call whose answer is a stream; only its head has a deadline.
    pub(crate) async fn stream(&self, path: &str, accept: &str) -> Result<BodyStream, ClientError> {
        let what = describe(&Method::GET, path);
        let bound = self.deadlines.stream_head;
        let head = async {
            let answer = self.send(Method::GET, path, RequestBody::Empty, accept).await?;
            refuse_errors(&what, answer).await
        };
        let answer = timeout(bound, head)
            .await
            .map_err(|_elapsed| ClientError::TimedOut { what: what.clone(), bound })??;
        let pieces = Frames::new(answer.into_body()).filter_map(move |frame| {
            let piece = match frame {
                Ok(frame) => frame.into_data().ok().map(Ok),
                Err(source) => Some(Err(ClientError::Broken { what: what.clone(), source })),
            };
            std::future::ready(piece)
        });
        Ok(pieces.boxed())
    }

    /// A body whose answer says no more than whether it was taken, within the deadline for uploads.
    pub(crate) async fn put_stream(
        &self,
        path: &str,
        body: RequestBody,
    ) -> Result<(), ClientError> {
        let what = describe(&Method::PUT, path);
        let bound = self.deadlines.upload;
        let exchange = async {
            let answer = self.send(Method::PUT, path, body, "*/*").await?;
            refuse_errors(&what, answer).await.map(drop)
        };
        timeout(bound, exchange)
            .await
            .map_err(|_elapsed| ClientError::TimedOut { what: what.clone(), bound })?
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        body: RequestBody,
        accept: &str,
    ) -> Result<Response<BoxBody>, ClientError> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, accept)
            .header(header::USER_AGENT, USER_AGENT);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if let Some(content_type) = body.content_type() {
            request = request.header(header::CONTENT_TYPE, content_type);
        }
        let wrong = |_malformed| ClientError::Address { address: path.to_owned() };
        let (head, ()) = request.body(()).map_err(wrong)?.into_parts();
        self.transport.send(head, body, self.deadlines.connect).await
    }
}

fn json(body: &impl Serialize) -> RequestBody {
    let bytes = serde_json::to_vec(body).expect("our own types serialise");
    RequestBody::Json(Bytes::from(bytes))
}

/// For messages: without the query, which may hold a name or a code.
fn describe(method: &Method, path: &str) -> String {
    format!("{method} {}", path.split('?').next().unwrap_or_default())
}

/// The whole body of a good answer.
async fn collect(what: &str, answer: Response<BoxBody>) -> Result<Bytes, ClientError> {
    let answer = refuse_errors(what, answer).await?;
    read_all(what, answer.into_body()).await
}

/// Collected by hand: the ready-made limiter's error makes this future useless to `Send` handlers.
pub(crate) async fn read_all(what: &str, mut body: BoxBody) -> Result<Bytes, ClientError> {
    let mut all = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|source| ClientError::Broken { what: what.to_owned(), source })?;
        let Ok(data) = frame.into_data() else { continue };
        if all.len() + data.len() > ANSWER_BYTES_MAX {
            return Err(not_understood(what, "longer than any answer of the API"));
        }
        all.extend_from_slice(&data);
    }
    Ok(all.into())
}

/// Turns an error answer into an error with the API's texts.
pub(crate) async fn refuse_errors(
    what: &str,
    answer: Response<BoxBody>,
) -> Result<Response<BoxBody>, ClientError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let header = answer.headers().get("x-request-id").and_then(|id| id.to_str().ok());
    let request_id = header.map(str::to_owned);
    let body = read_all(what, answer.into_body()).await?;
    let mut errors = error_texts(status, &body);
    if let Some(id) = &request_id {
        // The API writes it behind each text, for people who see no headers.
        let suffix = format!(" ({id})");
        for text in &mut errors {
            text.truncate(text.strip_suffix(&suffix).unwrap_or(text).len());
        }
    }
    Err(ClientError::Api { status, errors, request_id })
}

/// `{"errors": […]}`, else the status in words: something between us and the API may answer.
fn error_texts(status: StatusCode, body: &[u8]) -> Vec<String> {
    let texts = |body: Value| -> Option<Vec<String>> {
        let errors = body.get("errors")?.as_array()?;
        let texts: Vec<String> =
            errors.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        (!texts.is_empty()).then_some(texts)
    };
    serde_json::from_slice(body)
        .ok()
        .and_then(texts)
        .unwrap_or_else(|| vec![format!("the server answered {status} without saying why")])
}

/// A JSON answer nobody looks into.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Ignored {}

/// Keeps the error type in one place for streams built elsewhere.
pub(crate) fn not_understood(what: &str, source: impl Into<BoxError>) -> ClientError {
    ClientError::NotUnderstood { what: what.to_owned(), source: source.into() }
}
