//! Signals that ask the process to stop, or to make place for a newer one.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Which signal arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopSignal {
    /// SIGINT, usually Ctrl-C.
    Interrupt,
    /// SIGTERM, a service manager's polite wish.
    Terminate,
}

/// Listens from construction on, so that no signal is lost between start-up and the first wait.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Installs the handlers; needs a tokio runtime. Errs if the system refuses one.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for the next request to stop. Cancel-safe.
    pub async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.interrupt.recv() => StopSignal::Interrupt,
            _ = self.terminate.recv() => StopSignal::Terminate,
        }
    }
}

/// SIGUSR2: start the executable anew and let it take our place, as nginx understands it.
#[derive(Debug)]
pub struct UpgradeSignal(Signal);

impl UpgradeSignal {
    /// Installs the handler; needs a tokio runtime. Errs if the system refuses it.
    pub fn listen() -> io::Result<Self> {
        signal(SignalKind::user_defined2()).map(Self)
    }

    /// Waits for the next one. Cancel-safe.
    pub async fn next(&mut self) {
        self.0.recv().await;
    }
}
