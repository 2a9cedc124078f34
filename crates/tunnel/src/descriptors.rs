//! One open descriptor from process to process over a Unix socket (`SCM_RIGHTS`), with one byte beside it.

use rustix::fd::AsFd;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use tokio::io::Interest;
use tokio::net::UnixStream;

/// Sends a byte and the descriptor; ours stays open. Cancel-safe.
pub async fn send(connection: &UnixStream, byte: u8, descriptor: impl AsFd) -> io::Result<()> {
    connection.async_io(Interest::WRITABLE, || send_now(connection, byte, &descriptor)).await
}

/// Receives the next byte, and the descriptor if one came with it; closed on exec. Cancel-safe.
pub async fn receive(connection: &UnixStream) -> io::Result<(u8, Option<OwnedFd>)> {
    connection.async_io(Interest::READABLE, || receive_now(connection)).await
}

fn send_now(connection: &UnixStream, byte: u8, descriptor: &impl AsFd) -> io::Result<()> {
    let descriptors = [descriptor.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::net::sendmsg(connection, &[IoSlice::new(&[byte])], &mut control, flags)?;
    Ok(())
}

fn receive_now(connection: &UnixStream) -> io::Result<(u8, Option<OwnedFd>)> {
    let mut byte = [0; 1];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let iov = &mut [IoSliceMut::new(&mut byte)];
    let received = rustix::net::recvmsg(connection, iov, &mut control, flags)?;
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((byte[0], descriptor))
}
