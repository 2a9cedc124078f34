//! Services on this machine: when they are ready, how others reach them, and their end.

use std::time::Duration;

use cwl::service::Service;
use runtime::{ExecSpec, ExecStreams, Exit, ExitStatus, Handle, Signal};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::words::Words;
use crate::probe::is_well;
use crate::serving::{Reach, Serving, Way, Whereabouts};

/// Longest time of a command that says whether it is ready.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// Between looks whether ports take connections.
const PORT_PERIOD: Duration = Duration::from_millis(20);

/// Waits until it is ready, tells so, and waits for its end; it is asked to end when nobody uses it. Whether it was.
pub(super) async fn attend(
    handle: &Handle,
    words: &Words,
    serving: &mut Serving<'_>,
) -> Result<(Exit, bool), String> {
    let dialer = handle.dialer();
    let ready = &serving.service.ready;
    tokio::select! {
        exit = handle.wait() => return Ok((exit, false)),
        is_ready = timeout(ready.timeout, until_ready(handle, words, &serving.service)) => {
            if is_ready.is_err() {
                return Err(format!("it was not ready within {} s", ready.timeout.as_secs()));
            }
        }
    }
    serving.is_ready_at(Reach::Here(dialer), Vec::new());
    tokio::select! {
        exit = handle.wait() => return Ok((exit, false)),
        _closed = &mut serving.released => {}
    }
    // One that has just ended needs no signal.
    let _gone = handle.signal(Signal::TERM).await;
    if let Ok(exit) = timeout(serving.service.grace, handle.wait()).await {
        return Ok((exit, true));
    }
    handle.kill().await;
    Ok((handle.wait().await, true))
}

async fn until_ready(handle: &Handle, words: &Words, service: &Service) {
    let dialer = handle.dialer();
    for endpoint in &service.endpoints {
        while dialer.dial(endpoint.port).await.is_err() {
            sleep(PORT_PERIOD).await;
        }
    }
    words.found().await;
    let ready = &service.ready;
    while !ready.exec.is_empty() && !succeeds(handle, &ready.exec).await {
        sleep(ready.interval).await;
    }
    let Some((port, path)) = &ready.http_get else { return };
    loop {
        if let Ok(stream) = dialer.dial(*port).await
            && is_well(stream, path).await
        {
            return;
        }
        sleep(ready.interval).await;
    }
}

/// Whether a command ends with exit code 0 in the container.
async fn succeeds(handle: &Handle, command: &[String]) -> bool {
    let spec = ExecSpec { argv: command.to_vec(), terminal: None, env: Vec::new() };
    let Ok((mut exec, streams)) = handle.executor().start(spec).await else { return false };
    let mut readers = JoinSet::new();
    if let ExecStreams::Pipes { input, output, error } = streams {
        drop(input);
        // Nobody reads it, and it must not stop for that.
        for stream in [output, error] {
            readers.spawn(async move {
                let mut from = tokio::fs::File::from_std(stream.into());
                let _ended = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
            });
        }
    }
    match timeout(COMMAND_TIMEOUT, exec.wait()).await {
        Ok(status) => status == ExitStatus::Code(0),
        Err(_elapsed) => {
            exec.kill().await;
            false
        }
    }
}

/// Leads connections to these sockets on to services; ends when it is dropped.
pub(super) fn relay(
    listeners: Vec<std::net::TcpListener>,
    ways: &[Way],
) -> Result<JoinSet<()>, String> {
    let mut relays = JoinSet::new();
    for (listener, way) in listeners.into_iter().zip(ways) {
        let listener = TcpListener::from_std(listener).map_err(|error| error.to_string())?;
        relays.spawn(serve(listener, way.to.clone(), way.port));
    }
    Ok(relays)
}

async fn serve(listener: TcpListener, to: Whereabouts, port: u16) {
    // Those under way end with the one who accepts.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((mut inside, _)) => {
                    let to = to.clone();
                    connections.spawn(async move {
                        // One that is started again is waited for.
                        let Ok(Reach::Here(dialer)) = to.find().await else { return };
                        if let Ok(mut outside) = dialer.dial(port).await {
                            // Broken off or not: both ends see it.
                            let _ended = tokio::io::copy_bidirectional(&mut inside, &mut outside).await;
                        }
                    });
                }
                Err(_no_descriptors) => sleep(PORT_PERIOD).await,
            },
            Some(_ended) = connections.join_next() => {}
        }
    }
}
