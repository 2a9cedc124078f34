//! The tunnels to the controllers, one to each: kept up for as long as the supervisor lives.
//!
//! Controllers come and go at any time. Each has an entry in one directory, which the gateway looks
//! into when somebody knocks, and every second anyway (inotify would take one of the 128 instances
//! that a user has by default, for each container). It dials those that are new, redials those that
//! broke off with a growing, jittered wait, forgets those whose entry has gone, and tells the whole
//! state on each new connection. The container neither notices nor waits.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lifecycle::{Backoff, BackoffPolicy, CancellationToken, TaskScope};
use model::SupervisorState;
use runtime::Dialer;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, timeout};
use tunnel::{CloseReason, LaunchSecret, Limits, Role, SecureIo, Transport};

use crate::bridge::Shut;
use crate::files::Files;
use crate::logs::ProgressReceiver;
use crate::logs::journal::Journal;
use crate::machine::Event;
use crate::shell::Shells;

use controllers::Entry;

mod control;
mod controllers;
pub(crate) mod handover;
mod streams;

/// A local socket costs nothing to try. One that stays silent is a killed controller's, whose
/// successor has another entry.
const RECONNECT: BackoffPolicy =
    BackoffPolicy { first: Duration::from_millis(25), max: Duration::from_secs(2) };

/// Between looks at who is there, for who has no tunnel or may be on another machine, where no knock is heard.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// The same where every controller can knock and one has a tunnel: only a lost knock is found by that, and a thousand
/// idle services must not wake the machine a thousand times a second.
const LOOK_PERIOD_AT_REST: Duration = Duration::from_secs(10);

/// A controller that is alive accepts and proves itself within milliseconds, seconds under load.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection that lives this long was a good one: the next loss is tried again at once.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// What the gateway serves from and reports to.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    /// Where each controller has its entry.
    pub(crate) tunnels: PathBuf,
    /// Somebody asks to be noticed: look there.
    pub(crate) knocks: Arc<Notify>,
    /// Names the container in the handshake.
    pub(crate) container: String,
    /// Proves that we were launched for it.
    pub(crate) secret: LaunchSecret,
    /// Set once the container runs.
    pub(crate) dialer: watch::Receiver<Option<Dialer>>,
    /// What the controller is told, whole, on every change.
    pub(crate) state: watch::Receiver<SupervisorState>,
    /// Where Stop and Ack go.
    pub(crate) events: mpsc::Sender<Event>,
    /// Ways out that are shut, as the controllers have it.
    pub(crate) shut: Arc<watch::Sender<Shut>>,
    /// Where the logs are.
    pub(crate) logs: Logs,
    /// Shells in the container.
    pub(crate) shells: Shells,
}

/// The log files and how far each is.
#[derive(Debug, Clone)]
pub(crate) struct Logs {
    /// Their paths.
    pub(crate) files: Files,
    /// Standard output.
    pub(crate) stdout: ProgressReceiver,
    /// Standard error.
    pub(crate) stderr: ProgressReceiver,
    /// Our own words.
    pub(crate) journal: Journal,
}

/// Why one connection came to nothing.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("cannot connect to {entry:?}")]
    Connect { entry: Entry, source: io::Error },
    #[error("the controller did not accept us")]
    Handshake(#[from] tunnel::HandshakeError),
    #[error("the controller did not answer in {} s", HANDSHAKE_TIMEOUT.as_secs())]
    TimedOut,
}

impl Gateway {
    /// Keeps a tunnel to each controller until dropped; all its tasks live in `scope`.
    pub(crate) async fn run(self, scope: TaskScope) {
        let mut listed: BTreeMap<Entry, CancellationToken> = BTreeMap::new();
        let standing = Arc::new(AtomicUsize::new(0));
        let mut last_complaint = String::new();
        loop {
            match controllers::list(&self.tunnels) {
                Ok(found) => {
                    listed.retain(|entry, gone| {
                        found.contains(entry) || {
                            gone.cancel();
                            false
                        }
                    });
                    for entry in found {
                        listed.entry(entry).or_insert_with_key(|entry| {
                            let gone = CancellationToken::new();
                            let keeper = Keeper {
                                gateway: self.clone(),
                                entry: entry.clone(),
                                standing: Arc::clone(&standing),
                                gone: gone.clone(),
                            };
                            scope.spawn_cancellable("controller", keeper.run(scope.clone()));
                            gone
                        });
                    }
                }
                Err(error) => complain(&mut last_complaint, lines_of(&error)),
            }
            let rests = standing.load(Ordering::Relaxed) > 0 && listed.keys().all(Entry::can_knock);
            let period = if rests { LOOK_PERIOD_AT_REST } else { LOOK_PERIOD };
            tokio::select! {
                () = self.knocks.notified() => {}
                () = tokio::time::sleep(period) => {}
            }
        }
    }

    async fn connect(&self, entry: &Entry) -> Result<SecureIo<Box<dyn Transport>>, ConnectError> {
        // A tunnel lives long and is made seldom: its future need not weigh on its owner's.
        let connecting = Box::pin(async {
            let io = dial(entry)
                .await
                .map_err(|source| ConnectError::Connect { entry: entry.clone(), source })?;
            Ok(tunnel::secure::dial(io, &self.container, &self.secret).await?)
        });
        timeout(HANDSHAKE_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_elapsed| Err(ConnectError::TimedOut))
    }

    /// Serves one connection until it ends.
    async fn session(&self, io: SecureIo<Box<dyn Transport>>, scope: &TaskScope) -> CloseReason {
        let (tunnel, incoming, driver) = tunnel::start(io, Role::Supervisor, Limits::supervisor());
        let scope = scope.child("tunnel");
        let heard = control::Heard { events: self.events.clone(), shut: Arc::clone(&self.shut) };
        let control = control::serve(tunnel.clone(), self.state.clone(), heard);
        scope.spawn_cancellable("control", control);
        scope.spawn_cancellable("streams", streams::serve(incoming, self.clone(), scope.clone()));
        let reason = driver.await;
        // Streams of a dead tunnel fail by themselves; log followers may be waiting elsewhere.
        scope.cancel();
        reason
    }
}

/// What keeps the tunnel to one controller.
struct Keeper {
    gateway: Gateway,
    entry: Entry,
    /// Tunnels of all controllers that stand now.
    standing: Arc<AtomicUsize>,
    gone: CancellationToken,
}

impl Keeper {
    /// Connects, serves, and connects again until the entry has gone. A tunnel that stands then goes on to its own
    /// end: a controller that leaves still carries streams.
    async fn run(self, scope: TaskScope) {
        let mut backoff = Backoff::new(RECONNECT);
        let mut last_complaint = String::new();
        loop {
            let waiting = tokio::time::sleep(backoff.next_wait());
            if self.gone.run_until_cancelled(waiting).await.is_none() {
                return;
            }
            let began = Instant::now();
            let words = match self.gateway.connect(&self.entry).await {
                Ok(io) => {
                    last_complaint.clear();
                    self.standing.fetch_add(1, Ordering::Relaxed);
                    let reason = self.gateway.session(io, &scope).await;
                    self.standing.fetch_sub(1, Ordering::Relaxed);
                    // Its controller may have gone, and another one come whose knock was lost.
                    self.gateway.knocks.notify_one();
                    format!("tunnel ended: {reason}")
                }
                Err(error) => lines_of(&error),
            };
            if began.elapsed() >= STABLE_AFTER {
                backoff.reset();
            }
            complain(&mut last_complaint, words);
        }
    }
}

/// A connection to the controller behind an entry.
async fn dial(entry: &Entry) -> io::Result<Box<dyn Transport>> {
    match entry {
        Entry::Socket(path) => Ok(Box::new(dial_socket(path).await?)),
        Entry::Address(address) => {
            let stream = TcpStream::connect(address).await?;
            // Small frames must not wait for the acknowledgement of those before.
            stream.set_nodelay(true)?;
            Ok(Box::new(stream))
        }
    }
}

/// Connects by way of the open directory: the address of a Unix socket holds 107 bytes, and a data
/// directory may lie deeper than that.
async fn dial_socket(socket: &Path) -> io::Result<UnixStream> {
    let (Some(dir), Some(name)) = (socket.parent(), socket.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir = std::fs::File::open(dir)?;
    let short = Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name);
    UnixStream::connect(short).await
}

/// The same complaint ten times a second helps nobody.
fn complain(last: &mut String, words: String) {
    if words != *last {
        tracing::debug!(reason = %words, "no tunnel to a controller");
        *last = words;
    }
}

/// The error with its sources, in one line.
fn lines_of(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        words = format!("{words}: {error}");
        source = error.source();
    }
    words
}
