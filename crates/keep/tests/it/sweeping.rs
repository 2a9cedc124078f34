//! What goes, what stays, and who wins when both are meant.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use keep::{KeepError, SweepRules, Swept, Volume as _};
use manifest::{BlockHash, Locator};

use crate::fixture::{Site, ago};

const HOUR: u64 = 3600;

fn rules(referenced: &[&Locator]) -> SweepRules {
    SweepRules {
        referenced: referenced.iter().map(|locator| locator.hash()).collect(),
        written_before: ago(HOUR),
        trashed_before: ago(HOUR),
        drafts_before: ago(HOUR),
    }
}

async fn old_block(site: &Site, bytes: &'static [u8]) -> Locator {
    let locator = site.keep.put(Bytes::from_static(bytes)).await.unwrap();
    site.age(locator.hash(), 2 * HOUR);
    locator
}

#[tokio::test]
async fn only_old_blocks_that_nothing_refers_to_go() {
    let site = Site::new().await;
    let new = site.keep.put(Bytes::from_static(b"new")).await.unwrap();
    let used = old_block(&site, b"used").await;
    let unused = old_block(&site, b"unused").await;
    let swept = site.keep.sweep(&rules(&[&used])).await.unwrap();
    assert_eq!((swept.n_kept, swept.n_kept_bytes, swept.n_trashed), (2, 7, 1));
    site.keep.get(&new).await.unwrap();
    site.keep.get(&used).await.unwrap();
    assert!(matches!(site.keep.get(&unused).await, Err(KeepError::Missing(_))));
    // Fresh in the trash: not deleted yet.
    let again = site.keep.sweep(&rules(&[&used])).await.unwrap();
    assert_eq!((again.n_trashed, again.n_deleted), (0, 0));
    let later = SweepRules {
        trashed_before: SystemTime::now() + Duration::from_secs(10),
        ..rules(&[&used])
    };
    let last = site.keep.sweep(&later).await.unwrap();
    assert_eq!(last, Swept { n_kept: 2, n_kept_bytes: 7, n_deleted: 1, ..Swept::default() });
    assert!(!site.volume.untrash(unused.hash()).await.unwrap());
}

#[tokio::test]
async fn a_block_in_the_trash_comes_back_when_something_refers_to_it() {
    let site = Site::new().await;
    let block = old_block(&site, b"wanted again").await;
    assert_eq!(site.keep.sweep(&rules(&[])).await.unwrap().n_trashed, 1);
    assert_eq!(site.keep.sweep(&rules(&[&block])).await.unwrap().n_untrashed, 1);
    assert_eq!(site.keep.get(&block).await.unwrap(), "wanted again");
    // As if written now.
    assert_eq!(site.keep.sweep(&rules(&[])).await.unwrap().n_trashed, 0);
}

#[tokio::test]
async fn drafts_of_dead_writers_go() {
    let site = Site::new().await;
    let mut writing = site.keep.begin(None).await.unwrap();
    writing.write(&vec![0; 2 << 20]).await.unwrap();
    let dead = site.dir.path().join("keep/drafts/dead");
    std::fs::write(&dead, "half").unwrap();
    std::fs::File::options().write(true).open(&dead).unwrap().set_modified(ago(2 * HOUR)).unwrap();
    assert_eq!(site.keep.sweep(&rules(&[])).await.unwrap().n_drafts, 1);
    assert_eq!(site.n_drafts(), 1);
    writing.finish(None).await.unwrap();
}

#[tokio::test]
async fn writing_a_block_again_renews_it() {
    let site = Site::new().await;
    let block = old_block(&site, b"again").await;
    site.keep.put(Bytes::from_static(b"again")).await.unwrap();
    assert!(!site.volume.trash(block.hash(), ago(HOUR)).await.unwrap());
    assert_eq!(site.keep.sweep(&rules(&[])).await.unwrap().n_trashed, 0);
    site.keep.get(&block).await.unwrap();
}

/// A writer and a sweep at the same moment, many times over: what the writer was told is stored is
/// there afterwards, whoever came first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_writer_and_a_sweep_at_the_same_moment_the_writer_wins() {
    let site = Site::new().await;
    for round in 0_u32..60 {
        let bytes = Bytes::from(format!("round {round}"));
        let hash = BlockHash::of(&bytes);
        site.keep.put(bytes.clone()).await.unwrap();
        site.age(hash, 2 * HOUR);
        let (keep, volume) = (site.keep.clone(), site.volume.clone());
        let writing = tokio::spawn(async move { keep.put(bytes).await });
        let sweeping = tokio::spawn(async move { volume.trash(hash, ago(HOUR)).await });
        let locator = writing.await.unwrap().unwrap();
        let _was_trashed = sweeping.await.unwrap().unwrap();
        site.keep.get(&locator).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
    let referenced: HashSet<BlockHash> = HashSet::new();
    site.keep.sweep(&SweepRules { referenced, ..rules(&[]) }).await.unwrap();
}
