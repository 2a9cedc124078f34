//! The service manager that started us, if any: told when we are ready, and who goes on in our place (sd_notify(3)).

use config::Environment;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Tells it `NAME=value` lines; nothing where there is none.
pub(crate) fn tell(words: &str) {
    let Some(socket) = Environment::read().notify_socket else { return };
    if let Err(error) = send(&socket, words) {
        tracing::warn!(%error, words, "the service manager could not be told");
    }
}

fn send(socket: &OsStr, words: &str) -> io::Result<()> {
    let address = match socket.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(words.as_bytes(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_arrive_at_paths_and_abstract_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let name = format!("@wharf-test-{}", std::process::id());
        let at_path = UnixDatagram::bind(&path).unwrap();
        let address = SocketAddr::from_abstract_name(&name[1..]).unwrap();
        let at_name = UnixDatagram::bind_addr(&address).unwrap();
        for (socket, address) in [(at_path, path.as_os_str()), (at_name, OsStr::new(&name))] {
            send(address, "MAINPID=7").unwrap();
            let mut heard = [0; 64];
            let n = socket.recv(&mut heard).unwrap();
            assert_eq!(&heard[..n], b"MAINPID=7");
        }
    }
}
