//! What can go wrong with a call, and who is to do something about it.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use http::StatusCode;

use crate::body::BoxError;

/// Whose fault a failed call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The caller's: what was asked for is wrong, missing or not allowed.
    Client,
    /// The API's or the way there; the same call may work later.
    Upstream,
    /// Ours or the API's programmers'.
    Internal,
}

/// Why a call gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No connection.
    #[error("cannot reach Wharf at {address}; is `wharf up` running there?")]
    Unreachable {
        /// Scheme, host and port.
        address: String,
        /// From the system or from TLS.
        #[source]
        source: io::Error,
    },
    /// The certificate was not accepted, or TLS failed otherwise.
    #[error(
        "no secure connection to {address}: {source}; if its certificate is its own, name its \
         authority in SSL_CERT_FILE or set ARVADOS_API_HOST_INSECURE=1"
    )]
    Tls {
        /// Scheme, host and port.
        address: String,
        /// From TLS.
        #[source]
        source: io::Error,
    },
    /// The certificates to trust could not be loaded.
    #[error("cannot load the certificates to trust from {}", path.display())]
    Roots {
        /// The file, or where one was looked for.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: io::Error,
    },
    /// The address is none.
    #[error("{address:?} is no address of an API; write for example http://localhost:8000")]
    Address {
        /// As given.
        address: String,
    },
    /// No answer in time.
    #[error("{what} took longer than {bound:?}")]
    TimedOut {
        /// The call: method and path without query.
        what: String,
        /// The deadline.
        bound: Duration,
    },
    /// The connection broke before the answer was complete.
    #[error("the connection broke during {what}")]
    Broken {
        /// The call: method and path without query.
        what: String,
        /// From the connection.
        #[source]
        source: BoxError,
    },
    /// The API refused or failed, and said why.
    #[error("{}", api_words(*status, errors, request_id.as_deref()))]
    Api {
        /// HTTP status.
        status: StatusCode,
        /// The API's own texts, at least one.
        errors: Vec<String>,
        /// To be looked for in its log.
        request_id: Option<String>,
    },
    /// The answer is not what this call gives; the versions may differ.
    #[error("the answer to {what} is not understood; is it a Wharf of another version?")]
    NotUnderstood {
        /// The call: method and path without query.
        what: String,
        /// What the parser found.
        #[source]
        source: BoxError,
    },
}

/// The API's texts; for its own failures also where to look.
fn api_words(status: StatusCode, errors: &[String], request_id: Option<&str>) -> String {
    let words = errors.join("; ");
    match request_id {
        Some(id) if status.is_server_error() => format!("{words} ({status}, request {id})"),
        _ => words,
    }
}

impl ClientError {
    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Api { status, .. } if status.is_client_error() => ErrorKind::Client,
            Self::Address { .. } | Self::Roots { .. } => ErrorKind::Client,
            Self::NotUnderstood { .. } => ErrorKind::Internal,
            Self::Api { .. }
            | Self::Unreachable { .. }
            | Self::Tls { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. } => ErrorKind::Upstream,
        }
    }

    /// HTTP status, where the API answered.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Api { status, .. } => Some(*status),
            _ => None,
        }
    }

    /// The API's own texts; empty where it did not answer.
    pub fn api_errors(&self) -> &[String] {
        match self {
            Self::Api { errors, .. } => errors,
            _ => &[],
        }
    }

    /// The record does not exist, or not for us.
    pub fn is_not_found(&self) -> bool {
        self.status() == Some(StatusCode::NOT_FOUND)
    }

    /// The token is not (or no longer) accepted.
    pub fn is_unauthorized(&self) -> bool {
        self.status() == Some(StatusCode::UNAUTHORIZED)
    }

    /// The same call may work later.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::TimedOut { .. } => true,
            Self::Api { status, .. } => {
                matches!(*status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS)
            }
            _ => false,
        }
    }
}
