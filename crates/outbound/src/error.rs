//! Why there is no answer.

use std::time::Duration;

use http::uri::Authority;

pub(crate) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a request got no whole answer. Names the server, and never a path or query, where secrets may be.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The request's address is not `http://host` or `https://host`.
    #[error("{0:?} is no address of a server")]
    Address(String),
    /// No connection.
    #[error("cannot reach {server}")]
    Unreachable {
        /// Host and port.
        server: Authority,
        /// From the system or from TLS.
        #[source]
        source: BoxError,
    },
    /// The server was silent for too long.
    #[error("{server} was silent for {bound:?}")]
    TimedOut {
        /// Host and port.
        server: Authority,
        /// The deadline.
        bound: Duration,
    },
    /// The connection broke.
    #[error("the connection to {server} broke")]
    Broken {
        /// Host and port.
        server: Authority,
        /// From the connection.
        #[source]
        source: BoxError,
    },
}
