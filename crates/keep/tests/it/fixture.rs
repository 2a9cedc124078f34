//! A site with one volume in a directory that goes away.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use keep::{FileVolume, Keep, KeepOptions, Mount};
use manifest::BlockHash;

pub(crate) struct Site {
    pub(crate) keep: Keep,
    pub(crate) volume: FileVolume,
    pub(crate) dir: tempfile::TempDir,
}

impl Site {
    pub(crate) async fn new() -> Self {
        Self::with(KeepOptions::default()).await
    }

    pub(crate) async fn with(options: KeepOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let volume = FileVolume::open(&dir.path().join("keep")).await.unwrap();
        let volumes = vec![Mount::new("near", Arc::new(volume.clone()))];
        Self { keep: Keep::new(volumes, options), volume, dir }
    }

    /// The file that holds a block.
    pub(crate) fn file(&self, hash: BlockHash) -> PathBuf {
        let name = hash.to_string();
        self.dir.path().join("keep").join(&name[..3]).join(name)
    }

    /// Drafts that are there.
    pub(crate) fn n_drafts(&self) -> usize {
        std::fs::read_dir(self.dir.path().join("keep/drafts")).unwrap().count()
    }

    /// Makes a block look as if it had been written so many seconds ago.
    pub(crate) fn age(&self, hash: BlockHash, seconds: u64) {
        let at = SystemTime::now() - Duration::from_secs(seconds);
        let file = std::fs::File::options().write(true).open(self.file(hash)).unwrap();
        file.set_modified(at).unwrap();
    }
}

pub(crate) fn ago(seconds: u64) -> SystemTime {
    SystemTime::now() - Duration::from_secs(seconds)
}
