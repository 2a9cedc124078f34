//! The blocks of a data directory, who may read them, and the sweep of what nothing refers to.

use crate::data_dir::DataDir;
use crate::secrets::Secrets;
use anyhow::{Context, Result};
use api::Blocks;
use config::Config;
use keep::{Keep, KeepOptions, Signer, SweepRules, Swept};
use lifecycle::TaskScope;
use model::site::Blocks as SweptBlocks;
use model::{BlockStore, BlockVolume, Timestamp, VolumePlace};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};
use store::Store;

/// What the last sweep found, below the data directory.
const SWEPT: &str = "run/sweep.json";
/// Whose turn it is to sweep, below the data directory.
const SWEEP_LOCK: &str = "run/sweep.lock";
/// From a start to the first sweep: whoever starts again and again still sweeps.
const FIRST_SWEEP_MAX: Duration = Duration::from_secs(60);
/// A block that nobody has written to for so long has lost its writer.
const DRAFT_LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// How long things are kept for.
#[derive(Debug, Clone, Copy)]
struct Lifetimes {
    signature: Duration,
    trash: Duration,
}

/// Where blocks are, as the config says.
pub(crate) fn store(config: &Config, data: &DataDir) -> BlockStore {
    let collections = &config.collections;
    let own = || BlockVolume {
        name: "data-directory".to_owned(),
        place: VolumePlace::Directory { root: data.blocks() },
        storage_classes: vec!["default".to_owned()],
        replication: collections.blob_replication,
        read_only: false,
    };
    let volumes = match &config.volumes[..] {
        [] => vec![own()],
        named => named.to_vec(),
    };
    BlockStore {
        dir: data.blocks(),
        volumes,
        replication: collections.default_replication,
        cache: data.path().join("cache/inputs"),
        cache_bytes_max: config.containers.input_cache_bytes.get(),
    }
}

/// Opens the blocks, which all processes on a data directory share.
pub(crate) async fn open(config: &Config, data: &DataDir) -> Result<Keep> {
    let collections = &config.collections;
    let options = KeepOptions {
        buffers: collections.block_buffers,
        buffer_timeout: collections.block_buffer_timeout,
        ..KeepOptions::default()
    };
    keep::open(&store(config, data), options).await.context("open the blocks")
}

/// The blocks as the API serves them.
pub(crate) fn served(config: &Config, keep: &Keep, secrets: &Secrets) -> Blocks {
    let collections = &config.collections;
    let signer = collections
        .blob_signing
        .then(|| Signer::new(&secrets.blob_signing_key, collections.blob_signing_ttl));
    Blocks { keep: keep.clone(), signer }
}

/// Starts both sweeps: of collections whose time has come, and of blocks that nothing refers to.
pub(crate) fn start_sweeps(config: &Config, store: &Store, keep: &Keep, scope: &TaskScope) {
    let collections = &config.collections;
    let (records, period) = (store.clone(), collections.trash_sweep_interval);
    scope.spawn_cancellable("sweep of collections", async move {
        loop {
            match records.sweep_collections().await {
                Ok(swept) if swept == store::CollectionsSwept::default() => {}
                Ok(swept) => tracing::info!(?swept, "collections swept"),
                Err(error) => tracing::error!(error = ?error, "collections cannot be swept"),
            }
            tokio::time::sleep(period).await;
        }
    });
    let lifetimes = Lifetimes {
        signature: collections.blob_signing_ttl,
        trash: collections.blob_trash_lifetime,
    };
    let (store, keep, period) = (store.clone(), keep.clone(), collections.blob_sweep_interval);
    let data_dir = config.data_dir.clone();
    scope.spawn_cancellable("sweep of blocks", async move {
        tokio::time::sleep(period.min(FIRST_SWEEP_MAX)).await;
        loop {
            let swept = match try_turn(&data_dir, period / 2) {
                Ok(None) => Ok(None),
                Ok(Some(_turn)) => {
                    let swept = sweep_blocks(&store, &keep, lifetimes).await;
                    // Before the turn is another's.
                    swept.inspect(|swept| note_sweep(&data_dir, swept, store.now())).map(Some)
                }
                Err(error) => Err(error)
                    .with_context(|| format!("lock {}", data_dir.join(SWEEP_LOCK).display())),
            };
            match swept {
                Ok(None) => {
                    tracing::debug!("another process sweeps the blocks, or has just done so")
                }
                Ok(Some(swept)) => {
                    tracing::info!(?swept, "blocks swept");
                    if swept.n_missing > 0 {
                        let n = swept.n_missing;
                        tracing::error!(n, "blocks that collections refer to are on no volume");
                    }
                }
                Err(error) => tracing::error!(error = ?error, "blocks cannot be swept"),
            }
            tokio::time::sleep(period).await;
        }
    });
}

/// Keeps what a sweep found where every process finds it: `run/sweep.json`.
fn note_sweep(data_dir: &Path, swept: &Swept, swept_at: Timestamp) {
    let found = SweptBlocks {
        swept_at,
        n_kept: swept.n_kept,
        kept_bytes: swept.n_kept_bytes,
        n_trashed: swept.n_trashed,
        n_deleted: swept.n_deleted,
    };
    let text = serde_json::to_vec(&found).unwrap_or_default();
    if let Err(error) = crate::secrets::write_private(&data_dir.join(SWEPT), &text) {
        tracing::warn!(error = ?error, "what the sweep found is not noted");
    }
}

/// What the last sweep found, by whichever process. Blocking, and short.
pub(crate) fn last_sweep(data_dir: &Path) -> Option<SweptBlocks> {
    serde_json::from_slice(&std::fs::read(data_dir.join(SWEPT)).ok()?).ok()
}

/// One process sweeps at a time: in a bucket there are no locks by which two could keep out of each
/// other's way. None where another one does, or did a moment ago (`rest`), as several controllers may. Given up when
/// dropped.
fn try_turn(data_dir: &Path, rest: Duration) -> std::io::Result<Option<File>> {
    let path = data_dir.join(SWEEP_LOCK);
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    }
    let age = last_sweep(data_dir).map(|found| {
        let age = jiff::Timestamp::now().duration_since(found.swept_at.as_jiff());
        // A clock that was set back must not keep everybody from sweeping.
        Duration::try_from(age).unwrap_or(Duration::MAX)
    });
    let is_recent = age.is_some_and(|age| age < rest);
    Ok((!is_recent).then_some(file))
}

/// Sweeps once. The order matters: the times are taken before the records are read, so that what
/// comes in between is newer than they are.
async fn sweep_blocks(store: &Store, keep: &Keep, lifetimes: Lifetimes) -> Result<Swept> {
    let now = SystemTime::now();
    let ago = |wait| now.checked_sub(wait).unwrap_or(SystemTime::UNIX_EPOCH);
    let written_before = ago(lifetimes.signature);
    let age = written_before.duration_since(SystemTime::UNIX_EPOCH)?;
    let released_before = jiff::Timestamp::from_duration(age.try_into()?)?;
    store.forget_released(Timestamp::from_jiff(released_before)).await?;
    let rules = SweepRules {
        referenced: store.referenced_blocks().await?,
        written_before,
        trashed_before: ago(lifetimes.trash),
        drafts_before: ago(DRAFT_LIFETIME),
    };
    Ok(keep.sweep(&rules).await?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use keep::{FileVolume, Mount};
    use manifest::Locator;
    use std::sync::Arc;
    use store::{CollectionContent, NewCollection, StoreOptions};

    const DAY: Duration = Duration::from_secs(24 * 3600);

    struct Site {
        keep: Keep,
        store: Store,
        dir: tempfile::TempDir,
    }

    impl Site {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let volume = FileVolume::open(dir.path()).await.unwrap();
            let volumes = vec![Mount::new("near", Arc::new(volume))];
            let keep = Keep::new(volumes, KeepOptions::default());
            let options = StoreOptions::default();
            let store = Store::open(std::path::Path::new(":memory:"), options).await.unwrap();
            Self { keep, store, dir }
        }

        /// A block written thirty days ago.
        async fn old_block(&self, text: &'static str) -> Locator {
            let locator = self.keep.put(Bytes::from_static(text.as_bytes())).await.unwrap();
            let name = locator.hash().to_string();
            let path = self.dir.path().join(&name[..3]).join(name);
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() - 30 * DAY).unwrap();
            locator
        }

        async fn has(&self, locator: &Locator) -> bool {
            self.keep.open(locator.hash()).await.unwrap().is_some()
        }

        async fn sweep(&self) -> Swept {
            let lifetimes = Lifetimes { signature: 14 * DAY, trash: 14 * DAY };
            sweep_blocks(&self.store, &self.keep, lifetimes).await.unwrap()
        }
    }

    #[test]
    fn one_sweeps_at_a_time_and_nobody_right_after_another() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        std::fs::create_dir(dir.join("run")).unwrap();
        let note = |at: SystemTime| {
            let at = Timestamp::from_jiff(at.try_into().unwrap());
            note_sweep(dir, &Swept::default(), at);
        };
        let first = try_turn(dir, DAY).unwrap().expect("nobody ever swept");
        assert!(try_turn(dir, Duration::ZERO).unwrap().is_none());
        drop(first);
        let again = try_turn(dir, DAY).unwrap().expect("the first one did not get to its end");
        note(SystemTime::now());
        drop(again);
        assert!(try_turn(dir, DAY).unwrap().is_none());
        assert!(try_turn(dir, Duration::ZERO).unwrap().is_some());
        note(SystemTime::now() - 2 * DAY);
        assert!(try_turn(dir, DAY).unwrap().is_some());
    }

    #[tokio::test]
    async fn blocks_of_collections_stay_and_others_go() {
        let site = Site::new().await;
        let (used, unused) = (site.old_block("used").await, site.old_block("unused").await);
        let by = site.store.ensure_system_user().await.unwrap().uuid;
        let content = CollectionContent::parse(&format!(". {used} 0:4:x\n")).unwrap();
        let new = NewCollection::named(by.to_string(), "kept", content);
        let mut collection = site.store.create_collection(new, by).await.unwrap();
        let swept = site.sweep().await;
        assert_eq!((swept.n_kept, swept.n_trashed), (1, 1));
        assert!(site.has(&used).await);
        assert!(!site.has(&unused).await);
        // What a collection consisted of until a moment ago, somebody may have permission for.
        let before = collection.clone();
        CollectionContent::parse("").unwrap().put_into(&mut collection);
        let change = store::CollectionChange {
            before,
            after: collection,
            keep_version: false,
            name_clash: store::NameClash::Refuse,
        };
        site.store.update_collection(change, by).await.unwrap();
        assert_eq!(site.sweep().await.n_trashed, 0);
        assert!(site.has(&used).await);
    }
}
