//! One session: a command, its terminal or pipes, and the client of the moment.
//!
//! One task owns all of it and moves whatever can move; it waits for nobody in particular.
//!
//! ```text
//!              client gone, time over, End        command ended          output at its end, told
//!   Running ───────────────────────────► Ending ───────────────► Draining ──────► Telling ──────► over
//!      └───────────────────────────────────────────────────────────┘
//! ```
//! In `Ending` the command has lost its terminal or pipes and has got SIGHUP; what is left of it is killed in a while.

mod traffic;

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use model::shell::{FromShell, ShellOpened, ShellRefused, TerminalSize};
use runtime::{Exec, ExecStreams, ExitStatus, Signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::channel::Channel;
use super::client::Client;
use super::refusal;
use super::scrollback::Scrollback;

/// After SIGHUP, until everything of the session is killed.
const HANGUP_GRACE: Duration = Duration::from_secs(5);
/// What others of the container still write after the command's end is waited for so long.
const DRAIN_TIMEOUT: Duration = Duration::from_millis(500);
/// Rounds before other tasks get a turn.
const ROUNDS_PER_POLL: usize = 16;

/// A client that comes to a session.
#[derive(Debug)]
pub(super) struct Attach {
    pub(super) client: Client,
    pub(super) size: Option<TerminalSize>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Session {
    name: String,
    exec: Exec,
    is_terminal: bool,
    /// None once the command's input has ended.
    input: Option<Arc<Channel>>,
    unwritten: VecDeque<u8>,
    input_ends: bool,
    outputs: Vec<Output>,
    client: Option<Client>,
    arriving: mpsc::Receiver<Attach>,
    keep: Duration,
    phase: Phase,
    status: Option<ExitStatus>,
    /// How it came to its end, where that was not the command's own doing.
    cause: Option<&'static str>,
}

#[derive(Debug)]
struct Output {
    /// None at its end.
    channel: Option<Arc<Channel>>,
    kept: Scrollback,
    is_error: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Phase {
    /// With a client, or without one until then.
    Running(Option<Instant>),
    Ending(Instant),
    Draining(Instant),
    Telling(Instant),
}

/// What only the loop can do.
enum Step {
    /// Wait until another moment.
    Again,
    Signal(u8),
    HangUp(&'static str),
    Replaced(Client),
    Over,
}

impl Session {
    pub(super) fn new(
        name: String,
        exec: Exec,
        streams: ExecStreams,
        client: Client,
        arriving: mpsc::Receiver<Attach>,
        keep: Duration,
    ) -> io::Result<Self> {
        let is_terminal = matches!(streams, ExecStreams::Terminal(_));
        let (input, outputs) = match streams {
            ExecStreams::Terminal(terminal) => {
                let channel = Arc::new(Channel::new(terminal)?);
                (Arc::clone(&channel), vec![Output::of(channel, false)])
            }
            ExecStreams::Pipes { input, output, error } => {
                let channel = |end| Channel::new(end).map(Arc::new);
                let outputs =
                    vec![Output::of(channel(output)?, false), Output::of(channel(error)?, true)];
                (channel(input)?, outputs)
            }
        };
        Ok(Self {
            name,
            exec,
            is_terminal,
            input: Some(input),
            unwritten: VecDeque::new(),
            input_ends: false,
            outputs,
            client: Some(client),
            arriving,
            keep,
            phase: Phase::Running(None),
            status: None,
            cause: None,
        })
    }

    /// Runs to the end of everything; answers how it ended, in words.
    pub(super) async fn run(mut self) -> String {
        loop {
            let deadline = self.deadline();
            let step = tokio::select! {
                step = poll_fn(|cx| match self.poll(cx) {
                    Poll::Pending if self.deadline() != deadline => Poll::Ready(Step::Again),
                    polled => polled,
                }) => step,
                () = at(deadline) => match self.after_deadline().await {
                    Some(step) => step,
                    None => continue,
                },
            };
            match step {
                Step::Signal(number) => {
                    if let Some(signal) = Signal::from_raw(i32::from(number)) {
                        // A container that is over tells so by the command's end.
                        let _gone = self.exec.signal(signal).await;
                    }
                }
                Step::HangUp(cause) => self.hang_up(cause).await,
                Step::Replaced(old) => {
                    let message = "the session goes on in another window";
                    old.refuse(refusal(ShellRefused::TakenOver, message)).await;
                }
                Step::Again => {}
                Step::Over => break,
            }
        }
        if let Some(client) = self.client.take() {
            client.finish().await;
        }
        self.words()
    }

    fn words(&self) -> String {
        let how = match self.status {
            Some(ExitStatus::Code(code)) => format!("exit code {code}"),
            Some(ExitStatus::Signal(signal)) => format!("signal {signal}"),
            None => "unknown".to_owned(),
        };
        match self.cause {
            Some(cause) => format!("{cause}, {how}"),
            None => how,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Running(until) => until,
            Phase::Ending(at) | Phase::Draining(at) | Phase::Telling(at) => Some(at),
        }
    }

    async fn after_deadline(&mut self) -> Option<Step> {
        match self.phase {
            Phase::Running(_) => return Some(Step::HangUp("nobody came back")),
            Phase::Ending(_) => {
                self.exec.kill().await;
                self.phase = Phase::Ending(Instant::now() + HANGUP_GRACE);
            }
            Phase::Draining(_) => self.outputs.iter_mut().for_each(|output| output.channel = None),
            Phase::Telling(_) => return Some(Step::Over),
        }
        None
    }

    /// The terminal's end is SIGHUP to whoever is in its foreground; the signal is for those without one.
    async fn hang_up(&mut self, cause: &'static str) {
        if !matches!(self.phase, Phase::Running(_)) {
            return;
        }
        self.cause = Some(cause);
        self.phase = Phase::Ending(Instant::now() + HANGUP_GRACE);
        self.input = None;
        for output in &mut self.outputs {
            output.channel = None;
        }
        let _gone = self.exec.signal(Signal::HUP).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        for _ in 0..ROUNDS_PER_POLL {
            let mut moved = self.poll_end(cx);
            if let Poll::Ready(Some(attach)) = self.arriving.poll_recv(cx) {
                if let Some(old) = self.attach(attach) {
                    return Poll::Ready(Step::Replaced(old));
                }
                moved = true;
            }
            match self.poll_client(cx) {
                Poll::Ready(Some(step)) => return Poll::Ready(step),
                Poll::Ready(None) => moved = true,
                Poll::Pending => {}
            }
            moved |= self.poll_input(cx);
            moved |= self.poll_outputs(cx);
            moved |= self.send();
            if self.tell() {
                return Poll::Ready(Step::Over);
            }
            moved |= self.poll_flush(cx);
            if !moved {
                return Poll::Pending;
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> bool {
        if self.status.is_some() {
            return false;
        }
        let Poll::Ready(status) = self.exec.poll_wait(cx) else { return false };
        self.status = Some(status);
        self.input = None;
        self.phase = Phase::Draining(Instant::now() + DRAIN_TIMEOUT);
        true
    }

    /// A client comes; the one before goes.
    fn attach(&mut self, Attach { mut client, size }: Attach) -> Option<Client> {
        let keep_ms = u64::try_from(self.keep.as_millis()).unwrap_or(u64::MAX);
        let opened = ShellOpened { session: self.name.clone(), resumed: true, keep_ms };
        client.queue(&FromShell::Opened(opened));
        for output in &mut self.outputs {
            output.kept.rewind();
        }
        if let (Some(channel), Some(size)) = (&self.input, size) {
            // Programs that fill the screen draw it anew when its size changes.
            channel.resize(size.columns, size.rows.saturating_sub(1).max(1));
            channel.resize(size.columns, size.rows);
        }
        if let Phase::Running(until) = &mut self.phase {
            *until = None;
        }
        // One that has gone needs no telling.
        self.client.replace(client).filter(|old| !old.is_away)
    }
}

impl Output {
    fn of(channel: Arc<Channel>, is_error: bool) -> Self {
        Self { channel: Some(channel), kept: Scrollback::default(), is_error }
    }
}

/// Never, if there is no deadline.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
