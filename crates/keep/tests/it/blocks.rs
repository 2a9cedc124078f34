//! Single blocks: written once and for all, given back unchanged or not at all.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use keep::{KeepError, KeepOptions, Volume as _};
use manifest::{BLOCK_BYTES_MAX, BlockHash, Locator};

use crate::fixture::Site;

#[tokio::test]
async fn a_block_is_found_under_its_hash() {
    let site = Site::new().await;
    let locator = site.keep.put(Bytes::from_static(b"foo")).await.unwrap();
    assert_eq!(locator.to_string(), "acbd18db4cc2f85cedef654fccc4a4d8+3");
    assert_eq!(site.keep.get(&locator).await.unwrap(), "foo");
    assert_eq!(std::fs::read(site.file(locator.hash())).unwrap(), b"foo");
    let status = site.keep.status(locator.hash()).await.unwrap().unwrap();
    assert_eq!(status.size, 3);
    let mode = std::fs::metadata(site.file(locator.hash())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(site.n_drafts(), 0);
    let missing = BlockHash::of(b"bar");
    assert!(site.keep.open(missing).await.unwrap().is_none());
    assert!(site.keep.status(missing).await.unwrap().is_none());
}

#[tokio::test]
async fn the_empty_block_is_always_there() {
    let site = Site::new().await;
    assert_eq!(site.keep.put(Bytes::new()).await.unwrap(), Locator::empty());
    assert_eq!(site.keep.get(&Locator::empty()).await.unwrap(), "");
    let upload = site.keep.begin(Some(BlockHash::of(b"x"))).await.unwrap();
    let refusal = upload.finish(Some(BlockHash::of(b"x"))).await;
    assert!(matches!(refusal, Err(KeepError::Mismatch { .. })), "{refusal:?}");
}

#[tokio::test]
async fn another_block_than_was_named_is_refused_and_leaves_nothing() {
    let site = Site::new().await;
    let named = BlockHash::of(b"foo");
    let mut upload = site.keep.begin(Some(named)).await.unwrap();
    upload.write(b"bar").await.unwrap();
    let refusal = upload.finish(Some(named)).await;
    assert!(matches!(refusal, Err(KeepError::Mismatch { .. })), "{refusal:?}");
    assert!(site.keep.open(named).await.unwrap().is_none());
    assert!(site.keep.open(BlockHash::of(b"bar")).await.unwrap().is_none());
    assert_eq!(site.n_drafts(), 0);
}

#[tokio::test]
async fn a_block_has_64_mib_at_most() {
    let site = Site::new().await;
    let mut upload = site.keep.begin(None).await.unwrap();
    let piece = vec![b'z'; 8 << 20];
    for _ in 0..BLOCK_BYTES_MAX / piece.len() as u64 {
        upload.write(&piece).await.unwrap();
    }
    assert!(matches!(upload.write(b"z").await, Err(KeepError::TooLarge)));
    drop(upload);
    let mut upload = site.keep.begin(None).await.unwrap();
    for _ in 0..BLOCK_BYTES_MAX / piece.len() as u64 {
        upload.write(&piece).await.unwrap();
    }
    let locator = upload.finish(None).await.unwrap();
    assert_eq!(locator.size(), BLOCK_BYTES_MAX);
    let block = site.keep.open(locator.hash()).await.unwrap().unwrap();
    let pieces: Vec<Bytes> = block.stream(0..BLOCK_BYTES_MAX).try_collect().await.unwrap();
    assert_eq!(pieces.iter().map(|piece| piece.len() as u64).sum::<u64>(), BLOCK_BYTES_MAX);
    assert!(pieces.iter().all(|piece| piece.iter().all(|byte| *byte == b'z')));
    assert_eq!(site.n_drafts(), 0);
}

#[tokio::test]
async fn a_flipped_byte_is_found_and_never_given_out() {
    let site = Site::new().await;
    let locator = site.keep.put(Bytes::from_static(b"precious")).await.unwrap();
    let path = site.file(locator.hash());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let refusal = site.keep.open(locator.hash()).await;
    assert!(matches!(refusal, Err(KeepError::Corrupt(_))), "{refusal:?}");
    for cut in [&bytes[..4], &b""[..]] {
        std::fs::write(&path, cut).unwrap();
        let refusal = site.keep.get(&locator).await;
        assert!(matches!(refusal, Err(KeepError::Corrupt(_))), "{refusal:?}");
    }
    // Whoever still has the bytes heals the block by writing it again.
    site.keep.put(Bytes::from_static(b"precious")).await.unwrap();
    assert_eq!(site.keep.get(&locator).await.unwrap(), "precious");
}

#[tokio::test]
async fn a_dropped_upload_leaves_nothing() {
    let site = Site::new().await;
    let mut upload = site.keep.begin(None).await.unwrap();
    upload.write(&vec![1; 3 << 20]).await.unwrap();
    assert_eq!(site.n_drafts(), 1);
    drop(upload);
    // A piece of it may be on its way to the disk, and takes the file away when it comes back.
    let bound = Instant::now() + Duration::from_secs(20);
    while site.n_drafts() > 0 {
        assert!(Instant::now() < bound, "its draft stays");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn buffers_are_counted_and_given_back() {
    let buffer_timeout = Duration::from_millis(20);
    let site =
        Site::with(KeepOptions { buffers: 2, buffer_timeout, ..KeepOptions::default() }).await;
    let locator = site.keep.put(Bytes::from_static(b"foo")).await.unwrap();
    let reading = site.keep.open(locator.hash()).await.unwrap();
    let writing = site.keep.begin(None).await.unwrap();
    assert!(matches!(site.keep.begin(None).await, Err(KeepError::Busy)));
    assert!(matches!(site.keep.open(locator.hash()).await, Err(KeepError::Busy)));
    drop(reading);
    site.keep.begin(None).await.unwrap();
    drop(writing);
    site.keep.get(&locator).await.unwrap();
}

#[tokio::test]
async fn ranges_stay_inside_the_block() {
    let site = Site::new().await;
    let locator = site.keep.put(Bytes::from_static(b"0123456789")).await.unwrap();
    let block = site.keep.open(locator.hash()).await.unwrap().unwrap();
    assert_eq!(block.read(2, 3).await.unwrap(), "234");
    assert_eq!(block.read(10, 0).await.unwrap(), "");
    for (offset, len) in [(8, 3), (11, 1), (u64::MAX, 2)] {
        assert!(matches!(block.read(offset, len).await, Err(KeepError::Range(_))));
    }
}

#[tokio::test]
async fn a_reader_goes_on_when_its_block_is_deleted() {
    let site = Site::new().await;
    let locator = site.keep.put(Bytes::from_static(b"foo")).await.unwrap();
    let block = site.keep.open(locator.hash()).await.unwrap().unwrap();
    let later = std::time::SystemTime::now() + Duration::from_secs(10);
    assert!(site.volume.trash(locator.hash(), later).await.unwrap());
    assert!(site.volume.delete(locator.hash(), later).await.unwrap());
    assert!(site.keep.open(locator.hash()).await.unwrap().is_none());
    assert_eq!(block.read(0, 3).await.unwrap(), "foo");
}
