//! The control stream: our whole state to the controller, its orders to us.

use std::sync::Arc;
use std::time::Duration;

use model::{Phase, SupervisorState, ToController, ToSupervisor};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, watch};
use tunnel::{StreamKind, Tunnel};

use crate::bridge::Shut;
use crate::machine::Event;

/// Where orders go.
#[derive(Debug, Clone)]
pub(super) struct Heard {
    pub(super) events: mpsc::Sender<Event>,
    pub(super) shut: Arc<watch::Sender<Shut>>,
}

/// Opens the control stream and serves it until either side ends; then the tunnel is of no use.
pub(super) async fn serve(tunnel: Tunnel, state: watch::Receiver<SupervisorState>, heard: Heard) {
    let result = match tunnel.open(StreamKind::Control).await {
        Ok(stream) => exchange(stream, state, heard).await,
        Err(error) => Err(error.into()),
    };
    if let Err(error) = result {
        tracing::debug!(%error, "control stream ended");
    }
    tunnel.close();
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite,
    state: watch::Receiver<SupervisorState>,
    heard: Heard,
) -> std::io::Result<()> {
    let (read, write) = tokio::io::split(stream);
    tokio::select! {
        told = tell(write, state) => told,
        ended = hear(read, heard) => ended,
    }
}

/// The state now, and again whenever it changes; changes that come close together become one.
async fn tell(
    mut write: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<SupervisorState>,
) -> std::io::Result<()> {
    loop {
        let now = state.borrow_and_update().clone();
        let mut line = serde_json::to_vec(&ToController::State(now))?;
        line.push(b'\n');
        write.write_all(&line).await?;
        write.flush().await?;
        if state.changed().await.is_err() {
            return Ok(());
        }
    }
}

async fn hear(read: impl AsyncRead + Unpin, heard: Heard) -> std::io::Result<()> {
    let mut read = BufReader::new(read);
    while let Some(line) = tunnel::lines::next_line(&mut read).await? {
        let event = match serde_json::from_slice(&line)? {
            ToSupervisor::Ack { phase: Phase::Ended } => Event::Acked,
            ToSupervisor::Ack { .. } => continue,
            ToSupervisor::Stop { grace_ms } => {
                Event::StopAsked { grace: Duration::from_millis(grace_ms) }
            }
            ToSupervisor::Shut { addresses } => {
                heard.shut.send_replace(addresses);
                continue;
            }
        };
        if heard.events.send(event).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncBufReadExt;

    #[tokio::test]
    async fn the_whole_state_goes_out_on_connect_and_change_and_orders_come_in() {
        let (near, far) = tokio::io::duplex(4096);
        let sender = watch::Sender::new(SupervisorState::default());
        let (events, mut heard) = mpsc::channel(4);
        let shut = Arc::new(watch::Sender::new(Shut::new()));
        let serving = tokio::spawn(exchange(
            near,
            sender.subscribe(),
            Heard { events, shut: Arc::clone(&shut) },
        ));
        let (read, mut write) = tokio::io::split(far);
        let mut lines = BufReader::new(read).lines();
        let mut next = async || {
            let line = lines.next_line().await.unwrap().unwrap();
            let ToController::State(state) = serde_json::from_str(&line).unwrap();
            state.phase
        };
        assert_eq!(next().await, Phase::Starting);
        sender.send_modify(|state| state.phase = Phase::Running);
        assert_eq!(next().await, Phase::Running);
        for order in [
            ToSupervisor::Ack { phase: Phase::Running },
            ToSupervisor::Shut { addresses: ["127.1.0.1:80".parse().unwrap()].into() },
            ToSupervisor::Stop { grace_ms: 1500 },
            ToSupervisor::Ack { phase: Phase::Ended },
        ] {
            let line = serde_json::to_string(&order).unwrap() + "\n";
            write.write_all(line.as_bytes()).await.unwrap();
        }
        let grace = Duration::from_millis(1500);
        assert_eq!(heard.recv().await, Some(Event::StopAsked { grace }));
        assert_eq!(heard.recv().await, Some(Event::Acked));
        assert_eq!(shut.borrow().len(), 1);
        write.write_all(b"not json\n").await.unwrap();
        assert!(serving.await.unwrap().is_err());
    }
}
