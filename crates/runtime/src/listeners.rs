//! Does something listen on a port of a container? The kernel is asked: nobody is connected to, so that no program is woken,
//! and none finds a connection in its log on which nothing was asked.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use crate::sock_diag::SockDiag;

/// What the table says of a socket that listens.
const LISTENS: &str = "0A";

/// The ports on which a container listens.
#[derive(Debug, Clone)]
pub struct Listeners {
    /// Process 1 of the container, as the host numbers it.
    init: u32,
    /// None where no such socket could be made.
    kernel: Option<Arc<SockDiag>>,
}

impl Listeners {
    pub(crate) fn new(init: u32, kernel: Option<Arc<SockDiag>>) -> Self {
        Self { init, kernel }
    }

    /// Whether something listens on a TCP port, on whatever address. Some 50 microseconds; milliseconds where the kernel was built
    /// without `INET_DIAG`.
    ///
    /// # Errors
    /// When the container has ended.
    pub fn has(&self, port: u16) -> io::Result<bool> {
        // The socket outlives the container, and would say of its end that nobody listens.
        if !Path::new(&format!("/proc/{}", self.init)).exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        match self.kernel.as_ref().map(|kernel| kernel.has_listener(port)) {
            Some(Ok(found)) => Ok(found),
            None | Some(Err(_)) => self.stands_in_tables(port),
        }
    }

    /// The same by the tables of `/proc`.
    fn stands_in_tables(&self, port: u16) -> io::Result<bool> {
        for table in ["tcp", "tcp6"] {
            let found = File::open(format!("/proc/{}/net/{table}", self.init))
                .and_then(|file| has_listener(BufReader::new(file), port));
            match found {
                Ok(false) => {}
                // A machine without IPv6 has no such table.
                Err(error) if table == "tcp6" && error.kind() == io::ErrorKind::NotFound => {}
                other => return other,
            }
        }
        Ok(false)
    }
}

/// Those that listen come first (proc_net_tcp(5)): a service with thousands of connections costs no more to ask.
fn has_listener(table: impl BufRead, port: u16) -> io::Result<bool> {
    for line in table.lines().skip(1) {
        let line = line?;
        let mut fields = line.split_ascii_whitespace().skip(1);
        let (address, state) = (fields.next(), fields.nth(1));
        if state != Some(LISTENS) {
            return Ok(false);
        }
        let local = address.and_then(|address| address.rsplit_once(':'));
        if local.and_then(|(_, port)| u16::from_str_radix(port, 16).ok()) == Some(port) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_is_found_among_those_that_listen_alone() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt\n   \
             0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0\n   \
             1: 00000000:0050 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0\n   \
             2: 0100007F:22B8 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  0\n";
        let has = |port| has_listener(table.as_bytes(), port).unwrap();
        assert!(has(8080) && has(80));
        assert!(!has(8888) && !has(1));
    }

    #[test]
    fn our_own_listeners_are_seen_and_gone_when_closed() {
        let kernel = || Some(Arc::new(SockDiag::over(crate::sock_diag::open().unwrap())));
        for own in [kernel(), None].map(|kernel| Listeners::new(std::process::id(), kernel)) {
            for address in ["127.0.0.1:0", "[::1]:0"] {
                let Ok(listener) = std::net::TcpListener::bind(address) else { continue };
                let port = listener.local_addr().unwrap().port();
                assert!(own.has(port).unwrap(), "{address} {own:?}");
                drop(listener);
                assert!(!own.has(port).unwrap(), "{address} {own:?}");
            }
        }
        assert!(Listeners::new(u32::MAX, kernel()).has(80).is_err());
    }
}
