//! This side of a shell: what is typed, what is shown, the terminal's settings, signals.
//!
//! Reading and writing block, so each has a thread. A reader may be left waiting for a key when the command ends. Nobody
//! waits for the thread that shows, so that a key is heard however slow the terminal is.

use std::io::{self, IsTerminal, Read as _, Write as _};
use std::thread;

use config::Environment;
use model::shell::{OUTPUT_WINDOW_BYTES, TerminalSize};
use rustix::termios::{self, OptionalActions, Termios};
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};
use tokio::sync::{mpsc, watch};

/// Output that may wait to be shown. One connection may be a window ahead, and what others sent before it broke may wait
/// as well.
const UNSHOWN_BYTES_MAX: u64 = 4 * OUTPUT_WINDOW_BYTES as u64;
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

/// Output, and whether it is an error's.
type Piece = (Vec<u8>, bool);

/// Where output goes. Bytes are counted from the beginning of all.
pub(super) struct Screen {
    to_show: Option<mpsc::UnboundedSender<Piece>>,
    n_given: u64,
    /// Ends with the last one, or where nobody looks any more.
    n_shown: watch::Receiver<u64>,
    /// The part of those that was told.
    n_told: u64,
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
        let (to_show, showing) = mpsc::unbounded_channel();
        let (shown, n_shown) = watch::channel(0);
        thread::Builder::new().name("output".to_owned()).spawn(move || show(showing, &shown))?;
        let keys = Keys { typed, rest: Vec::new() };
        let screen = Screen { to_show: Some(to_show), n_given: 0, n_shown, n_told: 0 };
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
    /// Shows output, or an error's, when its turn comes. False where more waits than a server may have sent.
    #[must_use]
    pub(super) fn show(&mut self, bytes: Vec<u8>, is_error: bool) -> bool {
        self.n_given += u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.n_given - *self.n_shown.borrow() > UNSHOWN_BYTES_MAX && !self.is_over() {
            return false;
        }
        if let Some(to_show) = &self.to_show {
            // The thread ends only where there is nobody to show anything to.
            let _closed = to_show.send((bytes, is_error));
        }
        true
    }

    fn is_over(&self) -> bool {
        self.n_shown.has_changed().is_err()
    }

    /// So many more bytes were shown; none once all are, or nobody looks any more. Cancel-safe.
    pub(super) async fn taken(&mut self) -> Option<u32> {
        let n_told = self.n_told;
        let n_shown = *self.n_shown.wait_for(|n_shown| *n_shown > n_told).await.ok()?;
        self.n_told = n_shown;
        Some(u32::try_from(n_shown - n_told).unwrap_or(u32::MAX))
    }

    /// Nothing comes after what was given to be shown.
    pub(super) fn no_more(&mut self) {
        self.to_show = None;
    }

    /// What was given until now is no more to be told.
    pub(super) fn forget_given(&mut self) {
        self.n_told = self.n_given;
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

fn show(mut showing: mpsc::UnboundedReceiver<Piece>, shown: &watch::Sender<u64>) {
    while let Some((bytes, is_error)) = showing.blocking_recv() {
        let written = if is_error {
            io::stderr().write_all(&bytes)
        } else {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&bytes).and_then(|()| stdout.flush())
        };
        if written.is_err() {
            return;
        }
        shown.send_modify(|n_shown| *n_shown += u64::try_from(bytes.len()).unwrap_or(u64::MAX));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn screen() -> (Screen, mpsc::UnboundedReceiver<Piece>, watch::Sender<u64>) {
        let (to_show, showing) = mpsc::unbounded_channel();
        let (shown, n_shown) = watch::channel(0);
        (Screen { to_show: Some(to_show), n_given: 0, n_shown, n_told: 0 }, showing, shown)
    }

    #[tokio::test]
    async fn many_small_pieces_wait_for_a_slow_terminal_and_hold_nobody_up() {
        let (mut screen, mut showing, shown) = screen();
        for _piece in 0..10_000 {
            assert!(screen.show(b"y\r\n".to_vec(), false));
        }
        screen.no_more();
        while let Some((bytes, _)) = showing.recv().await {
            shown.send_modify(|n| *n += u64::try_from(bytes.len()).unwrap());
        }
        drop(shown);
        assert_eq!((screen.taken().await, screen.taken().await), (Some(30_000), None));
    }

    #[tokio::test]
    async fn what_came_before_on_another_connection_is_not_told() {
        let (mut screen, _showing, shown) = screen();
        assert!(screen.show(vec![0; 100], false));
        shown.send_replace(40);
        assert_eq!(screen.taken().await, Some(40));
        screen.forget_given();
        assert!(screen.show(vec![0; 10], false));
        shown.send_replace(107);
        assert_eq!(screen.taken().await, Some(7));
    }

    #[test]
    fn a_server_that_sends_on_and_on_is_noticed() {
        let (mut screen, _showing, _shown) = screen();
        let window = usize::try_from(OUTPUT_WINDOW_BYTES).unwrap();
        assert!((0..4).all(|_| screen.show(vec![0; window], false)));
        assert!(!screen.show(vec![0; 1], false));
    }
}
