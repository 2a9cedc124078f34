//! `wharf shell`: a terminal in a container, or another command there whose output and exit code come out here exactly.

mod escapes;
mod local;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use client::{Client, ShellReceiver, ShellSender};
use lifecycle::{Backoff, BackoffPolicy};
use model::ContainerUuid;
use model::shell::{
    FromShell, INPUT_WINDOW_BYTES, ShellEnd, ShellOpened, ShellRefused, ShellRequest, ToShell,
};
use tokio::time::{Instant, sleep};

use crate::args::ShellArgs;
use crate::context::Context;
use crate::output;
use escapes::{Escapes, Typed};
use local::{Input, Local, Screen, Signals};

/// Added to a signal's number for the exit code, as shells do.
const SIGNAL_EXIT: i32 = 128;
/// How long a connection that broke is tried again; a controller is replaced in less.
const RECONNECT_BOUND: Duration = Duration::from_secs(60);
/// Between tries.
const RECONNECT: BackoffPolicy =
    BackoffPolicy { first: Duration::from_millis(100), max: Duration::from_secs(2) };

/// How one connection came to its end.
enum Over {
    Ended(ShellEnd),
    Detached,
    Lost,
    Refused(String),
}

pub(crate) async fn shell(context: &Context, args: ShellArgs) -> anyhow::Result<ExitCode> {
    let service = context.find(&args.id).await?;
    let container = service.live_container("nothing runs that a shell could be in")?;
    let has_terminal = !args.no_terminal && (args.terminal || local::is_terminal());
    let mut request = ShellRequest {
        command: args.command,
        terminal: has_terminal.then(local::size),
        term: if has_terminal { local::kind(&context.environment) } else { String::new() },
        session: args.session,
    };
    let mut local = Local::start(has_terminal).context("cannot use this terminal")?;
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let (mut connection, mut opened) = begin(&context.client, container, &request).await?;
    loop {
        let session = Session { local: &mut local, signals: &mut signals, has_terminal };
        let over = session.run(&mut connection).await;
        match over {
            Over::Ended(end) => return Ok(exit_code(end)),
            Over::Refused(words) => anyhow::bail!("{words}"),
            Over::Detached => {
                drop(local);
                let minutes = opened.keep_ms.div_ceil(60_000);
                output::remark(&format!(
                    "Detached. For {minutes} min `wharf shell {} --session {}` goes on with it.",
                    args.id, opened.session
                ));
                return Ok(ExitCode::SUCCESS);
            }
            Over::Lost if !has_terminal => anyhow::bail!("the connection to the container broke"),
            Over::Lost => {
                request.session = Some(opened.session.clone());
                request.terminal = Some(local::size());
                (connection, opened) = again(&context.client, container, &request).await?;
            }
        }
    }
}

type Connection = (ShellSender, ShellReceiver);

/// Opens a shell; in words, why there is none.
async fn begin(
    client: &Client,
    container: ContainerUuid,
    request: &ShellRequest,
) -> anyhow::Result<(Connection, ShellOpened)> {
    let (mut sender, mut receiver) = client.open_shell(container).await?;
    let asked = sender.send(&ToShell::Open(Box::new(request.clone()))).await;
    match receiver.next().await.filter(|_| asked.is_some()) {
        Some(FromShell::Opened(opened)) => Ok(((sender, receiver), opened)),
        Some(FromShell::Refused(refusal)) => anyhow::bail!("{}", refusal.message),
        Some(_) => {
            anyhow::bail!("the server does not speak our language: is it of another version?")
        }
        None => {
            let words = receiver.farewell().unwrap_or("the connection broke").to_owned();
            anyhow::bail!("no shell: {words}")
        }
    }
}

/// Goes on with a session after its connection broke.
async fn again(
    client: &Client,
    container: ContainerUuid,
    request: &ShellRequest,
) -> anyhow::Result<(Connection, ShellOpened)> {
    let begun = Instant::now();
    let mut backoff = Backoff::new(RECONNECT);
    loop {
        match begin(client, container, request).await {
            Ok(found) => return Ok(found),
            Err(error) if begun.elapsed() >= RECONNECT_BOUND => {
                return Err(error.context("the connection broke and cannot be made again"));
            }
            Err(_for_now) => sleep(backoff.next_wait()).await,
        }
    }
}

fn exit_code(end: ShellEnd) -> ExitCode {
    let code = match end {
        ShellEnd::Code(code) => code,
        ShellEnd::Signal(signal) => SIGNAL_EXIT + signal,
    };
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// What is typed and shown here, on one connection.
struct Session<'l> {
    local: &'l mut Local,
    signals: &'l mut Signals,
    has_terminal: bool,
}

/// How far one connection is.
struct Talk {
    has_terminal: bool,
    /// Input that may still be sent.
    room: u32,
    input_is_open: bool,
    /// How the command ended, while what it wrote is being shown.
    end: Option<ShellEnd>,
    /// It was told that nobody looks any more.
    is_told: bool,
}

impl Session<'_> {
    async fn run(self, (sender, receiver): &mut Connection) -> Over {
        let mut escapes = Escapes::default();
        let mut talk = Talk {
            has_terminal: self.has_terminal,
            room: INPUT_WINDOW_BYTES,
            input_is_open: true,
            end: None,
            is_told: false,
        };
        let Local { keys, screen, .. } = self.local;
        // What came before, on another connection, counts for that.
        screen.forget_given();
        loop {
            let frame = tokio::select! {
                frame = receiver.next(), if talk.end.is_none() => {
                    let Some(frame) = frame else {
                        let refused = receiver.farewell().map(|words| Over::Refused(words.to_owned()));
                        return refused.unwrap_or(Over::Lost);
                    };
                    match talk.heard(frame, screen) {
                        Some(over) => return over,
                        None => continue,
                    }
                },
                shown = screen.taken(), if talk.end.is_some() || !talk.is_told => {
                    match (shown, talk.end) {
                        (Some(n), _) => ToShell::Taken(n),
                        // All is shown: what the command left behind is its exit code.
                        (None, Some(end)) => return Over::Ended(end),
                        // Nobody looks any more (`| head`).
                        (None, None) => {
                            talk.is_told = true;
                            ToShell::End
                        }
                    }
                },
                input = keys.read(talk.room), if talk.input_is_open && talk.room > 0 => {
                    match talk.given(input, &mut escapes) {
                        Some(frame) => frame,
                        None => {
                            let _gone = sender.send(&ToShell::Detach).await;
                            return Over::Detached;
                        }
                    }
                },
                signal = self.signals.next() => match talk.signalled(&signal) {
                    Some(frame) => frame,
                    None => continue,
                },
            };
            // Where nobody hears it any more, the last words may still be on their way.
            let _gone = sender.send(&frame).await;
        }
    }
}

impl Talk {
    /// Takes a frame of the command's.
    fn heard(&mut self, frame: FromShell, screen: &mut Screen) -> Option<Over> {
        let has_room = match frame {
            FromShell::Output(bytes) => screen.show(bytes, false),
            FromShell::ErrorOutput(bytes) => screen.show(bytes, true),
            FromShell::Taken(n) => {
                self.room = self.room.saturating_add(n);
                true
            }
            FromShell::Ended(end) => {
                self.end = Some(end);
                screen.no_more();
                true
            }
            FromShell::Refused(refusal) => {
                return Some(match refusal.reason {
                    ShellRefused::TakenOver if self.has_terminal => Over::Detached,
                    _ => Over::Refused(refusal.message),
                });
            }
            FromShell::Opened(_) => true,
        };
        let words = "the server sends more output than it may: is it of another version?";
        (!has_room).then(|| Over::Refused(words.to_owned()))
    }

    /// What is to be sent of what was typed; none where it leads out.
    fn given(&mut self, input: Input, escapes: &mut Escapes) -> Option<ToShell> {
        match input {
            Input::Bytes(bytes) => match typed(self.has_terminal, escapes, &bytes) {
                Typed::Bytes(bytes) => {
                    let n = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                    self.room = self.room.saturating_sub(n);
                    Some(ToShell::Input(bytes))
                }
                Typed::Detach => None,
                Typed::End => Some(ToShell::End),
            },
            Input::End => {
                self.input_is_open = false;
                Some(match (self.has_terminal, local::is_typed()) {
                    (false, _) => ToShell::InputEnd,
                    // Of a terminal that is gone nothing more can come.
                    (true, true) => ToShell::End,
                    // What a program gave ends as what a person types does, with Ctrl-D.
                    (true, false) => ToShell::Input(vec![4]),
                })
            }
        }
    }

    fn signalled(&self, signal: &local::Signal) -> Option<ToShell> {
        match signal {
            local::Signal::Resized => self.has_terminal.then(|| ToShell::Resize(local::size())),
            // The way to end us is not the command's to refuse.
            local::Signal::Number(1 | 15) if self.has_terminal => Some(ToShell::End),
            local::Signal::Number(number) => Some(ToShell::Signal(*number)),
        }
    }
}

fn typed(has_terminal: bool, escapes: &mut Escapes, bytes: &[u8]) -> Typed {
    if has_terminal { escapes.typed(bytes) } else { Typed::Bytes(bytes.to_vec()) }
}
