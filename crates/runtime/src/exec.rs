//! Further commands in a container that runs, as whoever wants them holds them.

use crate::error::{ExecError, Gone, StartError};
use crate::link::Link;
use crate::spec::{ExecSpec, ExitStatus, Signal};
use crate::wire::{self, ToShim};
use std::future::{Future as _, poll_fn};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::sync::oneshot;

/// What became of a start: the streams, or why there is none.
pub(crate) type Started = Result<Vec<OwnedFd>, StartError>;

/// Longest message with a command: it goes through the socket whole or not at all.
const COMMAND_BYTES_MAX: usize = 24 << 10;

/// How long a start may take. It takes milliseconds; a container whose processes are all held may never let it come.
const START_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs further commands in one container. Cheap to clone; a clone that outlives the container answers
/// [`ExecError::Gone`].
#[derive(Debug, Clone)]
pub struct Executor {
    link: Arc<Link>,
}

/// A further command that runs. It ends with the container; dropping this does not end it.
#[derive(Debug)]
pub struct Exec {
    link: Arc<Link>,
    id: u32,
    ended: oneshot::Receiver<ExitStatus>,
    status: Option<ExitStatus>,
}

/// What connects to a command. Blocking descriptors, as the kernel made them.
#[derive(Debug)]
pub enum ExecStreams {
    /// The other end of its terminal. Closing it hangs up: the command gets SIGHUP.
    Terminal(OwnedFd),
    /// Pipes.
    Pipes {
        /// To be written to; closing it is the end of the command's input.
        input: OwnedFd,
        /// To be read from.
        output: OwnedFd,
        /// To be read from.
        error: OwnedFd,
    },
}

impl Executor {
    pub(crate) fn new(link: Arc<Link>) -> Self {
        Self { link }
    }

    /// Starts a command. When this resolves, its program runs. Dropped before, what was started is killed.
    pub async fn start(&self, spec: ExecSpec) -> Result<(Exec, ExecStreams), ExecError> {
        let (id, start, ended) = self.link.expect_exec();
        let mut undo = Undo { link: Some(Arc::clone(&self.link)), id };
        let message = ToShim::Exec { id, spec: Box::new(spec) };
        let length = wire::encode(&message).map_or(usize::MAX, |frame| frame.len());
        if length > COMMAND_BYTES_MAX {
            return Err(ExecError::TooLong { max: COMMAND_BYTES_MAX });
        }
        self.link.send_to_container(&message).await.map_err(|_gone| ExecError::Gone)?;
        let streams = match tokio::time::timeout(START_TIMEOUT, start).await {
            Ok(Ok(started)) => started.map_err(ExecError::Start)?,
            Ok(Err(_closed)) => return Err(ExecError::Gone),
            Err(_elapsed) => {
                let problem = format!("no answer for {} seconds", START_TIMEOUT.as_secs());
                return Err(ExecError::Start(StartError::Helper { problem }));
            }
        };
        let streams = ExecStreams::of(streams).ok_or_else(|| {
            let problem = "it sent the wrong number of streams".to_owned();
            ExecError::Start(StartError::Helper { problem })
        })?;
        undo.link = None;
        Ok((Exec { link: Arc::clone(&self.link), id, ended, status: None }, streams))
    }
}

/// Ends a command whose start nobody waits for any more.
struct Undo {
    link: Option<Arc<Link>>,
    id: u32,
}

impl Drop for Undo {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            link.forget_exec(self.id);
            // Where that cannot be written now the command stays until the container's end, without a reader.
            let _gone = link.try_send(&ToShim::KillExec { id: self.id });
        }
    }
}

impl ExecStreams {
    fn of(streams: Vec<OwnedFd>) -> Option<Self> {
        let mut streams = streams.into_iter();
        match (streams.next(), streams.next(), streams.next()) {
            (Some(terminal), None, None) => Some(Self::Terminal(terminal)),
            (Some(input), Some(output), Some(error)) => Some(Self::Pipes { input, output, error }),
            _ => None,
        }
    }
}

impl Exec {
    /// Sends a signal to the command's process group.
    pub async fn signal(&self, signal: Signal) -> Result<(), Gone> {
        self.link.send(&ToShim::SignalExec { id: self.id, signal: signal.as_raw() }).await
    }

    /// Kills the command and all processes of its session.
    pub async fn kill(&self) {
        // A container that has ended needs no killing.
        let _gone = self.link.send(&ToShim::KillExec { id: self.id }).await;
    }

    /// Waits for the command's end. Cancel-safe; every call gives the same answer.
    pub async fn wait(&mut self) -> ExitStatus {
        poll_fn(|cx| self.poll_wait(cx)).await
    }

    /// Poll form of [`Self::wait`].
    pub fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<ExitStatus> {
        if let Some(status) = self.status {
            return Poll::Ready(status);
        }
        let ended = ready!(Pin::new(&mut self.ended).poll(cx));
        // Without the shim everything in the container is killed by the kernel.
        let status = ended.unwrap_or(ExitStatus::Signal(libc::SIGKILL));
        self.status = Some(status);
        Poll::Ready(status)
    }
}
