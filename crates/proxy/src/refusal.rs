//! Every answer that is ours and not the app's, as a value; [`pages`](crate::pages) turns it into a response.

use std::sync::Arc;

use http::StatusCode;

use crate::access_log::Reason;
use crate::authorize::Denied;
use crate::budgets::{Exceeded, Limit};
use crate::directory::{DirectoryError, StartInfo, Target, TargetState};
use crate::host::HostError;

/// Why a request does not reach the app, or the app's answer not the client.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No service host, or none that can be read.
    Host(HostError),
    /// The request contradicts itself or HTTP.
    Malformed(&'static str),
    /// No such container, request, name or port; nothing under our reserved prefix.
    NotFound,
    /// Nobody who may open it.
    Denied(Denied),
    /// What was presented is no invitation to this port, or none any more.
    NotInvited,
    /// A cookie vouches for it, but another site made it.
    ForeignOrigin,
    /// A page of another origin would like to use a service that is private, or that is not there.
    Preflight,
    /// `CONNECT`, or an upgrade over HTTP/2 that is no WebSocket.
    UnknownProtocol,
    /// Waits, starts, or the published port does not listen yet.
    Starting(Arc<Target>, Box<StartInfo>),
    /// Its supervisor is not connected.
    Unreachable(Arc<Target>, Box<StartInfo>),
    /// The container is over.
    Stopped(Arc<Target>),
    /// Another container was served on this port before; the client still means that one.
    Replaced,
    /// The caller has too many calls open to the app.
    Full,
    /// Somebody asks for more than their share.
    Exceeded(Exceeded),
    /// The app did not answer as it should.
    Gateway(GatewayProblem),
    /// The body of the request broke off, or is not what its head says.
    BrokenBody,
    /// The client began a body and went silent.
    StalledBody,
    /// The app took longer to begin its answer than this site allows.
    TooSlow,
    /// The records cannot be asked.
    NoRecords(DirectoryError),
}

/// What is wrong with the app's side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GatewayProblem {
    /// Nothing listens on the port (any more).
    Refused(u16),
    /// The connection could not be made.
    NotConnected,
    /// The connection ended before an answer.
    ClosedEarly,
    /// The answer is not HTTP, or an HTTP error of its own.
    BadResponse,
    /// The answer's head began and did not end.
    SlowHead,
    /// A switch of protocols that nobody asked for, or not as asked for.
    BadUpgrade,
    /// What answers a gRPC call is not HTTP/2.
    NotHttp2,
    /// The app broke a gRPC call off before its answer.
    Reset(h2::Reason),
}

impl Refusal {
    /// Whether a stranger learns from it whether there is such a service.
    pub(crate) fn tells_of_existence(&self) -> bool {
        matches!(self, Self::NotFound | Self::Denied(_) | Self::NotInvited | Self::ForeignOrigin)
    }

    /// The status of the answer (table in the contract, section 3).
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::Host(HostError::NotAService) | Self::NotFound => StatusCode::NOT_FOUND,
            Self::Host(_) | Self::Malformed(_) | Self::BrokenBody => StatusCode::BAD_REQUEST,
            Self::Denied(_) | Self::NotInvited | Self::ForeignOrigin | Self::Preflight => {
                StatusCode::FORBIDDEN
            }
            Self::UnknownProtocol => StatusCode::NOT_IMPLEMENTED,
            Self::Starting(..) | Self::Unreachable(..) | Self::NoRecords(_) | Self::Full => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Exceeded(exceeded) => exceeded.limit.status(),
            Self::StalledBody => StatusCode::REQUEST_TIMEOUT,
            Self::Stopped(_) | Self::Replaced => StatusCode::GONE,
            Self::Gateway(_) => StatusCode::BAD_GATEWAY,
            Self::TooSlow => StatusCode::GATEWAY_TIMEOUT,
        }
    }

    /// In which words it stands in the log, and with which others it shares its lines.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Self::Host(HostError::NotAService) | Self::NotFound => Reason::NotFound,
            Self::Host(_) | Self::Malformed(_) => Reason::Unreadable,
            Self::Denied(_) | Self::NotInvited => Reason::Denied,
            Self::ForeignOrigin | Self::Preflight => Reason::ForeignOrigin,
            Self::UnknownProtocol => Reason::UnknownProtocol,
            Self::Starting(..) | Self::Unreachable(..) => Reason::NotReady,
            Self::Stopped(_) | Self::Replaced => Reason::Over,
            Self::Gateway(_) => Reason::App,
            Self::BrokenBody | Self::StalledBody => Reason::BrokenBody,
            Self::TooSlow => Reason::TooSlow,
            Self::NoRecords(_) => Reason::NoRecords,
            Self::Full => Reason::TooManyOpen,
            Self::Exceeded(exceeded) => match exceeded.limit {
                Limit::Misses => Reason::TooManyMisses,
                Limit::OpenOfAddress | Limit::OpenOfUser | Limit::OpenOfService => {
                    Reason::TooManyOpen
                }
                _ => Reason::TooManyRequests,
            },
        }
    }

    /// One sentence, safe for everybody who gets this answer: what happened and what to do.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Host(error) => format!("{error}: check the address"),
            Self::Malformed(problem) => format!("{problem}: send the request anew"),
            Self::NotFound => "there is no such service: check the address, or list services with `wharf ps`".to_owned(),
            Self::Denied(Denied::NoCredentials) => "this service is private: sign in, or send `Authorization: Bearer <token>` of the user who started it".to_owned(),
            Self::Denied(Denied::NotAllowed | Denied::Ended) => "this service is private: the credentials are invalid, expired or limited, or belong to somebody else".to_owned(),
            Self::NotInvited => "this invitation opens nothing here: it was used up, taken back or has expired, or its service is over: ask for another".to_owned(),
            Self::ForeignOrigin => "this request came from another site: send it from the service's own pages, or with a token instead of a cookie".to_owned(),
            Self::Preflight => "pages of other origins cannot use private services from a browser: the administrator can list an origin in Proxy.CORSOrigins".to_owned(),
            Self::UnknownProtocol => "this protocol is not carried here: use HTTP or WebSocket, or `wharf forward` for anything else".to_owned(),
            Self::Starting(target, _) if target.state == TargetState::Running => format!(
                "the service is not ready (container Running): nothing listens on port {} yet: try again shortly",
                target.port
            ),
            Self::Starting(target, _) => format!(
                "the service is not ready (container {}): try again shortly",
                target.state.as_str()
            ),
            Self::Unreachable(..) => "the machine that the service runs on is not connected: try again shortly".to_owned(),
            Self::Stopped(target) if target.exit_words.is_empty() => format!("the service is over (container {}): run it again", target.state.as_str()),
            Self::Stopped(target) => format!("the service is over ({}): run it again", target.exit_words),
            Self::Replaced => "this address served another container before: reload the page".to_owned(),
            Self::Full => "too many calls are open to this service (Proxy.UpstreamStreamsMax): end some, then try again".to_owned(),
            Self::Exceeded(exceeded) => exceeded.message(),
            Self::Gateway(problem) => problem.message(),
            Self::BrokenBody => "the request's body broke off or is malformed: send the request anew".to_owned(),
            Self::StalledBody => "the request's body did not go on (Proxy.StallTimeout): send the request anew".to_owned(),
            Self::TooSlow => "the application did not begin its answer in time: try again, or look at its log".to_owned(),
            Self::NoRecords(_) => "the records cannot be read at the moment: try again shortly".to_owned(),
        }
    }
}

impl GatewayProblem {
    fn message(self) -> String {
        match self {
            Self::Refused(port) => format!(
                "nothing listens on port {port} of the container: look at the application's log"
            ),
            Self::NotConnected => {
                "the application could not be reached: look at its log".to_owned()
            }
            Self::ClosedEarly => {
                "the application closed the connection without an answer: look at its log"
                    .to_owned()
            }
            Self::BadResponse => {
                "the application's answer is not valid HTTP: look at its log".to_owned()
            }
            Self::SlowHead => {
                "the application began its answer and did not end its head (Proxy.HeaderTimeout): look at its log".to_owned()
            }
            Self::BadUpgrade => {
                "the application switched protocols in a way that was not asked for".to_owned()
            }
            Self::NotHttp2 => {
                "the application does not answer in HTTP/2, which gRPC needs: have it listen for h2c (HTTP/2 without TLS)".to_owned()
            }
            Self::Reset(reason) => {
                format!("the application broke the call off ({reason}): look at its log")
            }
        }
    }
}
