//! One supervisor's control stream, seen from the controller: its states go into the record and are
//! confirmed; orders to stop go out.
//!
//! Level-triggered both ways: each side always tells all it knows, so a lost connection loses
//! nothing, and a state that the store would not take is simply tried again.

use std::collections::BTreeMap;
use std::time::Duration;

use lifecycle::{Backoff, BackoffPolicy};
use model::{ContainerUuid, SupervisorState, ToController, ToSupervisor};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::watch;
use tunnel::{Incoming, RefuseReason, Stream, StreamKind, Tunnel};

use crate::orders::Orders;
use crate::recorder::Recorder;
use crate::ways::{Shut, Ways};

/// A supervisor opens its control stream first thing; one that does not is of no use.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The store refuses for a full disk or a long lock: either may last, and costs nothing to try.
const STORE_RETRY: BackoffPolicy =
    BackoffPolicy { first: Duration::from_millis(50), max: Duration::from_secs(2) };

/// What a session works with.
#[derive(Clone, Debug)]
pub(crate) struct Control {
    pub(crate) recorder: Recorder,
    pub(crate) orders: Orders,
    pub(crate) ways: Ways,
    pub(crate) stop_grace: Duration,
}

impl Control {
    /// Serves the control stream of one tunnel until either is over; closes the tunnel then.
    pub(crate) async fn serve(
        self,
        container: ContainerUuid,
        tunnel: Tunnel,
        mut incoming: Incoming,
    ) {
        let opened = tokio::time::timeout(OPEN_TIMEOUT, control_stream(&mut incoming)).await;
        if let Ok(Some(stream)) = opened {
            let result = tokio::select! {
                result = self.exchange(container, stream) => result,
                () = refuse_all(&mut incoming) => Ok(()),
            };
            if let Err(error) = result {
                tracing::debug!(container.uuid = %container, %error, "control stream ended");
            }
        }
        tunnel.close();
    }

    async fn exchange(
        &self,
        container: ContainerUuid,
        stream: impl AsyncRead + AsyncWrite,
    ) -> std::io::Result<()> {
        let (read, write) = tokio::io::split(stream);
        let heard = watch::Sender::new(None);
        let states = heard.subscribe();
        tokio::select! {
            result = hear(read, heard) => result,
            result = self.answer(container, write, states) => result,
        }
    }

    /// Applies the newest state, confirms it, and passes on orders: to stop, once, and which ways are shut, when that changed.
    async fn answer(
        &self,
        container: ContainerUuid,
        mut write: impl AsyncWrite + Unpin,
        mut states: watch::Receiver<Option<SupervisorState>>,
    ) -> std::io::Result<()> {
        let mut orders = self.orders.subscribe();
        let mut ways = self.ways.subscribe();
        let mut told_shut: Option<Shut> = None;
        let mut shuts_ways = false;
        let mut backoff = Backoff::new(STORE_RETRY);
        let mut was_told_to_stop = false;
        let mut unstored: Option<SupervisorState> = None;
        loop {
            if !was_told_to_stop && orders.borrow_and_update().contains(&container) {
                let grace_ms = u64::try_from(self.stop_grace.as_millis()).unwrap_or(u64::MAX);
                send(&mut write, ToSupervisor::Stop { grace_ms }).await?;
                was_told_to_stop = true;
            }
            if let Some(shut) = shut_of(&mut ways, container).filter(|_| shuts_ways)
                && told_shut.as_ref() != Some(&shut)
            {
                send(&mut write, ToSupervisor::Shut { addresses: shut.clone() }).await?;
                told_shut = Some(shut);
            }
            let wait = if unstored.is_some() { backoff.next_wait() } else { Duration::MAX };
            tokio::select! {
                changed = states.changed() => {
                    if changed.is_err() { return Ok(()); }
                    unstored = states.borrow_and_update().clone();
                    shuts_ways = unstored.as_ref().is_some_and(|state| state.shuts_ways);
                    backoff.reset();
                }
                changed = ways.changed() => {
                    if changed.is_err() { return Ok(()); }
                    continue;
                }
                changed = orders.changed() => {
                    if changed.is_err() { return Ok(()); }
                    continue;
                }
                () = tokio::time::sleep(wait), if unstored.is_some() => {}
            }
            let Some(state) = &unstored else { continue };
            match self.recorder.apply(container, state).await {
                Ok(()) => {
                    send(&mut write, ToSupervisor::Ack { phase: state.phase }).await?;
                    unstored = None;
                }
                Err(error) => {
                    tracing::warn!(
                        container.uuid = %container, %error,
                        "cannot record what a supervisor reports; trying again"
                    );
                }
            }
        }
    }
}

/// The ways of a container that are shut; `None` where it has no ways, or nobody knows yet.
fn shut_of(
    ways: &mut watch::Receiver<BTreeMap<ContainerUuid, Shut>>,
    container: ContainerUuid,
) -> Option<Shut> {
    ways.borrow_and_update().get(&container).cloned()
}

/// The control stream; anything else that the supervisor asks for is refused.
async fn control_stream(incoming: &mut Incoming) -> Option<Stream> {
    loop {
        let request = incoming.next().await?;
        if request.kind == StreamKind::Control {
            return Some(request.accept());
        }
        request.refuse(RefuseReason::NotAllowed);
    }
}

/// A supervisor has one control stream and no other business with the controller.
async fn refuse_all(incoming: &mut Incoming) {
    while let Some(request) = incoming.next().await {
        request.refuse(RefuseReason::NotAllowed);
    }
}

async fn hear(
    read: impl AsyncRead + Unpin,
    heard: watch::Sender<Option<SupervisorState>>,
) -> std::io::Result<()> {
    let mut read = BufReader::new(read);
    while let Some(line) = tunnel::lines::next_line(&mut read).await? {
        let ToController::State(state) = serde_json::from_slice(&line)?;
        heard.send_replace(Some(state));
    }
    Ok(())
}

async fn send(write: &mut (impl AsyncWrite + Unpin), order: ToSupervisor) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(&order)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    write.flush().await
}
