//! The new process's end: what it gets from the one whose place it takes.

use super::wire::{self, FromPredecessor, FromSuccessor, check_peer, short_path};
use crate::data_dir::Seat;
use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::net::RecvFlags;
use std::fs::File;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;
use tunnel::descriptors;

/// A process that runs answers at once.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The process whose place we take. It serves until [`Predecessor::tell`]; dropped before, it goes on.
#[derive(Debug)]
pub(crate) struct Predecessor {
    stream: UnixStream,
}

/// What it handed over.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    /// Its listening sockets.
    pub(crate) listeners: Vec<TcpListener>,
    /// The right to be the one `wharf up`.
    pub(crate) seat: Option<Seat>,
    /// The containers that it has tunnels to.
    pub(crate) tunnels: Vec<String>,
}

impl Predecessor {
    /// Asks the process at `NAME.sock` for its place; none where there is no such process.
    pub(crate) async fn ask(dir: &Path, name: &str) -> Result<Option<(Self, Inherited)>> {
        let name = format!("{name}.sock");
        let path = dir.join(&name);
        let (_held, short) = short_path(dir, &name)?;
        let mut stream = match UnixStream::connect(short).await {
            Ok(stream) => stream,
            Err(error) if is_nobody(&error) => return Ok(None),
            Err(error) => {
                return Err(error).with_context(|| format!("connect to {}", path.display()));
            }
        };
        check_peer(&stream).context("the running process belongs to another user")?;
        let inherited = timeout(ANSWER_TIMEOUT, inherit(&mut stream))
            .await
            .with_context(|| format!("the process at {} does not answer", path.display()))?
            .context("take over from the running process")?;
        Ok(Some((Self { stream }, inherited)))
    }

    /// Errs where it does not wait for us any more. One that was killed is no reason to give up.
    pub(crate) fn check(&self) -> Result<()> {
        let mut words = [0; 1024];
        // Asked of the kernel itself: tokio knows only what it has polled for.
        match rustix::net::recv(&self.stream, &mut words, RecvFlags::DONTWAIT) {
            Err(Errno::WOULDBLOCK) => Ok(()),
            Ok((n, _)) if n > size_of::<u32>() => {
                let said = serde_json::from_slice(&words[size_of::<u32>()..n]);
                match said {
                    Ok(FromPredecessor::Refused { why }) => bail!("cannot take its place: {why}"),
                    _ => bail!("the running process says something that we do not understand"),
                }
            }
            Ok(_) | Err(_) => {
                tracing::warn!("the process whose place we take was killed; going on without it");
                Ok(())
            }
        }
    }

    /// Tells it that we serve; from now on it only ends what it has begun.
    pub(crate) async fn tell(mut self) {
        let telling = wire::write(&mut self.stream, &FromSuccessor::Serving);
        match timeout(ANSWER_TIMEOUT, telling).await {
            Ok(Ok(())) => tracing::info!("took over from the process that ran before"),
            Ok(Err(error)) => tracing::warn!(%error, "the process that ran before has gone"),
            Err(_elapsed) => tracing::warn!("the process that ran before does not listen"),
        }
    }
}

/// Nobody listens there: nothing was ever started, it was stopped, or it was killed.
fn is_nobody(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

async fn inherit(stream: &mut UnixStream) -> Result<Inherited> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    // One that turns us away may have hung up before we asked: then its words count, and not that.
    let _asked = wire::write(stream, &FromSuccessor::TakeOver { version }).await;
    let inventory = match wire::read(stream).await? {
        FromPredecessor::Legacy(inventory) => inventory,
        FromPredecessor::Refused { why } => bail!("{why}"),
    };
    let mut inherited = Inherited { tunnels: inventory.tunnels, ..Inherited::default() };
    for _listener in 0..inventory.n_listeners {
        inherited.listeners.push(TcpListener::from(next_descriptor(stream).await?));
    }
    if inventory.has_seat {
        inherited.seat = Some(Seat::from(File::from(next_descriptor(stream).await?)));
    }
    Ok(inherited)
}

async fn next_descriptor(stream: &UnixStream) -> Result<OwnedFd> {
    let (_byte, descriptor) = descriptors::receive(stream).await?;
    descriptor.context("a descriptor did not arrive: is the limit of open files reached?")
}
