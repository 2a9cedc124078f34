//! A client's connection once it speaks no HTTP any more: what comes of an upgrade, whoever read the request.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;

use crate::dial::Io;

/// Becomes the client's bytes once our answer is out. Travels in the request's extensions.
#[derive(Clone)]
struct Promise(Arc<Mutex<Option<Arrival>>>);

/// Where it arrives.
type Arrival = oneshot::Receiver<Box<dyn Io>>;

/// Where our own server puts the connection that it has promised.
pub(crate) type Handover = oneshot::Sender<Box<dyn Io>>;

/// Promises the connection to whoever answers the request.
pub(crate) fn promise(extensions: &mut Extensions) -> Handover {
    let (handover, stream) = oneshot::channel();
    extensions.insert(Promise(Arc::new(Mutex::new(Some(stream)))));
    handover
}

/// The client's bytes to come.
pub(crate) enum ClientStream {
    Ours(Arrival),
    Hyper(OnUpgrade),
}

impl fmt::Debug for ClientStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ClientStream")
    }
}

impl ClientStream {
    /// What was promised with a request; `None` where its connection cannot switch.
    pub(crate) fn promised(extensions: &mut Extensions) -> Option<Self> {
        if let Some(Promise(stream)) = extensions.remove() {
            let stream = stream.lock().unwrap_or_else(PoisonError::into_inner).take();
            return stream.map(Self::Ours);
        }
        extensions.remove::<OnUpgrade>().map(Self::Hyper)
    }

    /// Waits until our answer is out; `None` where the connection ended before.
    pub(crate) async fn arrived(self) -> Option<Box<dyn Io>> {
        match self {
            Self::Ours(stream) => stream.await.ok(),
            Self::Hyper(upgrade) => match upgrade.await {
                Ok(upgraded) => Some(Box::new(TokioIo::new(upgraded))),
                Err(error) => {
                    tracing::debug!(error = %error, "a connection ended before it had switched");
                    None
                }
            },
        }
    }
}
