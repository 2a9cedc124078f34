//! The old process's end: the socket at which a new one asks for its place.

use super::wire::{self, FromPredecessor, FromSuccessor, Inventory, check_peer, short_path};
use crate::data_dir::Seat;
use anyhow::{Context, Result, anyhow, bail};
use rustix::net::SendFlags;
use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::time::timeout;
use tunnel::descriptors;

/// A process that wants our place says so at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a new process may take until it serves: migrations, and the wait for supervisors. We serve meanwhile, and
/// only a second new process has to wait for this one.
const PATIENCE: Duration = Duration::from_secs(600);
/// Out of descriptors: give way for a moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a successor gets.
#[derive(Debug)]
pub(crate) struct Legacy {
    /// The listening sockets.
    pub(crate) listeners: Vec<TcpListener>,
    /// The right to be the one `wharf up`.
    pub(crate) seat: Option<Seat>,
    /// The tunnels that it should have before it serves.
    pub(crate) tunnels: tunnel::Registry,
}

/// Our socket for successors; it goes with us, unless one has put its own in the place.
#[derive(Debug)]
pub(crate) struct Door {
    listener: UnixListener,
    path: PathBuf,
    /// Its name until it is opened.
    unborn: PathBuf,
    inode: u64,
}

impl Door {
    /// Makes the socket that is to be `NAME.sock`; nobody finds it yet.
    pub(crate) fn build(dir: &Path, name: &str) -> Result<Self> {
        let path = dir.join(format!("{name}.sock"));
        let unborn_name = format!("{name}.{}.new", std::process::id());
        let unborn = dir.join(&unborn_name);
        let building = || {
            let (_held, short) = short_path(dir, &unborn_name)?;
            match std::fs::remove_file(&unborn) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let listener = UnixListener::bind(short)?;
            std::fs::set_permissions(&unborn, std::fs::Permissions::from_mode(0o600))?;
            Ok((listener, unborn.metadata()?.ino()))
        };
        let (listener, inode) =
            building().with_context(|| format!("listen at {}", unborn.display()))?;
        Ok(Self { listener, path, unborn, inode })
    }

    /// Puts it in the place of whoever was asked there before.
    pub(crate) fn open(&self) -> Result<()> {
        std::fs::rename(&self.unborn, &self.path)
            .with_context(|| format!("make {}", self.path.display()))
    }

    /// Waits until another process serves in our place; gives its process id.
    ///
    /// Those that fail before are told in the log; those that come while another one is at it are turned away.
    pub(crate) async fn successor(&self, legacy: &Legacy) -> i32 {
        loop {
            let stream = self.accept().await;
            let handing = hand_over(Visitor::new(stream), legacy);
            let handed = tokio::select! {
                handed = handing => handed,
                never = self.turn_away() => never,
            };
            match handed {
                Ok(pid) => return pid,
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "nobody took our place; going on");
                }
            }
        }
    }

    async fn accept(&self) -> UnixStream {
        loop {
            match self.listener.accept().await {
                Ok((stream, _address)) => return stream,
                Err(error) => {
                    tracing::warn!(%error, "a process that wants our place could not connect");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// Never ends.
    async fn turn_away<T>(&self) -> T {
        loop {
            let mut visitor = Visitor::new(self.accept().await);
            visitor.refusal = "another process is taking the place already";
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        for path in [&self.unborn, &self.path] {
            let is_ours = path.metadata().is_ok_and(|file| file.ino() == self.inode);
            if is_ours && let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "our socket for successors is left behind");
            }
        }
    }
}

/// Somebody at the door. Sent away in words, if it is dropped before it has our place: a connection that breaks off
/// without them means that we were killed.
struct Visitor {
    stream: UnixStream,
    refusal: &'static str,
    has_our_place: bool,
}

impl Visitor {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            refusal: "the running process does not wait for it any more",
            has_our_place: false,
        }
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        if !self.has_our_place
            && let Ok(words) =
                wire::framed(&FromPredecessor::Refused { why: self.refusal.to_owned() })
        {
            // Past tokio, which knows only what it has polled for. It has gone, or is told: nothing else can be done.
            let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
            let _told = rustix::net::send(&self.stream, &words, flags);
        }
    }
}

async fn hand_over(mut visitor: Visitor, legacy: &Legacy) -> Result<i32> {
    visitor.refusal = "the running process belongs to another user";
    check_peer(&visitor.stream).context("a process of another user asked for our place")?;
    let pid = visitor.stream.peer_cred()?.pid().ok_or_else(|| anyhow!("it has no process id"))?;
    visitor.refusal = "the running process does not wait for it any more";
    let first = timeout(ANSWER_TIMEOUT, wire::read(&mut visitor.stream)).await;
    let FromSuccessor::TakeOver { version } = first.context("it said nothing")?? else {
        bail!("it says that it serves and never asked");
    };
    tracing::info!(pid, %version, "another process asks for our place");
    timeout(ANSWER_TIMEOUT, give(&mut visitor.stream, legacy))
        .await
        .context("it does not take what it asked for")?
        .context("hand over what we have")?;
    let next = timeout(PATIENCE, wire::read(&mut visitor.stream)).await;
    let next = next.context("it did not come to serve in time")?;
    let FromSuccessor::Serving =
        next.with_context(|| format!("process {pid} ended before it served"))?
    else {
        bail!("it asked twice");
    };
    visitor.has_our_place = true;
    Ok(pid)
}

async fn give(stream: &mut UnixStream, legacy: &Legacy) -> io::Result<()> {
    let inventory = Inventory {
        n_listeners: legacy.listeners.len(),
        has_seat: legacy.seat.is_some(),
        tunnels: legacy.tunnels.uuids(),
    };
    wire::write(stream, &FromPredecessor::Legacy(inventory)).await?;
    let listeners = legacy.listeners.iter().map(AsFd::as_fd);
    for descriptor in listeners.chain(legacy.seat.as_ref().map(AsFd::as_fd)) {
        descriptors::send(stream, 0, descriptor).await?;
    }
    Ok(())
}
