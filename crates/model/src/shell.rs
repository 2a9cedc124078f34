//! What passes between a client and a shell in a container: frames, the same on the WebSocket (one message each) and in
//! the tunnel (each after its length).
//!
//! A frame is one byte that says what it is, then its payload: bytes, numbers (big-endian) or JSON. Both directions are
//! held back by the receiver: an end sends at most its window of bytes that the other has not said to have taken, so
//! that a program that writes without end costs no memory anywhere, and what is typed never waits behind what it wrote.

use crate::uuid::UserUuid;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Bytes of output on their way that the client has not taken.
pub const OUTPUT_WINDOW_BYTES: u32 = 256 << 10;
/// Bytes of input on their way that the program has not taken.
pub const INPUT_WINDOW_BYTES: u32 = 64 << 10;
/// Largest frame, its first byte included.
pub const FRAME_BYTES_MAX: usize = 64 << 10;

/// What a client asks for, in its first frame.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShellRequest {
    /// Program and arguments; empty for a shell.
    #[serde(default)]
    pub command: Vec<String>,
    /// With a terminal of this size; without one the command has pipes.
    #[serde(default)]
    pub terminal: Option<TerminalSize>,
    /// The terminal's kind, such as `xterm-256color`.
    #[serde(default)]
    pub term: String,
    /// Goes on with this session instead of beginning one.
    #[serde(default)]
    pub session: Option<String>,
}

/// Characters that fit on a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalSize {
    /// In a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// What a controller asks a supervisor for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellBegin {
    /// As the client asked, checked.
    pub request: ShellRequest,
    /// For whom: a session is gone on with by nobody else.
    pub user: UserUuid,
    /// Most sessions of the container.
    pub sessions_max: usize,
    /// How long a session with a terminal stays without a client, in milliseconds.
    pub keep_ms: u64,
}

/// A session that is there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellOpened {
    /// Names it.
    pub session: String,
    /// Whether it was there before.
    pub resumed: bool,
    /// How long it stays without a client, in milliseconds.
    pub keep_ms: u64,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShellEnd {
    /// It exited.
    Code(i32),
    /// A signal ended it.
    Signal(i32),
}

/// Why there is no session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShellRefusal {
    /// For programs.
    pub reason: ShellRefused,
    /// For people.
    pub message: String,
}

/// Why there is no session, or not for this client any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ShellRefused {
    /// The session to go on with is not there (any more).
    NoSession,
    /// The container does not run.
    NotRunning,
    /// As many as there may be.
    TooMany,
    /// The command cannot be run.
    CannotRun,
    /// Another client of the same user has taken the session over.
    TakenOver,
    /// What was asked for makes no sense.
    Malformed,
}

/// From the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ToShell {
    /// From the controller alone: the first frame to a supervisor.
    Begin(Box<ShellBegin>),
    /// The first frame to a controller.
    Open(Box<ShellRequest>),
    /// For the program's input.
    Input(Vec<u8>),
    /// No more of it.
    InputEnd,
    /// The client's terminal has this size now.
    Resize(TerminalSize),
    /// A signal by its number, for the program.
    Signal(u8),
    /// So many more bytes of output were taken.
    Taken(u32),
    /// The client goes, and may come back.
    Detach,
    /// The session is to end.
    End,
}

/// To the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromShell {
    /// The program runs.
    Opened(ShellOpened),
    /// What it wrote: to its terminal, or its standard output.
    Output(Vec<u8>),
    /// What it wrote to its standard error.
    ErrorOutput(Vec<u8>),
    /// So many more bytes of input were taken.
    Taken(u32),
    /// It ended; nothing follows.
    Ended(ShellEnd),
    /// There is no session; nothing follows.
    Refused(ShellRefusal),
}

/// What no sound peer sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a frame of a shell is malformed")]
pub struct MalformedFrame;

impl ToShell {
    /// The frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Begin(begin) => with_json(0, begin),
            Self::Open(request) => with_json(1, request),
            Self::Input(bytes) => with_bytes(2, bytes),
            Self::InputEnd => vec![3],
            Self::Resize(TerminalSize { columns, rows }) => {
                with_bytes(4, &[columns.to_be_bytes(), rows.to_be_bytes()].concat())
            }
            Self::Signal(number) => vec![5, *number],
            Self::Taken(n) => with_bytes(6, &n.to_be_bytes()),
            Self::Detach => vec![7],
            Self::End => vec![8],
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// Where it is none.
    pub fn decode(frame: &[u8]) -> Result<Self, MalformedFrame> {
        Ok(match frame {
            [0, json @ ..] => Self::Begin(Box::new(of_json(json)?)),
            [1, json @ ..] => Self::Open(Box::new(of_json(json)?)),
            [2, bytes @ ..] => Self::Input(bytes.to_vec()),
            [3] => Self::InputEnd,
            [4, a, b, c, d] => Self::Resize(TerminalSize {
                columns: u16::from_be_bytes([*a, *b]),
                rows: u16::from_be_bytes([*c, *d]),
            }),
            [5, number] => Self::Signal(*number),
            [6, n @ ..] => Self::Taken(number(n)?),
            [7] => Self::Detach,
            [8] => Self::End,
            _ => return Err(MalformedFrame),
        })
    }
}

impl FromShell {
    /// The frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Opened(opened) => with_json(64, opened),
            Self::Output(bytes) => with_bytes(65, bytes),
            Self::ErrorOutput(bytes) => with_bytes(66, bytes),
            Self::Taken(n) => with_bytes(67, &n.to_be_bytes()),
            Self::Ended(end) => with_json(68, end),
            Self::Refused(refusal) => with_json(69, refusal),
        }
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// Where it is none.
    pub fn decode(frame: &[u8]) -> Result<Self, MalformedFrame> {
        Ok(match frame {
            [64, json @ ..] => Self::Opened(of_json(json)?),
            [65, bytes @ ..] => Self::Output(bytes.to_vec()),
            [66, bytes @ ..] => Self::ErrorOutput(bytes.to_vec()),
            [67, n @ ..] => Self::Taken(number(n)?),
            [68, json @ ..] => Self::Ended(of_json(json)?),
            [69, json @ ..] => Self::Refused(of_json(json)?),
            _ => return Err(MalformedFrame),
        })
    }
}

/// A frame after its length in four bytes, as it goes through the tunnel.
#[must_use]
pub fn with_length(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes(), frame].concat()
}

/// Takes the first whole frame out of what came through the tunnel; none until it is complete.
///
/// # Errors
/// Where one is longer than [`FRAME_BYTES_MAX`].
pub fn take_frame(buffer: &mut Vec<u8>) -> Result<Option<Vec<u8>>, MalformedFrame> {
    let Some((length, rest)) = buffer.split_first_chunk::<4>() else { return Ok(None) };
    let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_huge| MalformedFrame)?;
    if length > FRAME_BYTES_MAX {
        return Err(MalformedFrame);
    }
    let Some(frame) = rest.get(..length) else { return Ok(None) };
    let frame = frame.to_vec();
    buffer.drain(..4 + length);
    Ok(Some(frame))
}

fn with_bytes(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(1 + bytes.len());
    frame.push(kind);
    frame.extend_from_slice(bytes);
    frame
}

fn with_json(kind: u8, value: &impl Serialize) -> Vec<u8> {
    // Plain structures of texts and numbers always have a JSON form.
    with_bytes(kind, &serde_json::to_vec(value).unwrap_or_default())
}

fn of_json<T: DeserializeOwned>(json: &[u8]) -> Result<T, MalformedFrame> {
    serde_json::from_slice(json).map_err(|_not_understood| MalformedFrame)
}

fn number(bytes: &[u8]) -> Result<u32, MalformedFrame> {
    bytes.try_into().map(u32::from_be_bytes).map_err(|_wrong_length| MalformedFrame)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: TerminalSize = TerminalSize { columns: 300, rows: 24 };

    fn request() -> ShellRequest {
        ShellRequest {
            command: vec!["ls".to_owned()],
            terminal: Some(SIZE),
            term: "xterm".to_owned(),
            session: None,
        }
    }

    #[test]
    fn every_frame_survives_its_encoding() {
        let begin = ShellBegin {
            request: request(),
            user: UserUuid::parse("wharf-tpzed-000000000000000").unwrap(),
            sessions_max: 8,
            keep_ms: 1000,
        };
        let frames = [
            ToShell::Begin(Box::new(begin)),
            ToShell::Open(Box::new(request())),
            ToShell::Input(b"ls\n".to_vec()),
            ToShell::Input(Vec::new()),
            ToShell::InputEnd,
            ToShell::Resize(SIZE),
            ToShell::Signal(2),
            ToShell::Taken(70_000),
            ToShell::Detach,
            ToShell::End,
        ];
        for frame in frames {
            assert_eq!(ToShell::decode(&frame.encode()), Ok(frame));
        }
        let session = "s".to_owned();
        let refusal = ShellRefusal { reason: ShellRefused::NoSession, message: "none".to_owned() };
        let frames = [
            FromShell::Opened(ShellOpened { session, resumed: true, keep_ms: 5 }),
            FromShell::Output(vec![0, 255]),
            FromShell::ErrorOutput(vec![1]),
            FromShell::Taken(1),
            FromShell::Ended(ShellEnd::Code(3)),
            FromShell::Ended(ShellEnd::Signal(9)),
            FromShell::Refused(refusal),
        ];
        for frame in frames {
            assert_eq!(FromShell::decode(&frame.encode()), Ok(frame));
        }
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        for bad in [&[][..], &[9], &[3, 0], &[4, 0, 1], &[5], &[6, 1], &[1, b'x'], &[64]] {
            assert_eq!(ToShell::decode(bad), Err(MalformedFrame), "{bad:?}");
        }
        assert_eq!(ToShell::decode(b"\x01{\"user\":1}"), Err(MalformedFrame));
        assert_eq!(FromShell::decode(&[2]), Err(MalformedFrame));
    }

    #[test]
    fn frames_come_out_whole_however_they_are_cut() {
        let bytes: Vec<u8> =
            [&[7][..], &[2, 1, 2], &[]].iter().flat_map(|frame| with_length(frame)).collect();
        let (mut buffer, mut found) = (Vec::new(), Vec::new());
        for byte in bytes {
            buffer.push(byte);
            while let Some(frame) = take_frame(&mut buffer).unwrap() {
                found.push(frame);
            }
        }
        assert_eq!(found, [vec![7], vec![2, 1, 2], vec![]]);
        let mut long = u32::MAX.to_be_bytes().to_vec();
        assert_eq!(take_frame(&mut long), Err(MalformedFrame));
    }
}
