//! What can go wrong with a tunnel, a stream or an open, and how it shows as an `io::Error`.

use std::io;

use crate::RefuseReason;

/// What a peer did that no honest peer does. Each ends the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// The first header byte is no frame type.
    #[error("unknown frame type {0}")]
    UnknownFrameType(u8),
    /// A DATA payload above [`crate::limits::FRAME_BYTES_MAX`].
    #[error("frame of {0} bytes is over the limit")]
    FrameTooLong(u32),
    /// A DATA frame without data.
    #[error("empty data frame")]
    EmptyData,
    /// A header field that must be zero is not.
    #[error("reserved header field is not zero")]
    ReservedField,
    /// An OPEN payload above [`crate::limits::OPEN_BYTES_MAX`].
    #[error("open payload of {0} bytes is over the limit")]
    OpenTooLong(u32),
    /// An OPEN payload that does not parse.
    #[error("open payload is malformed")]
    BadOpen,
    /// An OPEN with an id of our parity, zero, or not above the ids before it.
    #[error("stream id {0} may not be opened")]
    BadOpenId(u32),
    /// A frame for an id that was never opened.
    #[error("frame for stream {0}, which was never opened")]
    UnknownStream(u32),
    /// ACCEPT or REFUSE for a stream that does not wait for one.
    #[error("unexpected answer for stream {0}")]
    UnexpectedAnswer(u32),
    /// A frame that must wait for the stream to be accepted.
    #[error("stream {0} was used before it was accepted")]
    BeforeAccept(u32),
    /// More data than the stream had credit for.
    #[error("stream {0} was sent more than its window")]
    WindowExceeded(u32),
    /// Credit of zero, or beyond [`crate::limits::WINDOW_BYTES_MAX`].
    #[error("window of stream {0} was moved out of bounds")]
    WindowOverflow(u32),
    /// DATA or FIN after the peer's FIN.
    #[error("stream {0} was sent more after its end")]
    AfterFin(u32),
    /// A PONG that answers no PING of ours.
    #[error("answer to no ping")]
    UnexpectedPong,
    /// Pings without end.
    #[error("too many pings")]
    PingFlood,
    /// Answers pile up because the peer sends without reading.
    #[error("peer asks without reading the answers")]
    AnswerFlood,
}

/// Why a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// `Tunnel::close` was called here.
    #[error("the tunnel was closed")]
    Closed,
    /// The peer said goodbye.
    #[error("the peer closed the tunnel: {0}")]
    PeerClosed(GoAway),
    /// The connection ended or broke without a goodbye.
    #[error("the connection was lost ({0})")]
    ConnectionLost(io::ErrorKind),
    /// Nothing came from the peer, not even the answer to a ping.
    #[error("the peer stopped answering")]
    PeerSilent,
    /// The peer broke the protocol.
    #[error("protocol violation: {0}")]
    Violation(#[from] Violation),
    /// The future that drives the tunnel was dropped.
    #[error("the tunnel's driver was stopped")]
    DriverStopped,
}

/// What a goodbye says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoAway {
    /// An ordinary end.
    Normal,
    /// The receiver of the goodbye broke the protocol.
    Violation,
    /// Another live tunnel of the same container exists; this one was refused.
    Duplicate,
}

impl GoAway {
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::Normal => 0,
            Self::Violation => 1,
            Self::Duplicate => 2,
        }
    }

    /// A number from a newer peer reads as an ordinary end.
    pub(crate) fn from_code(code: u32) -> Self {
        match code {
            1 => Self::Violation,
            2 => Self::Duplicate,
            _ => Self::Normal,
        }
    }
}

impl std::fmt::Display for GoAway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Normal => "it is done",
            Self::Violation => "it saw a protocol violation",
            Self::Duplicate => "the container already has a live tunnel",
        })
    }
}

/// Why a stream could not be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The peer would not have it.
    #[error("the peer refused the stream: {reason}")]
    Refused {
        /// The peer's reason.
        reason: RefuseReason,
    },
    /// The tunnel has ended, before or while the stream was opened.
    #[error("the tunnel has ended")]
    Closed,
    /// This end has `outgoing_streams_max` streams open, or has used up the ids of this tunnel.
    #[error("too many streams on the tunnel")]
    TooMany,
    /// The peer did not answer within `open_deadline`.
    #[error("the peer did not answer in time")]
    TimedOut,
}

impl OpenError {
    /// True where a later try on the same tunnel can succeed.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Refused { reason } => {
                matches!(reason, RefuseReason::PortClosed | RefuseReason::Busy)
            }
            Self::TooMany | Self::TimedOut => true,
            Self::Closed => false,
        }
    }
}

impl From<OpenError> for io::Error {
    fn from(error: OpenError) -> Self {
        let kind = match error {
            OpenError::Refused { .. } => io::ErrorKind::ConnectionRefused,
            OpenError::Closed => io::ErrorKind::ConnectionAborted,
            OpenError::TooMany => io::ErrorKind::QuotaExceeded,
            OpenError::TimedOut => io::ErrorKind::TimedOut,
        };
        Self::new(kind, error)
    }
}

/// How operations on a stream fail; each has its own `io::ErrorKind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The tunnel ended under the stream: `ConnectionAborted`.
    #[error("the tunnel ended: {0}")]
    TunnelEnded(CloseReason),
    /// The peer dropped its end: `ConnectionReset`.
    #[error("the peer reset the stream")]
    Reset,
    /// Written to after shutdown: `BrokenPipe`.
    #[error("the stream was already shut down for writing")]
    ShutDown,
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> Self {
        let kind = match error {
            StreamError::TunnelEnded(_) => io::ErrorKind::ConnectionAborted,
            StreamError::Reset => io::ErrorKind::ConnectionReset,
            StreamError::ShutDown => io::ErrorKind::BrokenPipe,
        };
        Self::new(kind, error)
    }
}
