//! The other controllers on the data directory, and the one question that controllers have for each other: who uses a
//! container by way of you?
//!
//! Asked when somebody looks, over a socket in `run/peers/` that each of them has. Nothing is kept of the answers, so
//! that nothing of a controller that is gone is told; one that hangs is counted as silent.

use crate::replace::wire;
use crate::supervisors::{bind_unix, remove_dead};
use crate::visitors::seen_here;
use anyhow::{Context, Result};
use futures_util::future::join_all;
use lifecycle::TaskScope;
use model::ContainerUuid;
use model::visitors::Visitors;
use proxy::Proxy;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Answers come out of memory, within milliseconds; a page does not wait longer for them.
const PATIENCE: Duration = Duration::from_secs(1);
/// Questions that are answered at a time; further ones wait.
const AT_ONCE_MAX: usize = 16;
/// Out of descriptors: give way for a moment.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Where controllers find each other.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    dir: PathBuf,
    /// Of our own socket.
    own: String,
}

impl Peers {
    /// Makes nothing yet.
    pub(crate) fn new(dir: PathBuf) -> Result<Self> {
        let name = u64::from_be_bytes(crate::secrets::random_bytes()?);
        Ok(Self { dir, own: format!("{name:016x}.sock") })
    }

    /// Opens our own socket, removes those of controllers that were killed, and answers in tasks below `work`.
    pub(crate) async fn open(&self, proxy: &Arc<Proxy>, work: &TaskScope) -> Result<()> {
        remove_dead(&self.dir).await;
        let path = self.dir.join(&self.own);
        let listener = bind_unix(&self.dir, &format!("{}.new", self.own), &path)
            .with_context(|| format!("listen on {}", path.display()))?;
        let entry = Entry { listener, path };
        work.spawn_cancellable("peers", entry.answer(Arc::clone(proxy), work.clone()));
        Ok(())
    }

    /// What each of the others has seen of a container; one that does not answer in time is told as silent.
    pub(crate) async fn ask(&self, container: ContainerUuid) -> Vec<Visitors> {
        let entries = std::fs::read_dir(&self.dir).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let others = names.filter(|name| name.ends_with(".sock") && *name != self.own);
        let answers = join_all(others.map(|name| ask_one(&self.dir, name, container))).await;
        answers.into_iter().flatten().collect()
    }
}

/// None of one that is gone.
async fn ask_one(dir: &Path, name: String, container: ContainerUuid) -> Option<Visitors> {
    let asking = async {
        let (_held, short) = wire::short_path(dir, &name)?;
        let mut stream = UnixStream::connect(short).await?;
        wire::write(&mut stream, &container).await?;
        wire::read(&mut stream).await
    };
    match tokio::time::timeout(PATIENCE, asking).await {
        Ok(Ok(seen)) => Some(seen),
        Ok(Err(error)) if is_gone(&error) => None,
        failed => {
            tracing::warn!(?failed, name, "another controller does not say who uses a container");
            Some(Visitors { n_silent: 1, ..Visitors::default() })
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound)
}

/// Our socket: gone when dropped.
#[derive(Debug)]
struct Entry {
    listener: UnixListener,
    path: PathBuf,
}

impl Entry {
    /// Answers until dropped, in tasks below `scope`.
    async fn answer(self, proxy: Arc<Proxy>, scope: TaskScope) {
        let places = Arc::new(Semaphore::new(AT_ONCE_MAX));
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _address)) => {
                    let proxy = Arc::clone(&proxy);
                    scope.spawn_cancellable("peer", async move {
                        let answered = tokio::time::timeout(PATIENCE, answer(stream, &proxy)).await;
                        // Also a new controller that looks whether we are still there.
                        tracing::trace!(?answered, "another controller asked");
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "another controller could not ask");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn answer(mut stream: UnixStream, proxy: &Proxy) -> io::Result<()> {
    wire::check_peer(&stream)?;
    let container: ContainerUuid = wire::read(&mut stream).await?;
    wire::write(&mut stream, &seen_here(proxy, container)).await
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "our entry for other controllers is left behind");
        }
    }
}
