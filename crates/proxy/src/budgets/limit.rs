//! The limits by name, and what is said of one that is exceeded. Pure.

use std::time::Duration;

use http::StatusCode;

/// One of the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    RequestsOfAddress,
    RequestsOfUser,
    RequestsOfService,
    OpenOfAddress,
    OpenOfUser,
    OpenOfService,
    Misses,
}

/// A limit that a request is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Exceeded {
    pub(crate) limit: Limit,
    /// Until one more would fit; zero where nobody knows.
    pub(crate) wait: Duration,
}

impl Limit {
    /// Its key in the config.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::RequestsOfAddress => "Proxy.RequestsPerSecondPerAddress",
            Self::RequestsOfUser => "Proxy.RequestsPerSecondPerUser",
            Self::RequestsOfService => "Proxy.RequestsPerSecondPerService",
            Self::OpenOfAddress => "Proxy.MaxOpenPerAddress",
            Self::OpenOfUser => "Proxy.MaxOpenPerUser",
            Self::OpenOfService => "Proxy.MaxOpenPerService",
            Self::Misses => "Proxy.MissesPerSecond",
        }
    }

    /// 429 (RFC 6585 section 4), but 503 where a service is full, which others may have done.
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::OpenOfService => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// What there is too much of.
    fn words(self) -> &'static str {
        match self {
            Self::RequestsOfAddress => "your address sends more requests",
            Self::RequestsOfUser => "your account sends more requests to services",
            Self::RequestsOfService => "this service gets more requests",
            Self::OpenOfAddress => "your address has more requests and streams open",
            Self::OpenOfUser => "your account has more requests and streams open to services",
            Self::OpenOfService => "this service has more requests and streams open",
            Self::Misses => "your address tries more wrong credentials and names",
        }
    }
}

impl Exceeded {
    /// What to tell the client to wait, in whole seconds; at least one.
    pub(crate) fn retry_after_s(self) -> u64 {
        self.wait.as_secs() + u64::from(self.wait.subsec_nanos() > 0 || self.wait.is_zero())
    }

    /// One sentence.
    pub(crate) fn message(self) -> String {
        let Self { limit, .. } = self;
        format!("{} than is allowed ({}): try again in a moment", limit.words(), limit.key())
    }
}
