//! Listening sockets that open and close on request, and with them their connections.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::routes;

/// One open port.
struct Port {
    address: SocketAddr,
    /// Tells the accepting thread to end.
    closed: Arc<AtomicBool>,
    /// Everything accepted so far, to be ended with the port.
    accepted: Arc<Mutex<Vec<TcpStream>>>,
}

static OPEN: Mutex<BTreeMap<u16, Port>> = Mutex::new(BTreeMap::new());

fn open_ports() -> MutexGuard<'static, BTreeMap<u16, Port>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens and serves in threads of its own.
pub(crate) fn open(bind: &str, port: u16) -> Result<()> {
    let address: IpAddr =
        bind.parse().map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
    let listener = TcpListener::bind((address, port))?;
    let closed = Arc::new(AtomicBool::new(false));
    let accepted = Arc::new(Mutex::new(Vec::new()));
    let address = listener.local_addr()?;
    let about = Port { address, closed: Arc::clone(&closed), accepted: Arc::clone(&accepted) };
    open_ports().insert(port, about);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if closed.load(Ordering::Relaxed) {
                break;
            }
            let Ok(stream) = stream else { continue };
            if let Ok(copy) = stream.try_clone() {
                accepted.lock().unwrap_or_else(PoisonError::into_inner).push(copy);
            }
            std::thread::spawn(move || {
                let copy = stream.try_clone();
                routes::serve(stream);
                // The port's own copy keeps the socket: without this the peer saw no end.
                let _gone = copy.map(|stream| stream.shutdown(Shutdown::Both));
            });
        }
    });
    Ok(())
}

/// Stops listening and ends what was accepted.
pub(crate) fn close(port: u16) -> bool {
    let Some(port) = open_ports().remove(&port) else { return false };
    port.closed.store(true, Ordering::Relaxed);
    // The accepting thread sits in accept(): one more connection lets it look at the flag.
    let _woken = TcpStream::connect(port.address);
    for stream in port.accepted.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
        let _gone = stream.shutdown(Shutdown::Both);
    }
    true
}
