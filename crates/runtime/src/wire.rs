//! What a supervisor and its shim say to each other: JSON messages, each after its length in
//! four bytes (little-endian), on a stream socket. Descriptors travel beside the message they
//! belong to, in order.

use crate::error::StartError;
use crate::spec::{
    ContainerSpec, ExecSpec, Exit, ExitStatus, Input, LISTEN_MAX, Limits, Mount, TextFile, UserSpec,
};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddrV4;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

/// Longest message: a command line and environment at the kernel's limit, with room for JSON.
pub(crate) const MESSAGE_BYTES_MAX: usize = 8 << 20;

/// `ContainerSpec` without its descriptors, which are the shim's standard output and error.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ShimSpec {
    pub(crate) id: String,
    pub(crate) dir: PathBuf,
    pub(crate) layers: Vec<PathBuf>,
    pub(crate) argv: Vec<String>,
    pub(crate) env: Vec<(String, String)>,
    pub(crate) cwd: String,
    pub(crate) user: UserSpec,
    pub(crate) hostname: String,
    pub(crate) mounts: Vec<Mount>,
    pub(crate) files: Vec<TextFile>,
    pub(crate) stdin: Input,
    pub(crate) listen: Vec<SocketAddrV4>,
    pub(crate) limits: Limits,
}

impl ShimSpec {
    /// The part of `spec` that is sent as text.
    pub(crate) fn of(spec: &ContainerSpec) -> Self {
        Self {
            id: spec.id.clone(),
            dir: spec.dir.clone(),
            layers: spec.layers.clone(),
            argv: spec.argv.clone(),
            env: spec.env.clone(),
            cwd: spec.cwd.clone(),
            user: spec.user.clone(),
            hostname: spec.hostname.clone(),
            mounts: spec.mounts.clone(),
            files: spec.files.clone(),
            stdin: spec.stdin.clone(),
            listen: spec.listen.clone(),
            limits: spec.limits,
        }
    }
}

/// From the supervisor.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ToShim {
    /// The first message, and only the first.
    Start(Box<ShimSpec>),
    /// Make a TCP socket in the container's network namespace and send it back.
    Socket { v6: bool },
    /// Send this signal to the container's command.
    Signal(i32),
    /// Run another command in the container, under a number of the supervisor's choice.
    Exec { id: u32, spec: Box<ExecSpec> },
    /// Send this signal to the process group of such a command.
    SignalExec { id: u32, signal: i32 },
    /// Kill every process of its session.
    KillExec { id: u32 },
    /// Kill every process of the container.
    Kill,
    /// Kill what still runs, remove directories and control groups, and end.
    Cleanup,
}

/// From the shim.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum FromShim {
    /// The command runs, in these control groups. The listening sockets come with it, in the order of the specification, and
    /// behind them one to ask the kernel who listens, if one could be made.
    Started { pid: u32, notes: Vec<String>, groups: Vec<PathBuf> },
    /// It does not, and nothing is left.
    StartFailed(StartError),
    /// Answers `ToShim::Socket`, in order of asking. A descriptor comes with it unless there is
    /// an error number.
    Socket { errno: Option<i32> },
    /// Another command runs. Its terminal comes with it, or its input, output and error.
    ExecStarted { id: u32 },
    /// It does not.
    ExecFailed { id: u32, error: StartError },
    /// It ran and has ended.
    ExecExited { id: u32, status: ExitStatus },
    /// The command ended and no process of the container is left.
    Exited(Exit),
}

/// Most descriptors beside one message: listening sockets and one more; a command has three.
pub(crate) const DESCRIPTORS_MAX: usize = LISTEN_MAX + 1;

/// A message with its length in front.
pub(crate) fn encode<T: Serialize>(message: &T) -> io::Result<Vec<u8>> {
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message).map_err(io::Error::other)?;
    let length = frame.len() - 4;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "message too long"));
    }
    let length = u32::try_from(length).map_err(io::Error::other)?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// Takes the first whole message out of `buffer`; `None` until it is complete.
pub(crate) fn decode<T: DeserializeOwned>(buffer: &mut Vec<u8>) -> io::Result<Option<T>> {
    let Some((header, rest)) = buffer.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_le_bytes(*header) as usize;
    if length > MESSAGE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message too long"));
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    let message = serde_json::from_slice(body).map_err(io::Error::other)?;
    buffer.drain(..4 + length);
    Ok(Some(message))
}

/// A blocking connection, as shim and init use it.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: OwnedFd,
    buffer: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Connection {
    pub(crate) fn new(socket: OwnedFd) -> Self {
        Self { socket, buffer: Vec::new(), descriptors: VecDeque::new() }
    }

    pub(crate) fn send<T: Serialize>(&self, message: &T) -> io::Result<()> {
        self.send_with(message, &[])
    }

    /// Sends a message, and beside its first byte at most [`DESCRIPTORS_MAX`] descriptors.
    pub(crate) fn send_with<T: Serialize>(
        &self,
        message: &T,
        descriptors: &[OwnedFd],
    ) -> io::Result<()> {
        let frame = encode(message)?;
        let descriptors: Vec<BorrowedFd<'_>> = descriptors.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let (iov, flags) = ([IoSlice::new(&frame)], SendFlags::NOSIGNAL);
        let mut sent = rustix::net::sendmsg(&self.socket, &iov, &mut control, flags)?;
        while sent < frame.len() {
            sent += rustix::net::send(&self.socket, &frame[sent..], flags)?;
        }
        Ok(())
    }

    /// The next message that has arrived whole, without waiting.
    pub(crate) fn buffered<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        decode(&mut self.buffer)
    }

    /// Waits for more bytes; false at the end.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let (iov, flags) = (&mut [IoSliceMut::new(&mut bytes)], RecvFlags::CMSG_CLOEXEC);
        match rustix::net::recvmsg(&self.socket, iov, &mut control, flags) {
            Ok(received) => {
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                        self.descriptors.extend(descriptors);
                    }
                }
                self.buffer.extend_from_slice(&bytes[..received.bytes]);
                Ok(received.bytes > 0)
            }
            Err(rustix::io::Errno::INTR) => Ok(true),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The descriptors that have come beside messages, in order.
    pub(crate) fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        self.descriptors.drain(..).collect()
    }

    /// Waits for the next message; `None` at the end.
    pub(crate) fn receive<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            if !self.fill()? {
                return Ok(None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_whole_and_in_order_however_they_are_cut() {
        let mut bytes = encode(&ToShim::Signal(15)).unwrap();
        bytes.extend(encode(&ToShim::Socket { v6: true }).unwrap());
        let (mut buffer, mut seen) = (Vec::new(), Vec::new());
        for byte in bytes {
            buffer.push(byte);
            while let Some(message) = decode::<ToShim>(&mut buffer).unwrap() {
                seen.push(format!("{message:?}"));
            }
        }
        assert_eq!(seen, ["Signal(15)", "Socket { v6: true }"]);
    }

    #[test]
    fn an_announced_length_over_the_limit_is_an_error() {
        let mut buffer = u32::MAX.to_le_bytes().to_vec();
        assert!(decode::<ToShim>(&mut buffer).is_err());
    }
}
