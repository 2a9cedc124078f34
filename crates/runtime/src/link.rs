//! The supervisor's end of the socket to a shim. Requests may come from many tasks; one task reads.

use crate::error::Gone;
use crate::exec::Started;
use crate::spec::{Exit, ExitStatus};
use crate::wire::{self, DESCRIPTORS_MAX, FromShim, ToShim};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags};
use std::collections::{HashMap, VecDeque};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{oneshot, watch};

/// What became of a request for a socket: the socket, or the error number of making it.
type SocketReply = oneshot::Sender<Result<OwnedFd, i32>>;

/// Most requests for a socket under way at once; far above what a supervisor's tunnel lets in.
const SOCKETS_PENDING_MAX: usize = 4096;

/// What is known of the container.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Progress {
    /// How it ended.
    pub(crate) exit: Option<Exit>,
    /// The shim has closed its end: it is gone or about to be.
    pub(crate) gone: bool,
}

/// One socket to one shim.
#[derive(Debug)]
pub(crate) struct Link {
    socket: UnixStream,
    /// Who waits for a socket, in order of asking. Held while a request is written, so that
    /// the order here is the order on the wire.
    pending: Mutex<VecDeque<SocketReply>>,
    /// Who waits for what becomes of further commands, by their numbers.
    execs: Mutex<HashMap<u32, ExecWaiter>>,
    next_exec: AtomicU32,
    progress: watch::Sender<Progress>,
}

/// Who waits for a further command.
#[derive(Debug)]
struct ExecWaiter {
    /// Taken with its start.
    started: Option<oneshot::Sender<Started>>,
    ended: oneshot::Sender<ExitStatus>,
}

impl Link {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self {
            socket,
            pending: Mutex::default(),
            execs: Mutex::default(),
            next_exec: AtomicU32::new(1),
            progress: watch::Sender::default(),
        }
    }

    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Sends the first message, which may be longer than the socket's buffer.
    pub(crate) async fn send_start(&self, frame: &[u8]) -> io::Result<()> {
        let mut sent = 0;
        while sent < frame.len() {
            self.socket.writable().await?;
            match self.socket.try_write(&frame[sent..]) {
                Ok(n) => sent += n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Sends a short message. Cancel-safe: it is sent whole or not at all.
    pub(crate) async fn send(&self, message: &ToShim) -> Result<(), Gone> {
        self.send_expecting(message, None).await
    }

    /// The same, for what only a container that runs can take.
    pub(crate) async fn send_to_container(&self, message: &ToShim) -> Result<(), Gone> {
        if self.progress.borrow().exit.is_some() {
            return Err(Gone);
        }
        self.send(message).await
    }

    /// Sends a short message if that can be done at once.
    pub(crate) fn try_send(&self, message: &ToShim) -> io::Result<()> {
        let frame = wire::encode(message)?;
        // Held so that no other frame is written meanwhile.
        let _turn = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        match self.socket.try_write(&frame)? {
            n if n == frame.len() => Ok(()),
            _ => {
                self.close();
                Err(io::ErrorKind::WriteZero.into())
            }
        }
    }

    /// Asks for a TCP socket in the container's network namespace. Cancel-safe.
    pub(crate) async fn request_socket(&self, v6: bool) -> Result<Result<OwnedFd, i32>, Gone> {
        let (reply, answer) = oneshot::channel();
        self.send_expecting(&ToShim::Socket { v6 }, Some(reply)).await?;
        answer.await.map_err(|_closed| Gone)
    }

    /// A number for a further command, and what will be heard of it: its start, then its end.
    pub(crate) fn expect_exec(
        &self,
    ) -> (u32, oneshot::Receiver<Started>, oneshot::Receiver<ExitStatus>) {
        let id = self.next_exec.fetch_add(1, Ordering::Relaxed);
        let ((started, start), (ended, end)) = (oneshot::channel(), oneshot::channel());
        let waiter = ExecWaiter { started: Some(started), ended };
        self.lock_execs().insert(id, waiter);
        // Ended meanwhile: nothing will be heard, and dropping the senders tells it.
        if self.progress.borrow().gone {
            self.forget_exec(id);
        }
        (id, start, end)
    }

    /// Nothing more of this command is of interest.
    pub(crate) fn forget_exec(&self, id: u32) {
        self.lock_execs().remove(&id);
    }

    fn lock_execs(&self) -> MutexGuard<'_, HashMap<u32, ExecWaiter>> {
        self.execs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send_expecting(
        &self,
        message: &ToShim,
        mut reply: Option<SocketReply>,
    ) -> Result<(), Gone> {
        let frame = wire::encode(message).map_err(|_impossible| Gone)?;
        loop {
            self.socket.writable().await.map_err(|_closed| Gone)?;
            let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
            let Progress { exit, gone } = *self.progress.borrow();
            // An ended container still takes `Cleanup`, but has no sockets to give.
            let no_sockets = exit.is_some() || pending.len() >= SOCKETS_PENDING_MAX;
            if gone || (reply.is_some() && no_sockets) {
                return Err(Gone);
            }
            match self.socket.try_write(&frame) {
                // A stream socket of this family takes a frame this short whole or not at all.
                Ok(n) if n == frame.len() => {
                    pending.extend(reply.take());
                    return Ok(());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => {
                    self.close();
                    return Err(Gone);
                }
            }
        }
    }

    /// Ends the connection; the shim then kills and removes the container.
    pub(crate) fn close(&self) {
        // It fails only when the connection has ended already.
        let _already_ended = rustix::net::shutdown(&self.socket, rustix::net::Shutdown::Both);
    }

    /// The next message from the shim, with its descriptor; `None` when the shim has closed.
    pub(crate) async fn receive(&self, inbox: &mut Inbox) -> io::Result<Option<FromShim>> {
        loop {
            if let Some(message) = wire::decode(&mut inbox.bytes)? {
                return Ok(Some(message));
            }
            let n = self.socket.async_io(Interest::READABLE, || self.receive_some(inbox)).await?;
            if n == 0 {
                return Ok(None);
            }
        }
    }

    /// Applies messages until the shim closes.
    pub(crate) async fn run(&self, mut inbox: Inbox) {
        loop {
            match self.receive(&mut inbox).await {
                Ok(Some(message)) => self.apply(&message, &mut inbox),
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(%error, "connection to the container's helper failed");
                    break;
                }
            }
        }
        self.progress.send_modify(|progress| progress.gone = true);
        // Dropping the senders tells everyone who still waits.
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.lock_execs().clear();
    }

    fn apply(&self, message: &FromShim, inbox: &mut Inbox) {
        match message {
            FromShim::Socket { errno } => {
                let reply = self.pending.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                let result = match errno {
                    None => inbox.descriptors.pop_front().ok_or(libc::EBADMSG),
                    Some(errno) => Err(*errno),
                };
                // Whoever asked may have given up; the socket is closed then.
                if let Some(reply) = reply {
                    drop(reply.send(result));
                }
            }
            FromShim::Exited(exit) => {
                self.progress.send_modify(|progress| progress.exit = Some(*exit));
            }
            FromShim::ExecStarted { id } => {
                let streams = inbox.descriptors.drain(..).collect();
                self.exec_started(*id, Ok(streams));
            }
            FromShim::ExecFailed { id, error } => {
                self.exec_started(*id, Err(error.clone()));
                self.forget_exec(*id);
            }
            FromShim::ExecExited { id, status } => {
                if let Some(waiter) = self.lock_execs().remove(id) {
                    // Whoever started it may have lost interest.
                    let _uninterested = waiter.ended.send(*status);
                }
            }
            FromShim::Started { .. } | FromShim::StartFailed(_) => {
                tracing::warn!("a container's helper reported a second start");
            }
        }
    }

    fn exec_started(&self, id: u32, started: Started) {
        let waiter = self.lock_execs().get_mut(&id).and_then(|waiter| waiter.started.take());
        if let Some(waiter) = waiter {
            // Whoever asked may have given up; the streams are closed then.
            drop(waiter.send(started));
        }
    }

    fn receive_some(&self, inbox: &mut Inbox) -> io::Result<usize> {
        let mut buffer = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = rustix::net::recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut buffer)],
            &mut control,
            RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT,
        )?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                inbox.descriptors.extend(descriptors);
            }
        }
        inbox.bytes.extend_from_slice(&buffer[..received.bytes]);
        Ok(received.bytes)
    }
}

impl Inbox {
    /// The descriptors that came beside the first message, in order.
    pub(crate) fn take_descriptors(&mut self) -> Vec<OwnedFd> {
        self.descriptors.drain(..).collect()
    }
}

/// What has arrived and is not used up.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
}
