//! What the two processes say to each other.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Longest message: a hundred thousand containers' identifiers.
const MESSAGE_BYTES_MAX: u32 = 4 << 20;

/// From the process that comes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromSuccessor {
    /// Its first word.
    TakeOver {
        /// For the log.
        version: String,
    },
    /// It accepts connections.
    Serving,
}

/// From the process that goes.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum FromPredecessor {
    /// What there is; the descriptors follow, listening sockets first.
    Legacy(Inventory),
    /// It is not to be replaced, now or any more.
    Refused {
        /// In words.
        why: String,
    },
}

/// What is handed over.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Inventory {
    /// How many listening sockets.
    pub(super) n_listeners: usize,
    /// Whether the seat of the one `wharf up` follows them.
    pub(super) has_seat: bool,
    /// The containers that it has tunnels to.
    pub(super) tunnels: Vec<String>,
}

/// Sends a message.
pub(crate) async fn write(stream: &mut UnixStream, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&framed(message)?).await
}

/// A message as it goes over the wire.
pub(super) fn framed(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = serde_json::to_vec(message)?;
    let length = u32::try_from(json.len()).ok().filter(|length| *length <= MESSAGE_BYTES_MAX);
    let length = length.ok_or(io::ErrorKind::InvalidInput)?;
    Ok([&length.to_be_bytes(), json.as_slice()].concat())
}

/// Receives a message, and not a byte more: descriptors may follow. Not cancel-safe.
pub(crate) async fn read<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<T> {
    let length = stream.read_u32().await?;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut json = vec![0; length as usize];
    stream.read_exact(&mut json).await?;
    Ok(serde_json::from_slice(&json)?)
}

/// Errs unless the other end runs as our own user.
pub(crate) fn check_peer(stream: &UnixStream) -> io::Result<()> {
    let (peer, own) = (stream.peer_cred()?.uid(), rustix::process::geteuid().as_raw());
    if peer == own { Ok(()) } else { Err(io::ErrorKind::PermissionDenied.into()) }
}

/// A socket's address by way of the open directory: an address holds 107 bytes, and a data directory may lie deeper.
pub(crate) fn short_path(dir: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    let dir = File::open(dir)?;
    let short = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
    Ok((dir, short))
}
