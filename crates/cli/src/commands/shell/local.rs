//! This side of a shell: what is typed, what is shown, the terminal's settings, signals.
//!
//! Reading and writing block, so each has a thread. A reader may be left waiting for a key when the command ends.

use std::io::{self, IsTerminal, Read as _, Write as _};
use std::thread;

use config::Environment;
use model::shell::TerminalSize;
use rustix::termios::{self, OptionalActions, Termios};
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};
use tokio::sync::mpsc;

/// Pieces on their way between a thread and us.
const PIECES_MAX: usize = 64;
/// Read at a time.
const PIECE_BYTES: usize = 4096;
/// Where the terminal does not say how large it is.
const SIZE_DEFAULT: TerminalSize = TerminalSize { columns: 80, rows: 24 };

/// What a person or a program gave us.
pub(super) enum Input {
    Bytes(Vec<u8>),
    End,
}

/// The two ends, and the terminal as it was. Dropping it sets the terminal back.
pub(super) struct Local {
    pub(super) keys: Keys,
    pub(super) screen: Screen,
    _raw: Option<RawTerminal>,
}

/// What is typed, or comes from a program.
pub(super) struct Keys {
    typed: mpsc::Receiver<Vec<u8>>,
    /// Read and not sent yet.
    rest: Vec<u8>,
}

/// Where output goes.
pub(super) struct Screen {
    to_show: Option<mpsc::Sender<(Vec<u8>, bool)>>,
    shown: mpsc::Receiver<u32>,
}

/// Whether a person sits at both ends.
pub(super) fn is_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Whether a person types what we read.
pub(super) fn is_typed() -> bool {
    io::stdin().is_terminal()
}

/// How large the terminal is.
pub(super) fn size() -> TerminalSize {
    let asked = termios::tcgetwinsize(io::stdout()).or_else(|_| termios::tcgetwinsize(io::stdin()));
    match asked {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            TerminalSize { columns: size.ws_col, rows: size.ws_row }
        }
        Ok(_) | Err(_) => SIZE_DEFAULT,
    }
}

/// What the terminal understands.
pub(super) fn kind(environment: &Environment) -> String {
    environment.term.clone().unwrap_or_default()
}

impl Local {
    /// Starts the threads, and makes the terminal pass everything on as it is typed.
    pub(super) fn start(has_terminal: bool) -> io::Result<Self> {
        let raw = match has_terminal && io::stdin().is_terminal() {
            true => Some(RawTerminal::set()?),
            false => None,
        };
        let (keys, typed) = mpsc::channel(1);
        thread::Builder::new().name("input".to_owned()).spawn(move || read(&keys))?;
        let (to_show, showing) = mpsc::channel(PIECES_MAX);
        let (taken, shown) = mpsc::channel(PIECES_MAX);
        thread::Builder::new().name("output".to_owned()).spawn(move || show(showing, &taken))?;
        let keys = Keys { typed, rest: Vec::new() };
        let screen = Screen { to_show: Some(to_show), shown };
        Ok(Self { keys, screen, _raw: raw })
    }
}

impl Keys {
    /// What was typed, `max` bytes at most. Cancel-safe.
    pub(super) async fn read(&mut self, max: u32) -> Input {
        if self.rest.is_empty() {
            match self.typed.recv().await {
                Some(bytes) => self.rest = bytes,
                None => return Input::End,
            }
        }
        let max = usize::try_from(max).unwrap_or(usize::MAX).min(self.rest.len());
        Input::Bytes(self.rest.drain(..max).collect())
    }
}

impl Screen {
    /// Shows output, or an error's.
    pub(super) async fn show(&self, bytes: Vec<u8>, is_error: bool) {
        if let Some(to_show) = &self.to_show {
            // The thread ends only where there is nobody to show anything to.
            let _closed = to_show.send((bytes, is_error)).await;
        }
    }

    /// So many more bytes were shown; none once all are, or nobody looks any more. Cancel-safe.
    pub(super) async fn taken(&mut self) -> Option<u32> {
        self.shown.recv().await
    }

    /// Nothing comes after what was given to be shown.
    pub(super) fn no_more(&mut self) {
        self.to_show = None;
    }

    /// What was shown until now is no more to be told.
    pub(super) fn forget_taken(&mut self) {
        while self.shown.try_recv().is_ok() {}
    }
}

fn read(keys: &mpsc::Sender<Vec<u8>>) {
    let mut bytes = [0; PIECE_BYTES];
    loop {
        match io::stdin().lock().read(&mut bytes) {
            Ok(n) if n > 0 => {
                if keys.blocking_send(bytes[..n].to_vec()).is_err() {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Ok(_) | Err(_) => return,
        }
    }
}

fn show(mut showing: mpsc::Receiver<(Vec<u8>, bool)>, taken: &mpsc::Sender<u32>) {
    while let Some((bytes, is_error)) = showing.blocking_recv() {
        let written = if is_error {
            io::stderr().write_all(&bytes)
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&bytes).and_then(|()| stdout.flush())
        };
        let n = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if written.is_err() || taken.blocking_send(n).is_err() {
            return;
        }
    }
}

/// A terminal that passes everything on.
struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    fn set() -> io::Result<Self> {
        let before = termios::tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        termios::tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Where it fails the terminal is gone.
        let _gone = termios::tcsetattr(io::stdin(), OptionalActions::Drain, &self.before);
    }
}

/// What the system tells us.
pub(super) enum Signal {
    /// The terminal has another size.
    Resized,
    /// To be passed on.
    Number(u8),
}

/// Signals that are the command's and not ours.
pub(super) struct Signals {
    resized: Listener,
    hangup: Listener,
    interrupt: Listener,
    quit: Listener,
    terminate: Listener,
}

impl Signals {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            resized: signal(SignalKind::window_change())?,
            hangup: signal(SignalKind::hangup())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// The next one. Cancel-safe.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            _ = self.resized.recv() => Signal::Resized,
            _ = self.hangup.recv() => Signal::Number(1),
            _ = self.interrupt.recv() => Signal::Number(2),
            _ = self.quit.recv() => Signal::Number(3),
            _ = self.terminate.recv() => Signal::Number(15),
        }
    }
}
