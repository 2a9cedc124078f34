//! Errors to answers: the one place that chooses statuses.
//!
//! Clients retry every status from 500 up, and 408, 409, 423, 429, for a quarter of an hour: what
//! will not change by itself is 401, 403, 404, 405 or 422.

use std::time::SystemTime;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use model::FieldError;
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::{Value, json};
use store::StoreError;

/// Seconds after which a client may try again what failed for a while.
const RETRY_AFTER_S: u32 = 2;

/// Why a call was not answered as asked.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No token, or one that does not hold.
    #[error("{0}")]
    Unauthorized(&'static str),
    /// The caller may not.
    #[error("{0}")]
    Forbidden(String),
    /// There is no such thing, for this caller.
    #[error("{0}")]
    NotFound(String),
    /// The path exists, but not with this method.
    #[error("{0}")]
    MethodNotAllowed(String),
    /// What was sent cannot be: one text for each problem, naming the field.
    #[error("{}", .0.join("; "))]
    Unprocessable(Vec<String>),
    /// The body is larger than a named limit.
    #[error("{0}")]
    TooLarge(String),
    /// Somebody asks too often; another try in a while is served.
    #[error("{0}")]
    TooMany(String),
    /// Somebody whom we need does not answer, or not as it should; the words are safe to show.
    #[error("{0}")]
    Unavailable(String),
    /// Something of ours failed; the words are safe to show.
    #[error("{0}")]
    Failed(String),
    /// The records could not be read or written.
    #[error("records: {0}")]
    Store(#[source] StoreError),
}

impl ApiError {
    /// One problem of one field.
    pub(crate) fn field(field: &str, problem: impl Into<String>) -> Self {
        Self::Unprocessable(vec![FieldError::new(field, problem).to_string()])
    }

    /// A record that this caller does not see.
    pub(crate) fn no_such(what: &str, uuid: &str) -> Self {
        // What the caller sent is shown, within reason.
        let uuid: String = uuid.chars().take(80).collect();
        Self::NotFound(format!("no {what} {uuid:?} that you may see"))
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unprocessable(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(error) if error.is_temporary() => StatusCode::SERVICE_UNAVAILABLE,
            Self::Failed(_) | Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What the client may read.
    fn texts(&self) -> Vec<String> {
        match self {
            Self::Unprocessable(texts) => texts.clone(),
            // The cause of a database error is ours to know, and is in the log.
            Self::Store(error) => vec![error.to_string()],
            other => vec![other.to_string()],
        }
    }
}

impl From<Vec<FieldError>> for ApiError {
    fn from(problems: Vec<FieldError>) -> Self {
        Self::Unprocessable(problems.iter().map(ToString::to_string).collect())
    }
}

impl From<FieldError> for ApiError {
    fn from(problem: FieldError) -> Self {
        Self::Unprocessable(vec![problem.to_string()])
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::NotFound(format!("{what} does not exist")),
            StoreError::NameTaken(_) | StoreError::NameResting(..) | StoreError::NamesMax(_) => {
                Self::Unprocessable(vec![format!("name: {error}")])
            }
            StoreError::BadOwner(why) => Self::Unprocessable(vec![format!("owner_uuid: {why}")]),
            StoreError::NameInUse { .. } => Self::Unprocessable(vec![format!("name: {error}")]),
            StoreError::Nul | StoreError::StillUsed(_) => {
                Self::Unprocessable(vec![error.to_string()])
            }
            StoreError::UsernameTaken(_) => Self::Unprocessable(vec![format!("username: {error}")]),
            other => Self::Store(other),
        }
    }
}

/// The texts of an error on its way out: where the request's id is known, it goes into them.
#[derive(Debug, Clone)]
pub(crate) struct ErrorTexts(Vec<String>);

impl ErrorTexts {
    /// The body, each text with the request's id behind it, as Arvados writes them: users report texts, not headers.
    pub(crate) fn body(&self, request_id: Option<&str>) -> Value {
        let texts: Vec<String> = match request_id {
            None => self.0.clone(),
            Some(id) => self.0.iter().map(|text| format!("{text} ({id})")).collect(),
        };
        json!({ "errors": texts, "error_token": error_token() })
    }
}

/// `<seconds since 1970>+<8 hexadecimal digits>`, as Arvados marks each error.
fn error_token() -> String {
    let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut bytes = [0; 4];
    // Without random bytes the digits are zeroes: they tell errors of one second apart, nothing else.
    let _unspecified = SystemRandom::new().fill(&mut bytes);
    format!("{}+{:08x}", since_1970.as_secs(), u32::from_be_bytes(bytes))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(error = ?self, status = status.as_u16(), "a call failed");
        }
        let texts = ErrorTexts(self.texts());
        let mut response = (status, Json(texts.body(None))).into_response();
        response.extensions_mut().insert(texts);
        if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
        }
        response
    }
}
