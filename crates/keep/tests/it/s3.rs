//! Blocks in a bucket of a real S3 server.

use std::collections::HashSet;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use keep::{Keep, KeepError, KeepOptions, Mount, S3Volume, SweepRules, Volume as _};
use manifest::{BLOCK_BYTES_MAX, BlockHash, Locator};

use crate::bucket::{Bucket, SECRET};
use crate::fixture::ago;

const HOUR: u64 = 3600;

fn keep_on(volume: &Arc<S3Volume>) -> Keep {
    let volume = Arc::clone(volume);
    Keep::new(vec![Mount::new("far", volume)], KeepOptions::default())
}

fn rules(referenced: &[&Locator]) -> SweepRules {
    SweepRules {
        referenced: referenced.iter().map(|locator| locator.hash()).collect(),
        written_before: ago(HOUR),
        trashed_before: ago(HOUR),
        drafts_before: ago(HOUR),
    }
}

#[tokio::test]
async fn a_block_goes_to_the_bucket_and_comes_back() {
    let server = Bucket::start();
    let volume = server.volume();
    let keep = keep_on(&volume);
    let locator = keep.put(Bytes::from_static(b"foo")).await.unwrap();
    assert_eq!(locator.to_string(), "acbd18db4cc2f85cedef654fccc4a4d8+3");
    assert_eq!(fs::read(server.object("", locator.hash())).unwrap(), b"foo");
    assert_eq!(keep.get(&locator).await.unwrap(), "foo");
    assert_eq!(keep.status(locator.hash()).await.unwrap().unwrap().size, 3);
    let missing = BlockHash::of(b"bar");
    assert!(keep.open(missing).await.unwrap().is_none());
    assert!(keep.status(missing).await.unwrap().is_none());
    let mut upload = keep.begin(Some(missing)).await.unwrap();
    upload.write(b"baz").await.unwrap();
    let refusal = upload.finish(Some(missing)).await;
    assert!(matches!(refusal, Err(KeepError::Mismatch { .. })), "{refusal:?}");
    assert!(keep.open(BlockHash::of(b"baz")).await.unwrap().is_none());
    assert_eq!(fs::read_dir(server.spool()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_whole_block_of_64_mib_is_whole_again() {
    let server = Bucket::start();
    let keep = keep_on(&server.volume());
    let n_bytes = usize::try_from(BLOCK_BYTES_MAX).unwrap();
    let block: Bytes = (0..n_bytes).map(|n| (n % 251).to_le_bytes()[0]).collect();
    let locator = keep.put(block.clone()).await.unwrap();
    assert_eq!(locator.size(), BLOCK_BYTES_MAX);
    assert!(keep.get(&locator).await.unwrap() == block);
}

#[tokio::test]
async fn a_wrong_secret_is_refused_by_the_server_and_told() {
    let server = Bucket::start();
    let keep = keep_on(&server.volume_with("another", Duration::from_secs(20)));
    let error = keep.put(Bytes::from_static(b"foo")).await.unwrap_err();
    assert!(matches!(error, KeepError::Remote { .. }), "{error:?}");
    assert!(format!("{error:?}").contains("403"), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("another"), "{error:?}");
    assert!(!server.object("", BlockHash::of(b"foo")).exists());
}

#[tokio::test]
async fn an_object_that_went_bad_is_never_given_out() {
    let server = Bucket::start();
    let keep = keep_on(&server.volume());
    let locator = keep.put(Bytes::from_static(b"precious")).await.unwrap();
    let path = server.object("", locator.hash());
    for wrong in [&b"preciouS"[..], b"prec", b"", b"precious and more"] {
        fs::write(&path, wrong).unwrap();
        // The server remembers sizes for a moment.
        let is_told = async || {
            let status = keep.status(locator.hash()).await.unwrap().unwrap();
            status.size == wrong.len() as u64
        };
        let bound = Instant::now() + Duration::from_secs(10);
        while !is_told().await {
            assert!(Instant::now() < bound, "the server tells the old size");
        }
        let refusal = keep.open(locator.hash()).await;
        assert!(matches!(refusal, Err(KeepError::Corrupt(_))), "{wrong:?}: {refusal:?}");
    }
    keep.put(Bytes::from_static(b"precious")).await.unwrap();
    assert_eq!(keep.get(&locator).await.unwrap(), "precious");
}

/// The server is killed while blocks are being sent, again and again: what was acknowledged is there
/// afterwards, and nothing that is not whole is ever given out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_in_an_upload_loses_nothing_acknowledged() {
    let mut server = Bucket::start();
    let keep = keep_on(&server.volume_with(SECRET, Duration::from_secs(5)));
    let mut acknowledged = Vec::new();
    let mut n_failed = 0;
    for round in 0_u8..4 {
        let sender = keep.clone();
        let sending = tokio::spawn(async move {
            let mut done = Vec::new();
            for number in 0_u8..8 {
                let mut block = vec![round; 8 << 20];
                block[0] = number;
                match sender.put(block.clone().into()).await {
                    Ok(locator) => done.push((locator, block)),
                    Err(error) => return (done, Some(error)),
                }
            }
            (done, None)
        });
        // An upload under way: a file of the server's that is not whole yet.
        let (begun, bound) = (acknowledged.len() + 1, Instant::now() + Duration::from_secs(20));
        while server.s3.n_objects() < begun && Instant::now() < bound {
            tokio::task::yield_now().await;
        }
        server.s3.kill();
        let (done, fault) = sending.await.unwrap();
        n_failed += usize::from(fault.is_some());
        acknowledged.extend(done);
        server.s3.start_again();
    }
    assert!(n_failed > 0, "no upload was cut");
    // The volume was in trouble a moment ago, and is asked all the same: there is no other.
    for (locator, block) in &acknowledged {
        assert!(keep.get(locator).await.unwrap() == block[..], "{locator}");
    }
    for round in 0_u8..4 {
        for number in 0_u8..8 {
            let mut block = vec![round; 8 << 20];
            block[0] = number;
            match keep.open(BlockHash::of(&block)).await {
                Ok(None) | Err(KeepError::Corrupt(_)) => {}
                Ok(Some(open)) => assert!(open.read(0, open.size()).await.unwrap() == block[..]),
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    assert_eq!(fs::read_dir(server.spool()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_silent_server_is_given_up_in_time() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = Bucket::start();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let keep = keep_on(&server.volume_at(endpoint, SECRET, Duration::from_millis(200)));
    let began = Instant::now();
    let error = keep.put(Bytes::from_static(b"foo")).await.unwrap_err();
    assert!(matches!(error, KeepError::Remote { .. }), "{error:?}");
    assert!(format!("{error:?}").contains("TimedOut"), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn only_old_blocks_that_nothing_refers_to_go() {
    let server = Bucket::start();
    let keep = keep_on(&server.volume());
    let put = |text: &'static str| keep.put(Bytes::from_static(text.as_bytes()));
    let (new, used, unused) =
        (put("new").await.unwrap(), put("used").await.unwrap(), put("unused").await.unwrap());
    for old in [&used, &unused] {
        server.age("", old.hash(), 2 * HOUR);
    }
    let swept = keep.sweep(&rules(&[&used])).await.unwrap();
    assert_eq!((swept.n_kept, swept.n_kept_bytes, swept.n_trashed), (2, 7, 1));
    keep.get(&new).await.unwrap();
    keep.get(&used).await.unwrap();
    assert!(matches!(keep.get(&unused).await, Err(KeepError::Missing(_))));
    // Something refers to it after all.
    let swept = keep.sweep(&rules(&[&used, &unused])).await.unwrap();
    assert_eq!((swept.n_untrashed, swept.n_trashed, swept.n_deleted), (1, 0, 0));
    assert_eq!(keep.get(&unused).await.unwrap(), "unused");
    // And then nothing again, for long.
    for top in ["", "recent"] {
        server.age(top, unused.hash(), 2 * HOUR);
    }
    assert_eq!(keep.sweep(&rules(&[&used])).await.unwrap().n_trashed, 1);
    assert_eq!(keep.sweep(&rules(&[&used])).await.unwrap().n_deleted, 0, "fresh in the trash");
    server.age("trash", unused.hash(), 2 * HOUR);
    assert_eq!(keep.sweep(&rules(&[&used])).await.unwrap().n_deleted, 1);
    for top in ["", "trash", "recent"] {
        assert!(!server.object(top, unused.hash()).exists(), "{top}");
    }
}

#[tokio::test]
async fn a_block_that_a_killed_sweep_deleted_after_it_was_written_comes_back() {
    let server = Bucket::start();
    let volume = server.volume();
    let keep = keep_on(&volume);
    let locator = keep.put(Bytes::from_static(b"renewed")).await.unwrap();
    server.age("", locator.hash(), 2 * HOUR);
    assert!(volume.trash(locator.hash(), ago(HOUR)).await.unwrap());
    assert!(keep.open(locator.hash()).await.unwrap().is_none());
    // Written again while a copy is in the trash, and then the deletion of a sweep that looked before.
    keep.put(Bytes::from_static(b"renewed")).await.unwrap();
    fs::remove_file(server.object("", locator.hash())).unwrap();
    assert_eq!(keep.get(&locator).await.unwrap(), "renewed");
    assert!(!volume.trash(locator.hash(), ago(HOUR)).await.unwrap());
}

/// A writer and a sweep at the same moment, many times over: what the writer was told is stored is
/// there afterwards, whoever came first.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_writer_and_a_sweep_at_the_same_moment_the_writer_wins() {
    let server = Bucket::start();
    let volume = server.volume();
    let keep = keep_on(&volume);
    for round in 0_u32..60 {
        let bytes = Bytes::from(format!("round {round}"));
        let hash = BlockHash::of(&bytes);
        keep.put(bytes.clone()).await.unwrap();
        server.age("", hash, 2 * HOUR);
        let (writer, sweeper) = (keep.clone(), Arc::clone(&volume));
        let writing = tokio::spawn(async move {
            // Not always at the very start of the sweep's steps.
            for _ in 0..round % 7 {
                writer.status(hash).await.unwrap();
            }
            writer.put(bytes).await
        });
        let sweeping = tokio::spawn(async move { sweeper.trash(hash, ago(HOUR)).await });
        let locator = writing.await.unwrap().unwrap();
        let _was_trashed = sweeping.await.unwrap().unwrap();
        keep.get(&locator).await.unwrap_or_else(|error| panic!("round {round}: {error}"));
        assert!(server.object("", hash).exists(), "round {round}");
    }
    let referenced: HashSet<BlockHash> = HashSet::new();
    let swept = keep.sweep(&SweepRules { referenced, ..rules(&[]) }).await.unwrap();
    assert_eq!((swept.n_kept, swept.n_trashed), (60, 0));
}
