//! Streams that the controller opens: app connections, logs and shells. Nothing else is served.

use lifecycle::TaskScope;
use runtime::{DialError, Dialer};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tunnel::{Incoming, LogQuery, LogStream, RefuseReason, Request, StreamKind};

use crate::gateway::{Gateway, Logs};
use crate::logs::follow;

/// Serves requests until the tunnel ends; each in a task of its own.
pub(super) async fn serve(mut incoming: Incoming, gateway: Gateway, scope: TaskScope) {
    while let Some(request) = incoming.next().await {
        match request.kind.clone() {
            StreamKind::App(port) => {
                scope.spawn_cancellable("app", app(request, port, gateway.dialer.clone()));
            }
            StreamKind::Log(query) => {
                scope.spawn_cancellable("log", log(request, query, gateway.logs.clone()));
            }
            StreamKind::Shell => {
                let shells = gateway.shells.clone();
                scope.spawn_cancellable("shell", async move { shells.serve(request).await });
            }
            // The control stream is ours to open.
            StreamKind::Control => request.refuse(RefuseReason::NotAllowed),
        }
    }
}

/// Bytes between the controller and a port inside the container, half-closes included.
async fn app(request: Request, port: u16, dialer: watch::Receiver<Option<Dialer>>) {
    // On the heap: a connection that idles for hours keeps no room for how it was made.
    match Box::pin(dial(&dialer, port)).await {
        Ok(socket) => {
            let relayed = tunnel::relay(request.accept(), socket).await;
            if let Err(error) = relayed {
                tracing::debug!(port, %error, "app stream ended early");
            }
        }
        Err(reason) => request.refuse(reason),
    }
}

/// A socket connected to a port inside the container.
pub(super) async fn dial(
    dialer: &watch::Receiver<Option<Dialer>>,
    port: u16,
) -> Result<TcpStream, RefuseReason> {
    let dialer = dialer.borrow().clone();
    // Without a dialer the container is being made: nothing listens in it yet.
    let dialer = dialer.ok_or(RefuseReason::PortClosed)?;
    dialer.dial(port).await.map_err(|error| match error {
        DialError::Refused => RefuseReason::PortClosed,
        DialError::Gone => RefuseReason::Gone,
        DialError::Io(error) => {
            // A full listen queue, or no file descriptors left: either passes.
            tracing::debug!(port, %error, "cannot connect in the container");
            RefuseReason::Busy
        }
    })
}

/// A log file from an offset, and what is appended later if wanted.
async fn log(request: Request, query: LogQuery, logs: Logs) {
    let files = &logs.files;
    let (path, progress) = match query.stream {
        LogStream::Stdout => (files.stdout_log(), logs.stdout),
        LogStream::Stderr => (files.stderr_log(), logs.stderr),
        LogStream::CrunchRun => (files.crunch_run_log(), logs.journal.progress()),
    };
    let mut stream = request.accept();
    let progress = query.follow.then_some(progress);
    if let Err(error) = follow::serve(&path, query.offset, progress, &mut stream).await {
        tracing::debug!(%error, log = query.stream.as_str(), "log stream ended early");
    }
}
