//! What a stream is for, stated once in its OPEN frame and fixed for its life.
//!
//! Nothing later on the stream can change the kind, so bytes of an app connection never reach a
//! function of the supervisor (SECURITY: client headers must not choose a supervisor function).

use std::fmt;

/// The purpose of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StreamKind {
    /// Control messages between supervisor and controller, one JSON object per line.
    Control,
    /// Bytes to and from a TCP port inside the container's network namespace.
    App(u16),
    /// One of the container's logs, from an offset, as bytes.
    Log(LogQuery),
    /// A shell in the container, or another command there; its frames are `model::shell`.
    Shell,
}

/// Which log, from where, and whether to stay for what is still to come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogQuery {
    /// The log wanted.
    pub stream: LogStream,
    /// Byte offset of the first byte wanted.
    pub offset: u64,
    /// Stay until the log has ended.
    pub follow: bool,
}

/// The logs a supervisor keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LogStream {
    /// What the app wrote to its standard output.
    Stdout,
    /// What the app wrote to its standard error.
    Stderr,
    /// The supervisor's own words ("crunch-run").
    CrunchRun,
}

impl LogStream {
    /// Every log, in the order they are shown.
    pub const ALL: [Self; 3] = [Self::Stdout, Self::Stderr, Self::CrunchRun];

    /// The name in the API and in file names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::CrunchRun => "crunch-run",
        }
    }

    /// The log of this name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stream| stream.as_str() == name)
    }
}

impl fmt::Display for LogStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why the other end would not have a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefuseReason {
    /// Nothing listens on the port.
    PortClosed,
    /// The stream's kind or port is not for this peer.
    NotAllowed,
    /// The peer does not know this kind of stream.
    Unsupported,
    /// The container, or whoever should have answered, is gone.
    Gone,
    /// The peer is at one of its limits; try again later.
    Busy,
}

impl RefuseReason {
    /// The number in a REFUSE frame.
    pub(crate) fn code(self) -> u32 {
        match self {
            Self::PortClosed => 1,
            Self::NotAllowed => 2,
            Self::Unsupported => 3,
            Self::Gone => 4,
            Self::Busy => 5,
        }
    }

    /// The reason of a REFUSE frame; a number from a newer peer reads as `Unsupported`.
    pub(crate) fn from_code(code: u32) -> Self {
        match code {
            1 => Self::PortClosed,
            2 => Self::NotAllowed,
            4 => Self::Gone,
            5 => Self::Busy,
            _ => Self::Unsupported,
        }
    }
}

impl fmt::Display for RefuseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PortClosed => "nothing listens on the port",
            Self::NotAllowed => "not allowed",
            Self::Unsupported => "kind of stream not supported",
            Self::Gone => "the container is gone",
            Self::Busy => "too busy",
        })
    }
}

const TAG_CONTROL: u8 = 1;
const TAG_APP: u8 = 2;
const TAG_LOG: u8 = 3;
const TAG_SHELL: u8 = 4;

/// What an OPEN payload says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Decoded {
    Known(StreamKind),
    /// A tag of a newer peer: refused, but no violation.
    Unknown,
    Malformed,
}

impl StreamKind {
    /// The OPEN payload: one tag byte, then fixed-width fields, big-endian.
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Control => vec![TAG_CONTROL],
            Self::App(port) => {
                let [high, low] = port.to_be_bytes();
                vec![TAG_APP, high, low]
            }
            Self::Log(query) => {
                let stream = match query.stream {
                    LogStream::Stdout => 1,
                    LogStream::Stderr => 2,
                    LogStream::CrunchRun => 3,
                };
                let mut payload = vec![TAG_LOG, stream, u8::from(query.follow)];
                payload.extend_from_slice(&query.offset.to_be_bytes());
                payload
            }
            Self::Shell => vec![TAG_SHELL],
        }
    }

    /// Reads an OPEN payload. A port of 0 and trailing bytes are malformed.
    pub(crate) fn decode(payload: &[u8]) -> Decoded {
        match payload {
            [TAG_CONTROL] => Decoded::Known(Self::Control),
            [TAG_SHELL] => Decoded::Known(Self::Shell),
            [TAG_APP, high, low] => match u16::from_be_bytes([*high, *low]) {
                0 => Decoded::Malformed,
                port => Decoded::Known(Self::App(port)),
            },
            [TAG_LOG, stream, follow @ (0 | 1), offset @ ..] => {
                decode_log(*stream, *follow, offset)
            }
            [] | [TAG_CONTROL | TAG_APP | TAG_LOG | TAG_SHELL, ..] => Decoded::Malformed,
            [_, ..] => Decoded::Unknown,
        }
    }
}

fn decode_log(stream: u8, follow: u8, offset: &[u8]) -> Decoded {
    let stream = match stream {
        1 => LogStream::Stdout,
        2 => LogStream::Stderr,
        3 => LogStream::CrunchRun,
        _ => return Decoded::Malformed,
    };
    match <[u8; 8]>::try_from(offset) {
        Ok(offset) => Decoded::Known(StreamKind::Log(LogQuery {
            stream,
            offset: u64::from_be_bytes(offset),
            follow: follow == 1,
        })),
        Err(_) => Decoded::Malformed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_round_trip(kind: StreamKind) {
        assert_eq!(StreamKind::decode(&kind.encode()), Decoded::Known(kind));
    }

    #[test]
    fn every_kind_survives_its_encoding() {
        check_round_trip(StreamKind::Control);
        check_round_trip(StreamKind::App(1));
        check_round_trip(StreamKind::App(65535));
        check_round_trip(StreamKind::Shell);
        for stream in LogStream::ALL {
            check_round_trip(StreamKind::Log(LogQuery { stream, offset: u64::MAX, follow: true }));
            check_round_trip(StreamKind::Log(LogQuery { stream, offset: 0, follow: false }));
        }
    }

    #[test]
    fn malformed_payloads_are_told_from_unknown_kinds() {
        for bad in [&[][..], &[1, 0], &[2, 0], &[2, 0, 0], &[2, 0, 80, 0], &[3, 9, 0], &[3, 1, 2]] {
            assert_eq!(StreamKind::decode(bad), Decoded::Malformed, "{bad:?}");
        }
        assert_eq!(StreamKind::decode(&[77, 1, 2, 3]), Decoded::Unknown);
    }

    #[test]
    fn log_names_parse_back() {
        for stream in LogStream::ALL {
            assert_eq!(LogStream::parse(stream.as_str()), Some(stream));
        }
        assert_eq!(LogStream::parse("arv-mount"), None);
    }
}
