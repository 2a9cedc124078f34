//! A folder that goes away with the run.

use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// Removed with everything in it when it is dropped.
#[derive(Debug)]
pub(crate) struct Scratch(PathBuf);

impl Scratch {
    /// A new one in the folder for temporary files, for this user only.
    pub(crate) fn make() -> Result<Self, String> {
        let root = std::env::temp_dir();
        for n in 0..1000_u32 {
            let path = root.join(format!("wharf-cwl-{}-{n}", std::process::id()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(format!("cannot make {}: {error}", path.display())),
            }
        }
        Err(format!("cannot make a folder of its own in {}", root.display()))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Whatever is left is in the folder for temporary files, which the machine empties.
        let _left = runtime::remove_tree(&self.0);
    }
}
