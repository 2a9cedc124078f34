//! Files of collections on this machine: each put together from its blocks once, then linked.
//!
//! ```text
//! <dir>/files/<2 digits>/<key>   read-only; the key is a digest of which ranges of which blocks it is
//! <dir>/tmp/<random>             being put together
//! ```
//! A block's bytes were checked against its hash before they came here. Containers see these files only through
//! read-only mounts, so that one cannot change what another reads. Nothing is synced: after a loss of power the cache
//! is emptied, which the boot's identifier in it tells. A file that some container has a link to stays; others go,
//! longest unused first, when there is more than was allowed.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use keep::{Keep, KeepError, OpenBlock};
use lifecycle::CancellationToken;
use manifest::{BlockHash, Segment};
use ring::digest::{Context, SHA256};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustix::fs::{AtFlags, CWD, FlockOperation, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT};

use super::{InputError, disk};

/// Blocks that are being checked while the one before them is copied.
const BLOCKS_AHEAD: usize = 2;
/// Between looks whether somebody else has made a file.
const LOCK_POLL: Duration = Duration::from_millis(20);
/// The part of the cache's size after which it is looked through again while files are being made.
const ROOM_PART: u64 = 16;

/// The cache of one machine; any number of processes share it.
#[derive(Debug, Clone)]
pub(crate) struct FileCache {
    dir: PathBuf,
    bytes_max: u64,
    keep: Keep,
    /// Those opened last, which stay open until another one is: small files lie in one behind each other.
    blocks: Arc<Mutex<Vec<Arc<OpenBlock>>>>,
    /// Bytes that were made since the cache was looked through last.
    bytes_made: Arc<AtomicU64>,
}

impl FileCache {
    /// Opens it, making it if need be. One from before the machine was started last is emptied.
    pub(crate) fn open(dir: &Path, bytes_max: u64, keep: Keep) -> io::Result<Self> {
        fs::DirBuilder::new().recursive(true).create(dir)?;
        fs::set_permissions(dir, Permissions::from_mode(0o700))?;
        let lock =
            File::options().create(true).truncate(false).write(true).open(dir.join("lock"))?;
        rustix::fs::flock(&lock, FlockOperation::LockExclusive)?;
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        if fs::read_to_string(dir.join("boot")).ok().as_deref() != Some(boot.as_str()) {
            for part in ["files", "tmp"] {
                runtime::remove_tree(&dir.join(part))?;
            }
            fs::write(dir.join("boot"), boot)?;
        }
        for part in ["files", "tmp"] {
            fs::create_dir_all(dir.join(part))?;
        }
        let (blocks, bytes_made) = (Arc::default(), Arc::default());
        Ok(Self { dir: dir.to_owned(), bytes_max, keep, blocks, bytes_made })
    }

    /// Makes a file of these ranges at `place`, which is free: a link, or where it may be written to, a copy.
    pub(crate) async fn put_at(
        &self,
        segments: &[Segment],
        place: &Path,
        writable: bool,
        path: &str,
        stop: &CancellationToken,
    ) -> Result<(), InputError> {
        // Another container's wish for room may take the file away between these two steps.
        for _try in 0..3 {
            let file = self.file(segments, path, stop).await?;
            let put = if writable { copy(&file, place) } else { link(&file, place) };
            match put {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                put => return put.map_err(disk(place)),
            }
        }
        Err(disk(place)(io::ErrorKind::NotFound.into()))
    }

    /// The cached file, put together now if it is not there yet.
    async fn file(
        &self,
        segments: &[Segment],
        path: &str,
        stop: &CancellationToken,
    ) -> Result<PathBuf, InputError> {
        let key = key_of(segments);
        let folder = self.dir.join("files").join(&key[..2]);
        let file = folder.join(&key);
        if file.exists() {
            mark_used(&file);
            return Ok(file);
        }
        fs::create_dir_all(&folder).map_err(disk(&folder))?;
        // Containers that start together read the same files: one puts each together, the others wait for it.
        let _making = lock(&folder, stop).await?;
        if file.exists() {
            mark_used(&file);
            return Ok(file);
        }
        let unfinished = Unfinished(self.dir.join("tmp").join(random_name()));
        let made = File::options().write(true).create_new(true).mode(0o600).open(&unfinished.0);
        let out = Arc::new(made.map_err(disk(&unfinished.0))?);
        let n_bytes = self.fill(&out, segments, path, stop).await?;
        // As Arvados's own mount shows files: readable and executable by everybody.
        out.set_permissions(Permissions::from_mode(0o555)).map_err(disk(&unfinished.0))?;
        fs::rename(&unfinished.0, &file).map_err(disk(&file))?;
        let bytes_made = self.bytes_made.fetch_add(n_bytes, Ordering::Relaxed) + n_bytes;
        if bytes_made > self.bytes_max / ROOM_PART {
            self.make_room(Some(&file));
        }
        Ok(file)
    }

    /// Answers how many bytes the file has now.
    async fn fill(
        &self,
        out: &Arc<File>,
        segments: &[Segment],
        path: &str,
        stop: &CancellationToken,
    ) -> Result<u64, InputError> {
        let failed = |source| InputError::Blocks { path: path.to_owned(), source };
        let mut blocks = stream::iter(runs(segments))
            .map(|(hash, run)| async move { (run, self.block(hash).await) })
            .buffered(BLOCKS_AHEAD);
        let mut n_bytes = 0;
        while let Some((run, opened)) = blocks.next().await {
            let block = opened.map_err(failed)?;
            for segment in run {
                let (mut from, end) = (segment.offset, segment.offset + segment.len);
                while from < end {
                    if stop.is_cancelled() {
                        return Err(InputError::Stopped);
                    }
                    let copied = block.copy_piece(from, end - from, out, n_bytes).await;
                    let copied = copied.map_err(failed)?;
                    (from, n_bytes) = (from + copied, n_bytes + copied);
                }
            }
        }
        Ok(n_bytes)
    }

    /// A block whose bytes were compared with its hash.
    async fn block(&self, hash: BlockHash) -> Result<Arc<OpenBlock>, KeepError> {
        {
            let mut last = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(block) = last.iter().find(|block| block.hash() == hash) {
                return Ok(Arc::clone(block));
            }
            // Given back first: each open block holds one of few buffers, and who waits for another one while holding them
            // all waits for ever.
            last.clear();
        }
        let block = Arc::new(self.keep.open(hash).await?.ok_or(KeepError::Missing(hash))?);
        let mut last = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        last.push(Arc::clone(&block));
        Ok(block)
    }

    /// Brings the cache within its bounds, once all files that somebody wanted are linked, and lets go of blocks.
    pub(crate) fn settle(&self) {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner).clear();
        if self.bytes_made.load(Ordering::Relaxed) > 0 {
            self.make_room(None);
        }
    }

    /// Removes what was longest unused until the rest is within bounds, but not the newest. Trouble is only told: the
    /// cache is too large then, and nothing worse.
    fn make_room(&self, newest: Option<&Path>) {
        self.bytes_made.store(0, Ordering::Relaxed);
        let mut files = match cached_files(&self.dir.join("files")) {
            Ok(files) => files,
            Err(error) => return tracing::warn!(%error, "cannot look through the cache of inputs"),
        };
        let mut bytes: u64 = files.iter().map(|file| file.bytes).sum();
        files.retain(|file| !file.is_in_use && Some(&*file.path) != newest);
        files.sort_by_key(|file| file.used_at);
        for file in files {
            if bytes <= self.bytes_max {
                return;
            }
            match fs::remove_file(&file.path) {
                Ok(()) => bytes -= file.bytes,
                Err(error) => tracing::warn!(%error, "cannot remove a file of the cache of inputs"),
            }
        }
    }
}

/// Waits for whoever makes a file of this folder, in any process; the kernel gives the lock up with the process.
async fn lock(folder: &Path, stop: &CancellationToken) -> Result<File, InputError> {
    let opened = File::open(folder).map_err(disk(folder))?;
    loop {
        match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(opened),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                if stop.run_until_cancelled(tokio::time::sleep(LOCK_POLL)).await.is_none() {
                    return Err(InputError::Stopped);
                }
            }
            Err(errno) => return Err(disk(folder)(errno.into())),
        }
    }
}

/// Ranges that follow each other in the same block, together: it is opened once.
fn runs(segments: &[Segment]) -> Vec<(BlockHash, Vec<Segment>)> {
    let mut runs: Vec<(BlockHash, Vec<Segment>)> = Vec::new();
    for segment in segments {
        match runs.last_mut() {
            Some((hash, run)) if *hash == segment.locator.hash() => run.push(segment.clone()),
            _ => runs.push((segment.locator.hash(), vec![segment.clone()])),
        }
    }
    runs
}

/// Says which bytes a file has, without reading them.
fn key_of(segments: &[Segment]) -> String {
    use std::fmt::Write as _;
    let mut context = Context::new(&SHA256);
    for Segment { locator, offset, len } in segments {
        context
            .update(format!("{}+{} {offset} {len}\n", locator.hash(), locator.size()).as_bytes());
    }
    context.finish().as_ref().iter().fold(String::with_capacity(64), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

fn random_name() -> String {
    let mut bytes = [0; 8];
    // Were it to fail, a name that is taken is refused when the file is made.
    let _filled = SystemRandom::new().fill(&mut bytes);
    format!("{:016x}", u64::from_be_bytes(bytes))
}

/// For whom to remove first. The time of the content stays as it is: programs go by it.
fn mark_used(file: &Path) {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    };
    // Gone meanwhile: whoever links it next finds out.
    let _marked = rustix::fs::utimensat(CWD, file, &times, AtFlags::empty());
}

/// A link where the file system has them; it may also have too many of one file, or be another one.
fn link(file: &Path, place: &Path) -> io::Result<()> {
    match fs::hard_link(file, place) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::CrossesDevices
                    | io::ErrorKind::TooManyLinks
                    | io::ErrorKind::Unsupported
            ) || error.kind() == io::ErrorKind::PermissionDenied =>
        {
            fs::copy(file, place).map(drop)
        }
        linked => linked,
    }
}

/// A copy that any user may change; without copying bytes where the file system can share them.
fn copy(file: &Path, place: &Path) -> io::Result<()> {
    fs::copy(file, place)?;
    fs::set_permissions(place, Permissions::from_mode(0o777))
}

/// Goes away unless it was renamed.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        // Renamed, most of the time.
        let _gone = fs::remove_file(&self.0);
    }
}

struct Cached {
    path: PathBuf,
    bytes: u64,
    is_in_use: bool,
    used_at: i64,
}

fn cached_files(dir: &Path) -> io::Result<Vec<Cached>> {
    let mut files = Vec::new();
    for folder in fs::read_dir(dir)? {
        for entry in fs::read_dir(folder?.path())? {
            let entry = entry?;
            // Removed by another process meanwhile.
            let Ok(metadata) = entry.metadata() else { continue };
            files.push(Cached {
                path: entry.path(),
                bytes: metadata.len(),
                is_in_use: metadata.nlink() > 1,
                used_at: metadata.atime(),
            });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use keep::{FileVolume, KeepOptions, Mount};
    use manifest::Locator;
    use std::sync::Arc;

    struct Site {
        dir: tempfile::TempDir,
        keep: Keep,
    }

    impl Site {
        async fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let volume = FileVolume::open(&dir.path().join("blocks")).await.unwrap();
            // As few buffers as a supervisor has.
            let options = KeepOptions {
                buffers: crate::launch::BUFFERS,
                buffer_timeout: Duration::from_secs(5),
                ..KeepOptions::default()
            };
            let keep = Keep::new(vec![Mount::new("near", Arc::new(volume))], options);
            Self { dir, keep }
        }

        fn cache(&self, bytes_max: u64) -> FileCache {
            FileCache::open(&self.dir.path().join("cache"), bytes_max, self.keep.clone()).unwrap()
        }

        async fn put(&self, bytes: &'static [u8]) -> Locator {
            self.keep.put(bytes.into()).await.unwrap()
        }

        async fn show(
            &self,
            cache: &FileCache,
            segments: &[Segment],
            name: &str,
            writable: bool,
        ) -> PathBuf {
            let place = self.dir.path().join(name);
            let stop = CancellationToken::new();
            cache.put_at(segments, &place, writable, name, &stop).await.unwrap();
            place
        }
    }

    fn segment(locator: &Locator, offset: u64, len: u64) -> Segment {
        Segment { locator: locator.clone(), offset, len }
    }

    #[tokio::test]
    async fn a_file_is_made_once_linked_for_reading_and_copied_for_writing() {
        let site = Site::new().await;
        let cache = site.cache(1 << 20);
        let (one, two) = (site.put(b"hello ").await, site.put(b"big world").await);
        let segments = [segment(&one, 0, 6), segment(&two, 4, 5), segment(&one, 5, 1)];
        let first = site.show(&cache, &segments, "first", false).await;
        let second = site.show(&cache, &segments, "second", false).await;
        let own = site.show(&cache, &segments, "own", true).await;
        for place in [&first, &second, &own] {
            assert_eq!(fs::read(place).unwrap(), b"hello world ");
        }
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(&first), inode(&second));
        assert_ne!(inode(&first), inode(&own));
        fs::write(&own, "changed").unwrap();
        assert_eq!(fs::read(&first).unwrap(), b"hello world ");
        assert_eq!(fs::metadata(&first).unwrap().mode() & 0o777, 0o555);
    }

    #[tokio::test]
    async fn files_of_more_blocks_than_there_are_buffers_are_made() {
        let site = Site::new().await;
        let cache = site.cache(1 << 20);
        let mut segments = Vec::new();
        for digit in &b"0123456789".map(|digit| [digit]) {
            segments.push(segment(&site.keep.put(digit.to_vec().into()).await.unwrap(), 0, 1));
        }
        for (name, expected) in [("there", "0123456789"), ("back", "9876543210")] {
            let place = site.show(&cache, &segments, name, false).await;
            assert_eq!(fs::read_to_string(place).unwrap(), expected);
            segments.reverse();
        }
    }

    #[tokio::test]
    async fn a_block_is_opened_once_for_all_files_in_it() {
        let site = Site::new().await;
        let cache = site.cache(1 << 20);
        let block = site.put(b"0123456789").await;
        site.show(&cache, &[segment(&block, 0, 3)], "a", false).await;
        let name = block.hash().to_string();
        fs::remove_file(site.dir.path().join("blocks").join(&name[..3]).join(&name)).unwrap();
        let second = site.show(&cache, &[segment(&block, 3, 3)], "b", false).await;
        assert_eq!(fs::read(second).unwrap(), b"345");
        // Once all files are there it is let go.
        cache.settle();
        let place = site.dir.path().join("c");
        let stop = CancellationToken::new();
        let put = cache.put_at(&[segment(&block, 6, 3)], &place, false, "c", &stop).await;
        assert!(put.unwrap_err().to_string().contains("is not stored here"));
    }

    #[tokio::test]
    async fn of_two_that_want_the_same_file_at_once_one_makes_it() {
        let site = Site::new().await;
        let block = site.put(b"0123456789").await;
        let (one, two) = (site.cache(1 << 20), site.cache(1 << 20));
        let segments = [segment(&block, 0, 10)];
        let (first, second) = tokio::join!(
            site.show(&one, &segments, "first", false),
            site.show(&two, &segments, "second", false)
        );
        let inode = |path: &Path| fs::metadata(path).unwrap().ino();
        assert_eq!(inode(&first), inode(&second));
    }

    #[tokio::test]
    async fn a_missing_block_leaves_nothing_behind_and_is_named() {
        let site = Site::new().await;
        let cache = site.cache(1 << 20);
        let gone = Locator::new(BlockHash::of(b"gone"), 4).unwrap();
        let place = site.dir.path().join("place");
        let stop = CancellationToken::new();
        let put = cache.put_at(&[segment(&gone, 0, 4)], &place, false, "a/b", &stop).await;
        let words = put.unwrap_err().to_string();
        assert!(words.contains("a/b") && words.contains("is not stored here"), "{words}");
        assert!(!place.exists());
        assert_eq!(fs::read_dir(site.dir.path().join("cache/tmp")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn what_no_container_uses_makes_room_and_what_one_uses_stays() {
        let site = Site::new().await;
        let cache = site.cache(10);
        let block = site.put(b"0123456789").await;
        let used = site.show(&cache, &[segment(&block, 0, 8)], "used", false).await;
        let left = site.show(&cache, &[segment(&block, 1, 8)], "left", false).await;
        fs::remove_file(&left).unwrap();
        site.show(&cache, &[segment(&block, 2, 8)], "third", true).await;
        let files = cached_files(&cache.dir.join("files")).unwrap();
        let in_use: Vec<bool> = files.iter().map(|file| file.is_in_use).collect();
        assert!(in_use == [true, false] || in_use == [false, true], "{in_use:?}");
        assert!(used.exists());
    }

    #[tokio::test]
    async fn a_cache_from_before_the_machines_start_is_emptied() {
        let site = Site::new().await;
        let block = site.put(b"0123456789").await;
        let cache = site.cache(1 << 20);
        site.show(&cache, &[segment(&block, 0, 8)], "a", false).await;
        fs::write(site.dir.path().join("cache/boot"), "another").unwrap();
        let cache = site.cache(1 << 20);
        assert!(cached_files(&cache.dir.join("files")).unwrap().is_empty());
    }
}
