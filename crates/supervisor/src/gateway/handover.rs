//! The short way for controllers on this machine: sockets connected inside the container, handed over; and the door
//! at which new ones knock.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lifecycle::TaskScope;
use runtime::Dialer;
use tokio::sync::{Notify, Semaphore, watch};
use tunnel::handover::{Asked, HandoverListener, Question};

use super::streams;

/// Questions answered at the same time; each takes microseconds unless the app's listen queue is full.
const QUESTIONS_MAX: usize = 64;

/// Answers until cancelled. Without its socket controllers take the tunnel, so a failure is only told.
pub(crate) async fn serve(
    dir: &Path,
    dialer: watch::Receiver<Option<Dialer>>,
    knocks: Arc<Notify>,
    scope: TaskScope,
) {
    let listener = match HandoverListener::bind(dir) {
        Ok(listener) => listener,
        Err(error) => return tracing::warn!(%error, "sockets cannot be handed over"),
    };
    let places = Arc::new(Semaphore::new(QUESTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok(question) => {
                let (dialer, knocks) = (dialer.clone(), Arc::clone(&knocks));
                scope.spawn_cancellable("handover", async move {
                    answer(question, &dialer, &knocks).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a question for a socket was lost");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn answer(mut question: Question, dialer: &watch::Receiver<Option<Dialer>>, knocks: &Notify) {
    let answered = async {
        let port = match question.asked().await? {
            Asked::Port(port) => port,
            Asked::Knock => {
                knocks.notify_one();
                return question.notice().await;
            }
        };
        match streams::dial(dialer, port).await {
            Ok(socket) => question.give(&socket).await,
            Err(reason) => question.refuse(reason).await,
        }
    };
    if let Err(error) = answered.await {
        tracing::debug!(%error, "an asker left before its socket came");
    }
}
