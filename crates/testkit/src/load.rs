//! Steady load from well-behaved clients, of which not one request may fail.
//!
//! Each client is a thread that asks, checks the answer, thinks a moment and asks again. It may open a new connection
//! where the peer said before that the old one is over (`Connection: close`, GOAWAY); everything else is a failure:
//! nothing is tried again.

mod plain;
mod tls;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{BOUND, Service, Wharf, wait_for};

/// Bytes of a request's body.
const BODY_BYTES: usize = 64 * 1024;
/// Failures kept of each client; the first one says it all.
const FAILURES_KEPT: usize = 5;

/// Where the clients ask.
#[derive(Debug, Clone)]
struct Target {
    port: u16,
    service_host: String,
    api_host: String,
    bearer: String,
    ca_file: PathBuf,
}

/// One kind of client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// HTTP/1.1, one connection, without pause.
    KeepAlive,
    /// HTTP/1.1, one connection that is idle most of the time.
    Idle,
    /// HTTP/1.1, a connection for each request.
    Fresh,
    /// HTTP/1.1, POST with a body.
    Upload,
    /// HTTP/1.1 to the API, which reads the records.
    Api,
    /// HTTP/1.1 over TLS.
    Tls,
    /// HTTP/2 over TLS, four requests at a time, one with a body.
    Http2,
}

impl Client {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::KeepAlive, Self::Idle, Self::Fresh, Self::Upload, Self::Api, Self::Tls, Self::Http2];

    /// Between its requests: two cores have more to do than this.
    fn pause(self) -> Duration {
        match self {
            Self::Idle => Duration::from_millis(400),
            _ => Duration::from_millis(5),
        }
    }
}

/// What one client has done.
#[derive(Debug, Default)]
struct Tally {
    n_answered: AtomicU64,
    n_connections: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Tally {
    fn count(&self, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                self.n_answered.fetch_add(1, Ordering::Relaxed);
            }
            Err(words) => {
                let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                if failures.len() < FAILURES_KEPT {
                    failures.push(words);
                }
            }
        }
    }

    fn n_answered(&self) -> u64 {
        self.n_answered.load(Ordering::Relaxed)
    }
}

/// Clients at work; ended by [`Load::stop`].
#[derive(Debug)]
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: Vec<(Client, Arc<Tally>, JoinHandle<()>)>,
}

/// What all clients have done.
#[derive(Debug)]
pub struct Report {
    lines: Vec<(Client, u64, u64, Vec<String>)>,
}

impl Load {
    /// One client of each kind, at a service that is ready.
    #[must_use]
    pub fn start(wharf: &Wharf, service: &Service) -> Self {
        let target = Target {
            port: wharf.port(),
            service_host: service.host(),
            api_host: wharf.api_host(),
            bearer: format!("Bearer {}", service.token()),
            ca_file: wharf.data().join("ca.pem"),
        };
        let stop = Arc::new(AtomicBool::new(false));
        let clients = Client::ALL.map(|client| {
            let (tally, stop) = (Arc::new(Tally::default()), Arc::clone(&stop));
            let (target, counted) = (target.clone(), Arc::clone(&tally));
            let thread = std::thread::spawn(move || match client {
                Client::Tls | Client::Http2 => tls::run(client, &target, &counted, &stop),
                _ => plain::run(client, &target, &counted, &stop),
            });
            (client, tally, thread)
        });
        Self { stop, clients: clients.into() }
    }

    /// Waits until each client has had this many more answers, or failed.
    pub fn wait_for_more(&self, n: u64) {
        let goals: Vec<u64> =
            self.clients.iter().map(|(_, tally, _)| tally.n_answered() + n).collect();
        let has_failed = |tally: &Tally| {
            !tally.failures.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
        };
        wait_for("answers for each client", BOUND, || {
            let mut clients = self.clients.iter().zip(&goals);
            clients.all(|((_, tally, _), goal)| tally.n_answered() >= *goal || has_failed(tally))
        });
    }

    /// Ends the clients, and says what came of it.
    #[must_use]
    pub fn stop(self) -> Report {
        self.stop.store(true, Ordering::Relaxed);
        let lines = self.clients.into_iter().map(|(client, tally, thread)| {
            let died = thread.join().is_err();
            let mut failures =
                std::mem::take(&mut *tally.failures.lock().unwrap_or_else(PoisonError::into_inner));
            if died {
                failures.push("the client itself panicked".to_owned());
            }
            let n_connections = tally.n_connections.load(Ordering::Relaxed);
            (client, tally.n_answered(), n_connections, failures)
        });
        Report { lines: lines.collect() }
    }
}

impl Report {
    /// Panics with all figures unless every request of every client was answered.
    #[track_caller]
    pub fn expect_no_failure(&self) {
        assert!(self.lines.iter().all(|(.., failures)| failures.is_empty()), "\n{self}");
        assert!(self.lines.iter().all(|(_, n_answered, ..)| *n_answered > 0), "\n{self}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (client, n_answered, n_connections, failures) in &self.lines {
            writeln!(f, "{client:?}: {n_answered} answered over {n_connections} connections")?;
            for words in failures {
                writeln!(f, "    FAILED: {words}")?;
            }
        }
        Ok(())
    }
}
