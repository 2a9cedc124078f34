//! A disk that is really full: a small tmpfs in a mount namespace of the test's own.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use model::{ContainerEnd, ContainerRequest, ContainerState, Outcome, PublishedPorts};
use serde_json::json;
use store::{Store, StoreError, StoreOptions};

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

async fn submitted(fixture: &Fixture) -> ContainerRequest {
    // Large enough that the log's last page never has the room.
    let padding = "x".repeat(64 * 1024);
    fixture.submit(&fixture.ada, json!({"environment": {"PADDING": padding}})).await
}

async fn cancel(fixture: &Fixture, request: &ContainerRequest) -> Result<(), StoreError> {
    let before = fixture.store.request(request.uuid).await?.unwrap();
    let after = ContainerRequest { priority: 0, ..before.clone() };
    fixture.store.update_request(before, after, fixture.ada.uuid).await.map(drop)
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
    let held = std::fs::metadata(&reserve).unwrap().len();

    fill(&disk);
    let draft = fixture.draft(&fixture.ada, json!({"state": "Committed"}));
    for _again in 0..3 {
        let error = store.create_request(draft.clone(), fixture.ada.uuid).await.unwrap_err();
        assert!(matches!(error, StoreError::Full), "{error:?}");
    }
    assert!(reserve.exists(), "what begins something does not get the reserve");

    cancel(&fixture, &queued).await.unwrap();
    assert!(!reserve.exists(), "the disk was not full: this test shows nothing");
    cancel(&fixture, &running).await.unwrap();
    assert!(store.delete_request(deleted.uuid).await.unwrap());
    let end = ContainerEnd {
        outcome: Outcome::Stopped { code: None },
        finished_at: store.now(),
        reason: "stopped".to_owned(),
        oom_killed: false,
    };
    assert!(store.end_container(container, &end).await.unwrap());
    let ended = store.container(container).await.unwrap().unwrap();
    assert_eq!(ended.state, ContainerState::Cancelled);
    assert!(!reserve.exists(), "there was no room yet");

    // Somebody takes what the reserve left: then nothing can be written, and nothing breaks.
    fill(&disk);
    let other = store.create_request(draft.clone(), fixture.ada.uuid).await;
    assert!(matches!(other, Err(StoreError::Full)), "{other:?}");

    std::fs::remove_file(disk.join("filler")).unwrap();
    store.create_request(draft, fixture.ada.uuid).await.unwrap();
    assert_eq!(std::fs::metadata(&reserve).unwrap().len(), held, "allocated anew");
    store.close().await;
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
