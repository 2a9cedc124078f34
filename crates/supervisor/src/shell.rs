//! Shells in the container: sessions that outlive their clients.
//!
//! The controller opens a stream of its own kind for each client and says first for whom (`model::shell`). A session with
//! a terminal stays when its client goes, keeps the end of its output, and ends when nobody has come back in time; one
//! without ends with its client. Who may have one is the controller's to decide; that only the user who began a session
//! goes on with it is seen to here.

mod channel;
mod client;
mod scrollback;
mod session;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lifecycle::TaskScope;
use model::UserUuid;
use model::shell::{FromShell, ShellBegin, ShellOpened, ShellRefusal, ShellRefused, ToShell};
use ring::rand::{SecureRandom as _, SystemRandom};
use runtime::{ExecError, ExecSpec, Executor, TerminalSize};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tunnel::Request;

use crate::logs::journal::Journal;
use client::Client;
use session::{Attach, Session};

/// A controller says at once what it opened the stream for.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Clients that come to one session at the same moment.
const ARRIVALS_MAX: usize = 4;
/// Longest name of a terminal's kind.
const TERM_BYTES_MAX: usize = 64;
/// Random bytes of a session's name.
const NAME_BYTES: usize = 16;

/// The sessions of the container. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Shells(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    executor: watch::Receiver<Option<Executor>>,
    journal: Journal,
    /// Of the sessions, which outlive the tunnels.
    scope: TaskScope,
    sessions: Mutex<HashMap<String, Entry>>,
}

#[derive(Debug)]
struct Entry {
    user: UserUuid,
    /// None while it is being made, and of one that nobody can come back to.
    arrivals: Option<mpsc::Sender<Attach>>,
}

impl Shells {
    pub(crate) fn new(
        executor: watch::Receiver<Option<Executor>>,
        journal: Journal,
        scope: TaskScope,
    ) -> Self {
        Self(Arc::new(Inner { executor, journal, scope, sessions: Mutex::default() }))
    }

    /// Serves one client: starts a session for it, or brings it to its own.
    pub(crate) async fn serve(&self, request: Request) {
        let mut client = Client::new(request.accept());
        let begin = match timeout(BEGIN_TIMEOUT, client.frame()).await {
            Ok(Some(ToShell::Begin(begin))) => begin,
            Ok(Some(_)) => return client.refuse(malformed("the first frame says nothing")).await,
            Ok(None) | Err(_) => return,
        };
        let served = match begin.request.session.clone() {
            Some(session) => self.resume(&session, &begin, client).await,
            None => self.begin(&begin, client).await,
        };
        if let Err((client, refusal)) = served {
            client.refuse(refusal).await;
        }
    }

    async fn resume(
        &self,
        session: &str,
        begin: &ShellBegin,
        client: Client,
    ) -> Result<(), (Client, ShellRefusal)> {
        let arrivals = {
            let sessions = self.lock();
            let entry = sessions.get(session).filter(|entry| entry.user == begin.user);
            entry.and_then(|entry| entry.arrivals.clone())
        };
        let none = || {
            let message =
                "the session is not there any more: it has ended, or nobody came back in time";
            refusal(ShellRefused::NoSession, message)
        };
        let Some(arrivals) = arrivals else { return Err((client, none())) };
        let attach = Attach { client, size: begin.request.terminal };
        arrivals.try_send(attach).map_err(|refused| (refused.into_inner().client, none()))
    }

    async fn begin(
        &self,
        begin: &ShellBegin,
        mut client: Client,
    ) -> Result<(), (Client, ShellRefusal)> {
        let Some(place) = self.take_place(begin) else {
            let message = format!(
                "the container has {} shells already (Terminals.MaxPerContainer): end one of them",
                begin.sessions_max
            );
            return Err((client, refusal(ShellRefused::TooMany, &message)));
        };
        let executor = self.0.executor.borrow().clone();
        let Some(executor) = executor else {
            let message = "the container does not run yet";
            return Err((client, refusal(ShellRefused::NotRunning, message)));
        };
        let spec = match spec_of(begin) {
            Ok(spec) => spec,
            Err(refusal) => return Err((client, refusal)),
        };
        let (exec, streams) = match executor.start(spec).await {
            Ok(started) => started,
            Err(error) => return Err((client, cannot_run(&error))),
        };
        let keep = Duration::from_millis(begin.keep_ms);
        let (arrivals, arriving) = mpsc::channel(ARRIVALS_MAX);
        client.queue(&FromShell::Opened(ShellOpened {
            session: place.name.clone(),
            resumed: false,
            keep_ms: begin.keep_ms,
        }));
        let session = match Session::new(place.name.clone(), exec, streams, client, arriving, keep)
        {
            Ok(session) => session,
            // The client is gone with it: dropping its stream says so.
            Err(error) => {
                tracing::warn!(%error, "a shell has no streams");
                return Ok(());
            }
        };
        if begin.request.terminal.is_some() {
            place.can_be_resumed(arrivals);
        }
        let journal = self.0.journal.clone();
        let kind = if begin.request.terminal.is_some() { "a terminal" } else { "a command" };
        let what = begin.request.command.first().map_or("a shell", String::as_str);
        journal.say(&format!("{kind} of {} began: {what} (session {})", begin.user, place.name));
        let user = begin.user;
        self.0.scope.spawn_cancellable("shell", async move {
            let how = session.run().await;
            journal.say(&format!("{kind} of {user} ended: {how} (session {})", place.name));
        });
        Ok(())
    }

    /// A place among the sessions, under a new name; none where all are taken.
    fn take_place(&self, begin: &ShellBegin) -> Option<Place> {
        let mut sessions = self.lock();
        if sessions.len() >= begin.sessions_max {
            return None;
        }
        let name = new_name()?;
        sessions.insert(name.clone(), Entry { user: begin.user, arrivals: None });
        drop(sessions);
        Some(Place { shells: self.clone(), name })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.0.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A session's place, free again when dropped.
#[derive(Debug)]
struct Place {
    shells: Shells,
    name: String,
}

impl Place {
    fn can_be_resumed(&self, arrivals: mpsc::Sender<Attach>) {
        if let Some(entry) = self.shells.lock().get_mut(&self.name) {
            entry.arrivals = Some(arrivals);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shells.lock().remove(&self.name);
    }
}

fn new_name() -> Option<String> {
    let mut bytes = [0; NAME_BYTES];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What the runtime is asked for.
fn spec_of(begin: &ShellBegin) -> Result<ExecSpec, ShellRefusal> {
    let request = &begin.request;
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._+".contains(&byte);
    let term = match request.term.as_str() {
        "" => "xterm-256color",
        term if term.len() <= TERM_BYTES_MAX && term.bytes().all(is_plain) => term,
        _ => return Err(malformed("term: is no name of a terminal's kind")),
    };
    if request.command.iter().any(|word| word.contains('\0')) {
        return Err(malformed("command: a zero byte is in it"));
    }
    let terminal = request.terminal.map(size_of);
    let env = terminal.map(|_| ("TERM".to_owned(), term.to_owned()));
    Ok(ExecSpec { argv: request.command.clone(), terminal, env: env.into_iter().collect() })
}

fn size_of(size: model::shell::TerminalSize) -> TerminalSize {
    TerminalSize { columns: size.columns, rows: size.rows }
}

fn cannot_run(error: &ExecError) -> ShellRefusal {
    let reason = match error {
        ExecError::Gone => ShellRefused::NotRunning,
        ExecError::TooLong { .. } | ExecError::Start(_) => ShellRefused::CannotRun,
    };
    refusal(reason, &error.to_string())
}

fn malformed(problem: &str) -> ShellRefusal {
    refusal(ShellRefused::Malformed, problem)
}

fn refusal(reason: ShellRefused, message: &str) -> ShellRefusal {
    ShellRefusal { reason, message: message.to_owned() }
}
