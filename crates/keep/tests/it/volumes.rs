//! Several volumes: where copies go, and what one that is down does to reading and writing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use keep::{FileVolume, Keep, KeepError, KeepOptions, Mount, Wish};
use manifest::{BlockHash, Locator};

use crate::bucket::{Bucket, SECRET};
use crate::fixture::ago;

async fn directory(root: &Path, name: &str) -> Mount {
    Mount::new(name, Arc::new(FileVolume::open(&root.join(name)).await.unwrap()))
}

fn has(root: &Path, name: &str, hash: BlockHash) -> bool {
    let digits = hash.to_string();
    root.join(name).join(&digits[..3]).join(digits).exists()
}

fn keep_on(mounts: Vec<Mount>, replication: u32) -> Keep {
    Keep::new(mounts, KeepOptions { replication, ..KeepOptions::default() })
}

async fn put(keep: &Keep, text: &'static str) -> Locator {
    keep.put(Bytes::from_static(text.as_bytes())).await.unwrap()
}

#[tokio::test]
async fn copies_go_to_different_volumes_and_are_told_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let mut archive = directory(root, "archive").await;
    archive.storage_classes = vec!["archive".to_owned()];
    archive.replication = 3;
    let mut old = directory(root, "old").await;
    old.read_only = true;
    let mounts = vec![old, directory(root, "a").await, directory(root, "b").await, archive];
    let keep = keep_on(mounts, 2);
    let hash = put(&keep, "twice").await.hash();
    for (name, there) in [("a", true), ("b", true), ("old", false), ("archive", false)] {
        assert_eq!(has(root, name, hash), there, "{name}");
    }
    let wish = |copies, class: &str| Wish { copies, storage_classes: vec![class.to_owned()] };
    let mut upload = keep.begin_with(None, &wish(2, "archive")).await.unwrap();
    upload.write(b"for ever").await.unwrap();
    let stored = upload.store(None).await.unwrap();
    assert_eq!((stored.copies, stored.by_class), (3, vec![("archive".to_owned(), 3)]));
    assert!(has(root, "archive", stored.locator.hash()) && !has(root, "a", stored.locator.hash()));
    // More than there are is as many as there are, and that is what is told.
    let mut upload = keep.begin_with(None, &wish(9, "default")).await.unwrap();
    upload.write(b"nine times").await.unwrap();
    let stored = upload.store(None).await.unwrap();
    assert_eq!((stored.copies, stored.by_class), (2, vec![("default".to_owned(), 2)]));
    let refusal = keep.begin_with(None, &wish(1, "tape")).await;
    assert!(matches!(refusal, Err(KeepError::NoSuchClass { .. })), "{refusal:?}");
}

#[tokio::test]
async fn a_copy_that_went_bad_is_made_up_for_by_another() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let keep = keep_on(vec![directory(root, "a").await, directory(root, "b").await], 2);
    let locator = put(&keep, "twice").await;
    let name = locator.hash().to_string();
    std::fs::write(root.join("a").join(&name[..3]).join(&name), "twicE").unwrap();
    assert_eq!(keep.get(&locator).await.unwrap(), "twice");
    std::fs::write(root.join("b").join(&name[..3]).join(&name), "Twice").unwrap();
    let refusal = keep.open(locator.hash()).await;
    assert!(matches!(refusal, Err(KeepError::Corrupt(_))), "{refusal:?}");
}

#[tokio::test]
async fn while_a_volume_is_down_reads_go_on_and_writes_fail_and_say_why() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Bucket::start();
    let far = Mount::new("far", server.volume_with(SECRET, Duration::from_secs(5)));
    let near = directory(dir.path(), "near").await;
    let keep = keep_on(vec![far.clone(), near.clone()], 2);
    let locator = put(&keep, "on both").await;
    assert!(server.object("", locator.hash()).exists());
    assert!(has(dir.path(), "near", locator.hash()));
    server.s3.kill();
    assert_eq!(keep.get(&locator).await.unwrap(), "on both");
    assert_eq!(keep.status(locator.hash()).await.unwrap().unwrap().size, 7);
    let error = keep.put(Bytes::from_static(b"on one")).await.unwrap_err();
    assert!(matches!(error, KeepError::TooFewCopies { stored: 1, wanted: 2, .. }), "{error:?}");
    assert!(error.is_temporary() && error.to_string().contains("volume far"), "{error}");
    // What is on neither is not known to be missing.
    assert!(keep.status(BlockHash::of(b"nowhere")).await.is_err());
    // A sweep of the others goes on, and says that it was not all.
    let rules = keep::SweepRules {
        referenced: [locator.hash()].into(),
        written_before: ago(3600),
        trashed_before: ago(3600),
        drafts_before: ago(3600),
    };
    assert!(matches!(keep.sweep(&rules).await, Err(KeepError::Remote { .. })));
    // A third volume takes the copy in its place.
    let spare = directory(dir.path(), "spare").await;
    let keep = keep_on(vec![far, near, spare], 2);
    let locator = put(&keep, "on the others").await;
    assert!(has(dir.path(), "near", locator.hash()) && has(dir.path(), "spare", locator.hash()));
    server.s3.start_again();
    assert_eq!(keep.get(&locator).await.unwrap(), "on the others");
}

#[tokio::test]
async fn the_next_try_goes_to_a_volume_that_did_not_fail() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Bucket::start();
    let far = Mount::new("far", server.volume_with(SECRET, Duration::from_secs(5)));
    let spare = directory(dir.path(), "spare").await;
    let keep = keep_on(vec![far, spare], 1);
    // The first volume of this block is the far one, which takes it without being asked.
    let bytes = (0_u8..)
        .map(|n| vec![n; 3 << 20])
        .find(|it| BlockHash::of(it).as_bytes()[0].is_multiple_of(2));
    let bytes = bytes.unwrap();
    let hash = BlockHash::of(&bytes);
    let mut upload = keep
        .begin_with(Some(hash), &Wish { copies: 1, storage_classes: Vec::new() })
        .await
        .unwrap();
    upload.write(&bytes).await.unwrap();
    server.s3.kill();
    let refusal = upload.store(Some(hash)).await;
    assert!(matches!(refusal, Err(KeepError::Remote { .. })), "{refusal:?}");
    // Its writer has the bytes and tries again: the one that failed comes last now.
    let mut upload = keep.begin(Some(hash)).await.unwrap();
    upload.write(&bytes).await.unwrap();
    upload.store(Some(hash)).await.unwrap();
    assert!(has(dir.path(), "spare", hash));
}

#[tokio::test]
async fn with_one_of_two_buckets_down_reading_and_writing_go_on_and_the_sweep_makes_up_for_it() {
    let bound = Duration::from_secs(5);
    let (mut one, two) = (Bucket::start(), Bucket::start());
    let mounts = vec![
        Mount::new("one", one.volume_with(SECRET, bound)),
        Mount::new("two", two.volume_with(SECRET, bound)),
    ];
    let keep = keep_on(mounts.clone(), 1);
    let both = keep_on(mounts, 2);
    let before = put(&both, "before").await;
    one.s3.kill();
    assert_eq!(keep.get(&before).await.unwrap(), "before");
    let mut written = Vec::new();
    for text in ["first", "second", "third", "fourth"] {
        // Who was told that a volume failed tries again, as clients do.
        let first = keep.put(Bytes::from_static(text.as_bytes())).await;
        let locator = match first {
            Ok(locator) => locator,
            Err(error) => {
                assert!(
                    error.is_temporary() && error.to_string().contains("volume one"),
                    "{error}"
                );
                put(&keep, text).await
            }
        };
        assert!(two.object("", locator.hash()).exists(), "{text}");
        written.push(locator);
    }
    let rules = keep::SweepRules {
        referenced: written.iter().chain([&before]).map(Locator::hash).collect(),
        written_before: ago(3600),
        trashed_before: ago(3600),
        drafts_before: ago(3600),
    };
    // A volume that cannot be seen has its copies still, for all we know.
    assert!(matches!(both.sweep(&rules).await, Err(KeepError::Remote { .. })));
    one.s3.start_again();
    let swept = both.sweep(&rules).await.unwrap();
    assert_eq!((swept.n_copied, swept.n_short, swept.n_missing), (4, 0, 0));
    for locator in &written {
        assert!(one.object("", locator.hash()).exists(), "{locator}");
    }
    let again = both.sweep(&rules).await.unwrap();
    assert_eq!((again.n_copied, again.n_kept), (0, 10));
}

#[tokio::test]
async fn copies_come_back_on_volumes_of_the_same_class_from_a_copy_that_is_good() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let mut archive = directory(root, "archive").await;
    archive.storage_classes = vec!["archive".to_owned()];
    let mounts = vec![
        directory(root, "a").await,
        directory(root, "b").await,
        directory(root, "c").await,
        archive,
    ];
    let keep = keep_on(mounts, 3);
    let locator = put(&keep, "three times").await;
    let (hash, name) = (locator.hash(), locator.hash().to_string());
    let file = |volume: &str| root.join(volume).join(&name[..3]).join(&name);
    std::fs::remove_file(file("b")).unwrap();
    std::fs::write(file("a"), "three timeS").unwrap();
    let wish = Wish { copies: 1, storage_classes: vec!["archive".to_owned()] };
    let mut upload = keep.begin_with(None, &wish).await.unwrap();
    upload.write(b"for ever").await.unwrap();
    let archived = upload.finish(None).await.unwrap();
    let nowhere = BlockHash::of(b"nowhere");
    let rules = keep::SweepRules {
        referenced: [hash, archived.hash(), nowhere, BlockHash::EMPTY].into(),
        written_before: ago(3600),
        trashed_before: ago(3600),
        drafts_before: ago(3600),
    };
    let swept = keep.sweep(&rules).await.unwrap();
    assert_eq!((swept.n_copied, swept.n_short, swept.n_missing), (1, 1, 1));
    assert_eq!(std::fs::read(file("b")).unwrap(), b"three times");
    assert!(!has(root, "archive", hash) && !has(root, "a", archived.hash()));
}
