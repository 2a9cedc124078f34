//! Carries the frames of one shell between its client's socket and the container's supervisor.
//!
//! When the client goes, a session with a terminal stays at the supervisor, and this end stays with it: to end it when
//! access is withdrawn, and to note its end.

use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use model::ContainerUuid;
use model::shell::{
    self, FromShell, ShellBegin, ShellEnd, ShellRefusal, ShellRefused, ShellRequest, ToShell,
};
use store::{Notice, TargetKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::entries::Noted;
use super::{Entrance, may_open};
use crate::caller_watch::{CallerWatch, Heard};
use crate::config::TerminalsConfig;
use crate::router::Api;
use crate::shells::{OpenShell, ShellIo};

/// A client says at once what it opened the socket for.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a supervisor may take to start a command, longer than its own bound.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(20);
/// How long one message may take to be taken by the client's side.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take to close its side.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a silent socket is asked whether its client is still there.
const PING_PERIOD: Duration = Duration::from_secs(30);
/// From the word that a session is to end until it has.
const END_TIMEOUT: Duration = Duration::from_secs(15);

/// Read from a supervisor at a time.
const READ_BYTES: usize = 16 << 10;

/// Why the carrying ends.
enum End {
    /// Its command ended.
    Ended(ShellEnd),
    /// The supervisor has another client for it, or it lost us.
    NotOurs,
    /// The caller may not any more.
    Withdrawn,
    /// The client went, with or without a word.
    ClientGone,
    /// The client does not speak our language.
    Nonsense,
}

/// One client's shell.
pub(super) struct Carrier {
    api: Api,
    watch: CallerWatch,
    container: ContainerUuid,
    limits: TerminalsConfig,
    /// Records that the right to it was read from.
    records: Vec<String>,
    /// One of the user's, also of a session that was left.
    _place: OpenShell,
}

impl Carrier {
    pub(super) fn new(api: Api, entrance: Entrance) -> Self {
        let Entrance { caller, path, container, limits, place } = entrance;
        let watch = CallerWatch::new(api.clone(), caller, &path);
        Self { api, watch, container, limits, records: Vec::new(), _place: place }
    }

    pub(super) async fn run(mut self, mut socket: WebSocket) {
        // A right that was taken away since it was asked for was heard by nobody.
        if !self.still_may().await {
            return close(&mut socket, close_code::POLICY, "access was withdrawn").await;
        }
        let Some((request, mut io)) = self.begin(&mut socket).await else { return };
        let mut frames = Frames::default();
        let first = timeout(BEGIN_TIMEOUT, frames.next(&mut io)).await;
        let opened = match first {
            Ok(Some(FromShell::Opened(opened))) => opened,
            Ok(Some(refused @ FromShell::Refused(_))) => {
                let _gone = send(&mut socket, &refused).await;
                return close(&mut socket, close_code::NORMAL, "").await;
            }
            Ok(_) | Err(_) => {
                let words = "the container's supervisor does not answer";
                return refuse(&mut socket, ShellRefused::NotRunning, words).await;
            }
        };
        let noted = Noted {
            container: self.container,
            session: opened.session.clone(),
            program: request.command.first().map(|word| word.chars().take(200).collect()),
            is_terminal: request.terminal.is_some(),
        };
        let began = noted.began(&self.api, &self.watch.caller, opened.resumed).await;
        if let Err(error) = began {
            // Nobody is in a container without an entry that says so.
            tracing::error!(?error, "a shell ends: its start cannot be noted");
            let _gone = write(&mut io, &ToShell::End).await;
            return close(&mut socket, close_code::ERROR, "the log cannot be written").await;
        }
        if send(&mut socket, &FromShell::Opened(opened)).await.is_none() {
            return self.stay(&noted, &mut io, &mut frames, End::ClientGone).await;
        }
        let end = self.carry(&mut socket, &mut io, &mut frames).await;
        let farewell = match &end {
            End::Ended(_) | End::NotOurs => Some((close_code::NORMAL, "")),
            End::Withdrawn => Some((close_code::POLICY, "access was withdrawn")),
            End::Nonsense => Some((close_code::PROTOCOL, "a malformed frame")),
            End::ClientGone => None,
        };
        let closing = async {
            if let Some((code, reason)) = farewell {
                close(&mut socket, code, reason).await;
            }
            drop(socket);
        };
        // The session's end does not wait for the client's.
        let staying = self.stay(&noted, &mut io, &mut frames, end);
        let ((), ()) = tokio::join!(closing, staying);
    }

    /// Reads what the client wants and asks the supervisor for it.
    async fn begin(&self, socket: &mut WebSocket) -> Option<(ShellRequest, Box<dyn ShellIo>)> {
        let open = match timeout(OPEN_TIMEOUT, socket.recv()).await.ok()?? {
            Ok(Message::Binary(frame)) => ToShell::decode(&frame).ok(),
            Ok(_) => None,
            Err(_) => return None,
        };
        let Some(ToShell::Open(request)) = open else {
            close(socket, close_code::PROTOCOL, "the first message must be an Open frame").await;
            return None;
        };
        let mut io = match self.api.shells().open(&self.container).await {
            Ok(io) => io,
            Err(words) => {
                refuse(socket, ShellRefused::NotRunning, &words).await;
                return None;
            }
        };
        let limits = &self.limits;
        let begin = ToShell::Begin(Box::new(ShellBegin {
            request: (*request).clone(),
            user: self.watch.caller.user.uuid,
            sessions_max: limits.per_container_max,
            keep_ms: u64::try_from(limits.keep_detached.as_millis()).unwrap_or(u64::MAX),
        }));
        if write(&mut io, &begin).await.is_none() {
            refuse(socket, ShellRefused::NotRunning, "the container's supervisor is gone").await;
            return None;
        }
        Some((*request, io))
    }

    /// Frames both ways, until something ends it.
    async fn carry(
        &mut self,
        socket: &mut WebSocket,
        io: &mut Box<dyn ShellIo>,
        frames: &mut Frames,
    ) -> End {
        let mut ping = tokio::time::interval(PING_PERIOD);
        loop {
            tokio::select! {
                message = socket.recv() => match message {
                    Some(Ok(Message::Binary(frame))) => match ToShell::decode(&frame) {
                        Ok(ToShell::Begin(_) | ToShell::Open(_)) | Err(_) => return End::Nonsense,
                        Ok(ToShell::Detach) => return End::ClientGone,
                        // A supervisor that hears nothing more may have left its last words.
                        Ok(sound) => {
                            let _gone = write(io, &sound).await;
                        }
                    },
                    Some(Ok(Message::Text(_))) => return End::Nonsense,
                    Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                    Some(Ok(Message::Close(_)) | Err(_)) | None => return End::ClientGone,
                },
                frame = frames.next(io) => {
                    let Some(frame) = frame else { return End::NotOurs };
                    let sent = send(socket, &frame).await;
                    match frame {
                        FromShell::Ended(end) => return End::Ended(end),
                        FromShell::Refused(_) => return End::NotOurs,
                        _ if sent.is_none() => return End::ClientGone,
                        _ => {}
                    }
                },
                heard = self.watch.hear() => if !self.after(heard).await {
                    return End::Withdrawn;
                },
                _tick = ping.tick() => {
                    let sent = timeout(SEND_TIMEOUT, socket.send(Message::Ping(Vec::new().into())));
                    if !matches!(sent.await, Ok(Ok(()))) {
                        return End::ClientGone;
                    }
                }
            }
        }
    }

    /// After the client: sees to the session's end, and notes it.
    async fn stay(
        mut self,
        noted: &Noted,
        io: &mut Box<dyn ShellIo>,
        frames: &mut Frames,
        end: End,
    ) {
        let how = match end {
            End::Ended(end) => words(end),
            // Whoever has it now notes its end.
            End::NotOurs => return,
            End::Withdrawn => self.end(io, frames, "access was withdrawn").await,
            End::ClientGone | End::Nonsense if !noted.is_terminal => {
                self.end(io, frames, "its client went").await
            }
            End::ClientGone | End::Nonsense => {
                let _gone = write(io, &ToShell::Detach).await;
                loop {
                    tokio::select! {
                        frame = frames.next(io) => match frame {
                            Some(FromShell::Ended(end)) => {
                                break format!("without a client, {}", words(end));
                            }
                            Some(FromShell::Refused(_)) | None => return,
                            Some(_) => {}
                        },
                        heard = self.watch.hear() => if !self.after(heard).await {
                            break self.end(io, frames, "access was withdrawn").await;
                        },
                    }
                }
            }
        };
        noted.ended(&self.api, &self.watch.caller, &how).await;
    }

    /// Tells the supervisor to end the session, and waits for that.
    async fn end(&self, io: &mut Box<dyn ShellIo>, frames: &mut Frames, why: &str) -> String {
        let ending = async {
            write(io, &ToShell::End).await?;
            loop {
                if let FromShell::Ended(end) = frames.next(io).await? {
                    return Some(words(end));
                }
            }
        };
        match timeout(END_TIMEOUT, ending).await {
            Ok(Some(how)) => format!("{why}, {how}"),
            Ok(None) | Err(_) => why.to_owned(),
        }
    }

    /// Whether the caller still may, after what was heard.
    async fn after(&mut self, heard: Heard) -> bool {
        let notice = match heard {
            Heard::Notice(notice) => notice,
            Heard::Silence => return true,
            Heard::Over => return false,
        };
        if self.watch.check(&notice).await.is_none() {
            return false;
        }
        let caller = &self.watch.caller;
        let concerns = match &notice {
            Notice::Everything => true,
            Notice::Changed(change) => {
                self.records.contains(&change.uuid)
                    || change.uuid == caller.user.uuid.as_str()
                    || change.uuid == caller.token.uuid.as_str()
            }
        };
        !concerns || self.still_may().await
    }

    /// Asks anew. What cannot be read allows nothing.
    async fn still_may(&mut self) -> bool {
        let key = TargetKey::Container(self.container);
        match self.api.store().find_target(&key).await {
            Ok(Some(target)) => {
                let may = may_open(&target, &self.watch.caller);
                self.records = target.records;
                may
            }
            Ok(None) => false,
            Err(error) => {
                tracing::warn!(?error, "a shell ends: who may have it cannot be read");
                false
            }
        }
    }
}

/// How a command ended, in words.
fn words(end: ShellEnd) -> String {
    match end {
        ShellEnd::Code(code) => format!("exit code {code}"),
        ShellEnd::Signal(signal) => format!("signal {signal}"),
    }
}

/// What came of the supervisor's frames.
#[derive(Default)]
struct Frames(Vec<u8>);

impl Frames {
    /// The next frame; none at the end, or after nonsense. Cancel-safe.
    async fn next(&mut self, io: &mut Box<dyn ShellIo>) -> Option<FromShell> {
        loop {
            if let Some(frame) = shell::take_frame(&mut self.0).ok()? {
                return FromShell::decode(&frame).ok();
            }
            self.0.reserve(READ_BYTES);
            if !io.read_buf(&mut self.0).await.is_ok_and(|n| n > 0) {
                return None;
            }
        }
    }
}

/// None where the supervisor is gone.
async fn write(io: &mut Box<dyn ShellIo>, frame: &ToShell) -> Option<()> {
    let frame = shell::with_length(&frame.encode());
    timeout(SEND_TIMEOUT, io.write_all(&frame)).await.ok()?.ok()
}

/// None where the client is gone.
async fn send(socket: &mut WebSocket, frame: &FromShell) -> Option<()> {
    let message = Message::Binary(frame.encode().into());
    timeout(SEND_TIMEOUT, socket.send(message)).await.ok()?.ok()
}

async fn refuse(socket: &mut WebSocket, reason: ShellRefused, words: &str) {
    let refusal = ShellRefusal { reason, message: words.to_owned() };
    let _gone = send(socket, &FromShell::Refused(refusal)).await;
    close(socket, close_code::NORMAL, "").await;
}

/// Whoever does not listen has gone already. Reads on until the client has closed as well: a connection that ends with
/// something unread in it takes with it what was sent last.
async fn close(socket: &mut WebSocket, code: u16, reason: &'static str) {
    let farewell = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
    let closing = async {
        if socket.send(farewell).await.is_ok() {
            while let Some(Ok(_)) = socket.recv().await {}
        }
    };
    let _told = timeout(CLOSE_TIMEOUT, closing).await;
}
