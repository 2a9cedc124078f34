//! What cannot be started says why, and leaves nothing.

use crate::fixture::{Draft, Site, assert_nothing_left};
use crate::harness::tests;
use std::path::Path;

tests![
    a_missing_command_is_named,
    a_command_that_may_not_be_executed_is_named,
    a_missing_interpreter_is_named,
    what_is_no_program_is_named,
    an_unknown_user_is_named,
    a_missing_working_directory_is_named,
    a_missing_layer_is_named,
    a_mount_that_cannot_be_had_is_named,
    a_full_disk_is_named,
];

async fn words(draft: Draft, site: &Site) -> String {
    let id = draft.spec.dir.file_name().expect("an id").to_string_lossy().into_owned();
    let error = draft.start().await.map(|_| ()).expect_err("it does not start");
    assert_nothing_left(site, &id).await;
    error.to_string()
}

async fn a_missing_command_is_named() {
    let site = Site::new().await;
    for command in ["foo", "/opt/foo", "/etc/passwd/foo"] {
        let found = words(site.container("c", &[command]), &site).await;
        assert_eq!(found, format!("command `{command}` not found in the image"));
    }
}

async fn a_command_that_may_not_be_executed_is_named() {
    let site = Site::new().await;
    let found = words(site.container("c", &["/opt/not-executable"]), &site).await;
    assert!(found.starts_with("permission denied: `/opt/not-executable`"), "{found}");
}

async fn a_missing_interpreter_is_named() {
    let site = Site::new().await;
    let found = words(site.container("c", &["/opt/no-interpreter"]), &site).await;
    assert_eq!(
        found,
        "command `/opt/no-interpreter` needs `/opt/python3`, which is not in the image"
    );
}

async fn what_is_no_program_is_named() {
    let site = Site::new().await;
    let found = words(site.container("c", &["/opt/not-a-program"]), &site).await;
    assert!(found.contains("exec format error"), "{found}");
}

async fn an_unknown_user_is_named() {
    let site = Site::new().await;
    let found = words(site.container("c", &["true"]).user("x"), &site).await;
    assert_eq!(found, "user `x` is not in the image's /etc/passwd");
    let found = words(site.container("c", &["true"]).user("web:wheel"), &site).await;
    assert_eq!(found, "group `wheel` is not in the image's /etc/group");
}

async fn a_missing_working_directory_is_named() {
    let site = Site::new().await;
    let mut draft = site.container("c", &["true"]);
    draft.spec.cwd = "/nowhere".to_owned();
    let found = words(draft, &site).await;
    assert!(found.starts_with("no such working directory `/nowhere`"), "{found}");
}

async fn a_missing_layer_is_named() {
    let site = Site::new().await;
    let mut draft = site.container("c", &["true"]);
    draft.spec.layers[0] = site.dir.path().join("gone");
    let found = words(draft, &site).await;
    assert!(found.contains("layer of the image is missing") && found.contains("/gone"), "{found}");
}

async fn a_mount_that_cannot_be_had_is_named() {
    let site = Site::new().await;
    let draft = site.container("c", &["true"]).mount(Path::new("/nonexistent"), "/data", true);
    let found = words(draft, &site).await;
    assert!(found.starts_with("cannot mount /nonexistent on `/data`: No such file"), "{found}");
    let draft = site.container("c", &["true"]).mount(Path::new("/etc"), "/etc/passwd/x", true);
    let found = words(draft, &site).await;
    assert!(found.contains("on `/etc/passwd/x`: Not a directory"), "{found}");
}

/// A file system of 64 KiB stands for a full disk; only root can mount one here.
async fn a_full_disk_is_named() {
    if !crate::harness::is_root() {
        return;
    }
    let site = Site::new().await;
    let small = crate::limits::SmallDisk::new(site.dir.path());
    let mut draft = site.container("c", &["true"]);
    draft.spec.dir = small.path.join("c");
    std::fs::create_dir(&draft.spec.dir).expect("a directory");
    small.fill();
    let error = draft.start().await.map(|_| ()).expect_err("it does not start").to_string();
    assert!(error.starts_with("no space left on the disk of"), "{error}");
}
