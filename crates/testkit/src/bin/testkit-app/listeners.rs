//! Listening sockets that open and close on request.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::routes;

/// Open ports, and the flag that closes each.
static OPEN: Mutex<BTreeMap<u16, (SocketAddr, Arc<AtomicBool>)>> = Mutex::new(BTreeMap::new());

fn open_ports() -> MutexGuard<'static, BTreeMap<u16, (SocketAddr, Arc<AtomicBool>)>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Listens and serves in threads of its own.
pub(crate) fn open(bind: &str, port: u16) -> Result<()> {
    let address: IpAddr =
        bind.parse().map_err(|error| Error::new(ErrorKind::InvalidInput, error))?;
    let listener = TcpListener::bind((address, port))?;
    let closed = Arc::new(AtomicBool::new(false));
    open_ports().insert(port, (listener.local_addr()?, Arc::clone(&closed)));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if closed.load(Ordering::Relaxed) {
                break;
            }
            let Ok(stream) = stream else { continue };
            std::thread::spawn(move || routes::serve(stream));
        }
    });
    Ok(())
}

/// Stops listening; connections that are open stay so.
pub(crate) fn close(port: u16) -> bool {
    let Some((address, closed)) = open_ports().remove(&port) else { return false };
    closed.store(true, Ordering::Relaxed);
    // The accepting thread sits in accept(): one more connection lets it look at the flag.
    let _woken = TcpStream::connect(address);
    true
}
