//! Why something in a collection was not given or changed, as text.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use keep::KeepError;

use crate::error::ApiError;
use crate::settle::Contended;

#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Call(#[from] ApiError),
    #[error("{0}")]
    NotFound(String),
    #[error("{0} is no method of files of collections")]
    Method(String),
    /// The tree is not as the call needs it (RFC 4918 uses 405, 409 and 412 for such; 409 makes
    /// Arvados's clients try again for ever, but those do not use WebDAV).
    #[error("{1}")]
    State(StatusCode, String),
    #[error("{0}")]
    Bad(String),
    #[error("the body ended before it was complete")]
    Body,
    #[error("{0}")]
    Keep(#[from] KeepError),
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Call(error) => error.status(),
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::State(status, _) => *status,
            Self::Bad(_) | Self::Body => StatusCode::BAD_REQUEST,
            Self::Keep(error) => match error {
                KeepError::Corrupt(_) | KeepError::Missing(_) | KeepError::Range(_) => {
                    StatusCode::UNPROCESSABLE_ENTITY
                }
                KeepError::Full => StatusCode::INSUFFICIENT_STORAGE,
                KeepError::Busy
                | KeepError::Interrupted
                | KeepError::Remote { .. }
                | KeepError::TooFewCopies { .. } => StatusCode::SERVICE_UNAVAILABLE,
                KeepError::TooLarge
                | KeepError::Mismatch { .. }
                | KeepError::NoSuchClass { .. }
                | KeepError::Io { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            },
        }
    }
}

impl Contended for Refusal {
    fn is_contended(&self) -> bool {
        matches!(self, Self::Call(error) if error.is_contended())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = self.status();
        if status.is_server_error() {
            tracing::error!(error = ?self, status = status.as_u16(), "a WebDAV call failed");
        }
        let mut response = (status, format!("{self}\n")).into_response();
        if status == StatusCode::UNAUTHORIZED {
            // Programs ask their user for a password then; pages of other origins do not.
            let ask =
                HeaderValue::from_static("Basic realm=\"collections: the password is a token\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, ask);
        }
        response
    }
}
