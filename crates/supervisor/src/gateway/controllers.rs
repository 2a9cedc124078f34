//! Which controllers there are: each has an entry in one directory, a socket of its own that it removes when it leaves.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// More than a site runs, and than sockets of killed ones lie about; who finds more takes the first by name.
const CONTROLLERS_MAX: usize = 64;

/// One controller's entrance for supervisors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    /// `NAME.sock`: a Unix socket on this machine.
    Socket(PathBuf),
    /// `NAME.addr`: a file that holds a TCP address.
    Address(SocketAddr),
}

impl Entry {
    /// What a name in the directory stands for; other names may be those of a later version.
    fn of(dir: &Path, name: &str) -> Option<Self> {
        let path = dir.join(name);
        match path.extension()?.to_str()? {
            "sock" => Some(Self::Socket(path)),
            // Gone again where its controller has just left.
            "addr" => std::fs::read_to_string(path).ok()?.trim().parse().ok().map(Self::Address),
            _ => None,
        }
    }

    /// Whether this controller can make itself heard here: it is on the same machine for sure.
    pub(super) fn can_knock(&self) -> bool {
        match self {
            Self::Socket(_) => true,
            Self::Address(address) => address.ip().is_loopback(),
        }
    }
}

/// The entries there are now; none where there is no directory yet.
///
/// A few small names of the page cache: not worth a thread.
pub(super) fn list(dir: &Path) -> io::Result<BTreeSet<Entry>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        entries => entries?,
    };
    let mut found = BTreeSet::new();
    for entry in entries {
        found.extend(entry?.file_name().to_str().and_then(|name| Entry::of(dir, name)));
    }
    if found.len() > CONTROLLERS_MAX {
        tracing::warn!(n = found.len(), dir = %dir.display(), "too many controllers: some get no tunnel");
    }
    Ok(found.into_iter().take(CONTROLLERS_MAX).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_addresses_are_controllers_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        assert!(list(&dir.path().join("missing")).unwrap().is_empty());
        for name in ["b.sock", "a.sock", "a.lock", "sock", "a.sock.new", "empty.addr"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        std::fs::write(dir.path().join("c.addr"), "192.0.2.1:7000\n").unwrap();
        let found: Vec<_> = list(dir.path()).unwrap().into_iter().collect();
        let socket = |name| Entry::Socket(dir.path().join(name));
        let address = Entry::Address("192.0.2.1:7000".parse().unwrap());
        assert_eq!(found, [socket("a.sock"), socket("b.sock"), address]);
        let loopback = Entry::Address("127.0.0.1:7000".parse().unwrap());
        assert!(found[0].can_knock() && !found[2].can_knock() && loopback.can_knock());
    }
}
