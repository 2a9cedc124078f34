//! Services on this machine: when they are ready, how others reach them, and their end.

use std::time::Duration;

use cwl::service::Service;
use runtime::{Dialer, Exit, Handle, Signal};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::probe::is_well;
use crate::serving::{Reach, Ready, Serving, Way};

/// Between looks whether ports take connections.
const PORT_PERIOD: Duration = Duration::from_millis(20);

/// Waits until it is ready, tells so, and waits for its end; it is asked to end when nobody uses it. Whether it was.
pub(super) async fn attend(handle: &Handle, serving: Serving<'_>) -> Result<(Exit, bool), String> {
    let Serving { service, ready, released } = serving;
    let dialer = handle.dialer();
    tokio::select! {
        exit = handle.wait() => return Ok((exit, false)),
        is_ready = timeout(service.timeout, until_ready(&dialer, &service)) => {
            if is_ready.is_err() {
                return Err(format!("it was not ready within {} s", service.timeout.as_secs()));
            }
        }
    }
    ready(Ready { to: Reach::Here(dialer), outside: Vec::new() });
    tokio::select! {
        exit = handle.wait() => return Ok((exit, false)),
        _closed = released => {}
    }
    // One that has just ended needs no signal.
    let _gone = handle.signal(Signal::TERM).await;
    if let Ok(exit) = timeout(service.grace, handle.wait()).await {
        return Ok((exit, true));
    }
    handle.kill().await;
    Ok((handle.wait().await, true))
}

async fn until_ready(dialer: &Dialer, service: &Service) {
    for endpoint in &service.endpoints {
        while dialer.dial(endpoint.port).await.is_err() {
            sleep(PORT_PERIOD).await;
        }
    }
    let Some((port, path)) = &service.http_get else { return };
    loop {
        if let Ok(stream) = dialer.dial(*port).await
            && is_well(stream, path).await
        {
            return;
        }
        sleep(service.interval).await;
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
        let Reach::Here(dialer) = way.to.clone() else {
            return Err("a service of an instance cannot be reached from here".to_owned());
        };
        relays.spawn(serve(listener, dialer, way.port));
    }
    Ok(relays)
}

async fn serve(listener: TcpListener, dialer: Dialer, port: u16) {
    // Those under way end with the one who accepts.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((mut inside, _)) => {
                    let dialer = dialer.clone();
                    connections.spawn(async move {
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
