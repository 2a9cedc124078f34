//! A disk that is really full: a small tmpfs in a mount namespace of the test's own.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{ContainerEnd, ContainerRequest, ContainerState, Outcome, PublishedPorts};
use serde_json::json;
use store::{Leavings, Store, StoreError, StoreOptions};

use crate::fixture::Fixture;

/// Set for the run inside the namespace: where the small disk is.
const DISK: &str = "STORE_TEST_SMALL_DISK";

/// Runs this test again with a disk of 16 MiB, and answers `None`; in that run, the disk.
fn small_disk(test: &str) -> Option<std::path::PathBuf> {
    if let Some(disk) = std::env::var_os(DISK) {
        return Some(disk.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let script = "mount -t tmpfs -o size=16m,mode=0700 small-disk \"$0\" && exec \"$@\"";
    let status = command
        .args(["--mount", "--propagation", "private", "sh", "-c", script])
        .arg(folder.path())
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(DISK, folder.path())
        .status()
        .unwrap();
    assert!(status.success(), "{status} (a tmpfs needs root or user namespaces)");
    None
}

fn fill(disk: &Path) {
    let mut file =
        std::fs::OpenOptions::new().append(true).create(true).open(disk.join("filler")).unwrap();
    while file.write_all(&[b'x'; 4096]).is_ok() {}
}

/// Of a size for which the log's last page never has the room.
fn padded() -> serde_json::Value {
    json!({"state": "Committed", "environment": {"PADDING": "x".repeat(64 * 1024)}})
}

async fn submitted(fixture: &Fixture) -> ContainerRequest {
    fixture.submit(&fixture.ada, padded()).await
}

async fn cancel(fixture: &Fixture, request: &ContainerRequest) -> Result<(), StoreError> {
    let before = fixture.store.request(request.uuid).await?.unwrap();
    let after = ContainerRequest { priority: 0, ..before.clone() };
    fixture.store.update_request(before, after, None, fixture.ada.uuid).await.map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_full_disk_things_can_be_ended_and_nothing_begun() {
    let Some(disk) = small_disk("full_disk::on_a_full_disk_things_can_be_ended_and_nothing_begun")
    else {
        return;
    };
    let fixture = Fixture::beside(&disk).await;
    let store = &fixture.store;
    let reserve = disk.join("reserve");
    let (queued, running, deleted) =
        (submitted(&fixture).await, submitted(&fixture).await, submitted(&fixture).await);
    let container = running.container_uuid.unwrap();
    assert!(store.lock_container(container, "me").await.unwrap());
    let ports = PublishedPorts::default();
    assert!(store.start_container(container, store.now(), ports).await.unwrap());
    let held = || std::fs::metadata(&reserve).unwrap().blocks();
    let whole = held();

    fill(&disk);
    let draft = fixture.draft(&fixture.ada, json!({"state": "Committed"}));
    for _again in 0..3 {
        let error = store.create_request(draft.clone(), None, fixture.ada.uuid).await.unwrap_err();
        assert!(matches!(error, StoreError::Full), "{error:?}");
    }
    assert_eq!(held(), whole, "what begins something does not get the reserve");

    cancel(&fixture, &queued).await.unwrap();
    let rest = held();
    assert!(rest < whole, "the disk was not full: this test shows nothing");
    // What was handed over is the log's: others use it up, and the next ending gets more.
    let mut kept = 0;
    let error = loop {
        let more = fixture.draft(&fixture.ada, padded());
        match store.create_request(more, None, fixture.ada.uuid).await {
            Ok(_) => kept += 1,
            Err(error) => break error,
        }
        assert!(kept < 100, "the disk is not full");
    };
    assert!(matches!(error, StoreError::Full), "{error:?}");
    cancel(&fixture, &running).await.unwrap();
    assert!(store.delete_request(deleted.uuid).await.unwrap());
    assert!(held() < rest);
    let end = ContainerEnd {
        outcome: Outcome::Stopped { code: None },
        finished_at: store.now(),
        reason: "stopped".to_owned(),
        oom_killed: false,
    };
    assert!(store.end_container(container, &end, Leavings::default()).await.unwrap());
    let ended = store.container(container).await.unwrap().unwrap();
    assert_eq!(ended.state, ContainerState::Cancelled);

    std::fs::remove_file(disk.join("filler")).unwrap();
    store.create_request(draft, None, fixture.ada.uuid).await.unwrap();
    assert_eq!(held(), whole, "allocated anew");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_takes_every_block_that_becomes_free_can_still_be_stopped() {
    let Some(disk) =
        small_disk("full_disk::who_takes_every_block_that_becomes_free_can_still_be_stopped")
    else {
        return;
    };
    let fixture = Fixture::beside(&disk).await;
    let request = submitted(&fixture).await;
    let stop = Arc::new(AtomicBool::new(false));
    fill(&disk);
    let greedy = {
        let (stop, disk) = (stop.clone(), disk.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                fill(&disk);
            }
        })
    };
    let cancelled = cancel(&fixture, &request).await;
    stop.store(true, Ordering::Relaxed);
    greedy.join().unwrap();
    cancelled.unwrap();
    fixture.store.close().await;
}

#[tokio::test]
async fn a_store_opened_on_a_full_disk_gets_its_reserve_later() {
    let Some(disk) = small_disk("full_disk::a_store_opened_on_a_full_disk_gets_its_reserve_later")
    else {
        return;
    };
    let fixture = Fixture::beside(&disk).await;
    let request = submitted(&fixture).await;
    fixture.store.close().await;
    std::fs::remove_file(disk.join("reserve")).unwrap();
    // SQLite needs its log and the log's index to open: less than the reserve, more than nothing.
    let filler = std::fs::File::create(disk.join("filler")).unwrap();
    rustix::fs::fallocate(&filler, rustix::fs::FallocateFlags::empty(), 0, 13 << 20).unwrap();
    drop(filler);
    let store = Store::open(&disk.join("wharf.db"), StoreOptions::default()).await.unwrap();
    assert!(!disk.join("reserve").exists());
    std::fs::remove_file(disk.join("filler")).unwrap();
    assert!(store.delete_request(request.uuid).await.unwrap());
    assert!(disk.join("reserve").exists());
    store.close().await;
}
