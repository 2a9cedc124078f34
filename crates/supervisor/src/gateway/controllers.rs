//! Which controllers there are: each has an entry in one directory, a socket of its own that it removes when it leaves.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// More than a site runs, and than sockets of killed ones lie about; who finds more takes the first by name.
const CONTROLLERS_MAX: usize = 64;

/// One controller's door for supervisors.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Entry {
    /// `NAME.sock`: a Unix socket on this machine.
    Socket(PathBuf),
}

impl Entry {
    /// What a name in the directory stands for; other names may be those of a later version.
    fn of(dir: &Path, name: &str) -> Option<Self> {
        name.ends_with(".sock").then(|| Self::Socket(dir.join(name)))
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
    fn sockets_are_controllers_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        assert!(list(&dir.path().join("missing")).unwrap().is_empty());
        for name in ["b.sock", "a.sock", "a.lock", "sock", "a.sock.new"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found: Vec<_> = list(dir.path()).unwrap().into_iter().collect();
        let expected = ["a.sock", "b.sock"].map(|name| Entry::Socket(dir.path().join(name)));
        assert_eq!(found, expected);
    }
}
