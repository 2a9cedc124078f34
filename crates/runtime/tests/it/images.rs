//! Images come in whole, in every usual form, or not at all.

use crate::fixture::{busybox_layers, scratch};
use crate::harness::{is_root, tests};
use crate::layer_tar::{self, Layer, gzip, sha256};
use runtime::images::{ImageError, ImageStore, Progress};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex};

tests![
    every_usual_form_of_archive_gives_the_same_image,
    names_are_found_replaced_and_removed,
    layers_have_the_form_that_overlayfs_takes,
    layers_are_shared_and_go_with_their_last_image,
    a_damaged_archive_is_refused_and_leaves_nothing,
    errors_quote_nothing_that_a_file_holds,
    an_interrupted_import_leaves_nothing,
    what_a_crash_left_is_removed_at_the_next_start,
    progress_is_told,
    an_image_for_another_machine_is_refused,
    a_full_disk_leaves_no_half_image,
];

fn small() -> Vec<Vec<u8>> {
    vec![
        Layer::new().dir("a/", 0o755).file("a/b", 0o644, "b").finish(),
        Layer::new().file("c", 0o600, "c").finish(),
    ]
}

fn compressed(layers: &[Vec<u8>]) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let zstd = |layer: &Vec<u8>| zstd::encode_all(&layer[..], 1).expect("memory takes it");
    (layers.iter().map(|layer| gzip(layer)).collect(), layers.iter().map(zstd).collect())
}

async fn every_usual_form_of_archive_gives_the_same_image() {
    let layers = small();
    let config = layer_tar::config(&layers);
    let (gzipped, zstded) = compressed(&layers);
    let docker = layer_tar::docker_archive("app:1", &config, &layers);
    let archives = [
        gzip(&docker),
        zstd::encode_all(&docker[..], 1).expect("memory takes it"),
        docker,
        layer_tar::docker_archive("app:1", &config, &gzipped),
        layer_tar::oci_archive("docker.io/library/app:1", &config, &layers),
        layer_tar::oci_archive("app:1", &config, &gzipped),
        gzip(&layer_tar::oci_archive("app:1", &config, &zstded)),
    ];
    let mut seen = Vec::new();
    for (n, archive) in archives.iter().enumerate() {
        let dir = scratch();
        let store = ImageStore::open(dir.path()).expect("a store");
        let image = if n % 2 == 0 {
            store.import(&archive[..], None, |_| {}).await
        } else {
            let file = dir.path().join("archive");
            std::fs::write(&file, archive).expect("a file");
            store.import_file(file, None, |_| {}).await
        };
        let image = image.expect("imported");
        assert_eq!(image.id, format!("sha256:{}", sha256(&config)));
        assert_eq!(image.names, ["app:1"]);
        // Top first.
        assert_eq!(std::fs::read(image.layers[0].join("c")).expect("a file"), b"c");
        assert_eq!(std::fs::read(image.layers[1].join("a/b")).expect("a file"), b"b");
        assert_eq!(image.config.cmd, ["sh"]);
        assert_eq!(
            (image.config.user.as_str(), image.config.working_dir.as_str()),
            ("web", "/www")
        );
        assert_eq!(std::fs::read_dir(dir.path().join("tmp")).expect("listed").count(), 0);
        seen.push((image.size_bytes, image.created));
    }
    seen.dedup();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].0, 2);
    assert!(
        seen[0].1.is_some_and(|created| created.to_string().starts_with("2026-01-02T03:04:05.678"))
    );
}

async fn import(store: &ImageStore, name: &str, layers: &[Vec<u8>]) -> Result<String, ImageError> {
    let archive = layer_tar::docker_archive(name, &layer_tar::config(layers), layers);
    Ok(store.import(&archive[..], None, |_| {}).await?.id)
}

async fn names_are_found_replaced_and_removed() {
    let dir = scratch();
    let store = ImageStore::open(dir.path()).expect("a store");
    let find = |name: &str| store.resolve(name).expect("looked up").map(|image| image.id);
    let first = import(&store, "app", &small()).await.expect("imported");
    for name in ["app", "app:latest", "docker.io/library/app", &first, &first[7..19]] {
        assert_eq!(find(name).as_ref(), Some(&first), "{name}");
    }
    assert_eq!(find("other"), None);
    let second = import(&store, "app", &small()[..1]).await.expect("imported");
    assert_eq!(find("app"), Some(second.clone()));
    // The first is still there, without a name.
    assert_eq!(find(&first), Some(first.clone()));
    let listed = store.list().expect("listed");
    assert_eq!(listed.iter().map(|image| image.names.len()).sum::<usize>(), 1);
    assert!(store.remove(&first).expect("removed"));
    assert!(store.remove("app").expect("removed"));
    assert!(!store.remove("app").expect("looked up"));
    assert!(store.list().expect("listed").is_empty());
    // A given name wins over the archive's; a second opener sees the same.
    let archive = layer_tar::docker_archive("x", &layer_tar::config(&small()), &small());
    store.import(&archive[..], Some("mine:v1"), |_| {}).await.expect("imported");
    let again = ImageStore::open(dir.path()).expect("a store");
    assert_eq!(again.list().expect("listed")[0].names, ["mine:v1"]);
    assert!(store.import(&archive[..], Some("not a name"), |_| {}).await.is_err());
}

async fn layers_have_the_form_that_overlayfs_takes() {
    let layer = Layer::new()
        .file("dir/.wh.gone", 0o644, "")
        .dir("opaque/", 0o700)
        .file("opaque/.wh..wh..opq", 0o644, "")
        .file(".wh.replaced", 0o644, "")
        .dir("replaced/", 0o755)
        .file("suid", 0o4755, "x")
        .dir("closed/", 0o555)
        .file("closed/inside", 0o444, "x")
        .hard_link("same", "suid")
        .symlink("link", "/suid")
        .owned("owned", 0o640, 1234, tar::EntryType::Regular)
        .owned("pipe", 0o600, 0, tar::EntryType::Fifo)
        .owned("disk", 0o600, 0, tar::EntryType::Block)
        .finish();
    let dir = scratch();
    let store = ImageStore::open(dir.path()).expect("a store");
    import(&store, "app", &[layer]).await.expect("imported");
    let root = store.resolve("app").expect("found").expect("there").layers.remove(0);
    let stat = |name: &str| std::fs::symlink_metadata(root.join(name)).expect(name);
    assert!(stat("dir/gone").file_type().is_char_device());
    assert_eq!(stat("dir/gone").rdev(), 0);
    for name in ["opaque", "replaced"] {
        let mut value = [0; 4];
        let path = root.join(name);
        let n = rustix::fs::getxattr(path, "user.overlay.opaque", &mut value).expect(name);
        assert_eq!(&value[..n], b"y");
    }
    assert_eq!(stat("opaque").mode() & 0o7777, 0o700);
    assert_eq!(stat("closed").mode() & 0o7777, 0o555);
    assert_eq!(stat("suid").mode() & 0o7777, 0o4755);
    assert_eq!(stat("suid").ino(), stat("same").ino());
    assert_eq!(stat("suid").mtime(), 1_000_000_000);
    assert_eq!(std::fs::read_link(root.join("link")).expect("a link"), Path::new("/suid"));
    assert!(stat("pipe").file_type().is_fifo());
    assert!(!root.join("disk").exists(), "devices are left out");
    let uid = if is_root() { 1234 } else { stat("suid").uid() };
    assert_eq!(stat("owned").uid(), uid);
    assert_eq!(stat("owned").mode() & 0o7777, 0o640);
    // A layer may hold programs that are set-user-id: nobody else gets near them.
    assert_eq!(std::fs::metadata(dir.path().join("layers")).expect("there").mode() & 0o077, 0);
}

async fn layers_are_shared_and_go_with_their_last_image() {
    let dir = scratch();
    let store = ImageStore::open(dir.path()).expect("a store");
    let n_layers = || std::fs::read_dir(dir.path().join("layers")).expect("listed").count();
    import(&store, "both", &small()).await.expect("imported");
    import(&store, "first", &small()[..1]).await.expect("imported");
    assert_eq!(n_layers(), 2);
    store.remove("both").expect("removed");
    assert_eq!(n_layers(), 1);
    store.remove("first").expect("removed");
    assert_eq!(n_layers(), 0);
}

fn assert_empty(dir: &Path) {
    for part in ["layers", "images", "tmp"] {
        assert_eq!(std::fs::read_dir(dir.join(part)).expect("listed").count(), 0, "{part}");
    }
}

async fn refused(archive: &[u8]) -> String {
    let dir = scratch();
    let store = ImageStore::open(dir.path()).expect("a store");
    let error = store.import(archive, None, |_| {}).await.expect_err("refused");
    assert!(error.is_callers_fault(), "{error}");
    assert_empty(dir.path());
    let text = with_causes(&error);
    assert!(!text.contains('\n') && text.len() < 600, "{text}");
    text
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", with_causes(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}

async fn errors_quote_nothing_that_a_file_holds() {
    let secret = "root:x:0:0:secret\nbin:x:1:1:secret\n".repeat(60).into_bytes();
    let zstd = zstd::encode_all(&secret[..], 1).expect("memory takes it");
    for file in [gzip(&secret), zstd, secret.clone()] {
        let found = refused(&file).await;
        assert!(found.starts_with("this is no image archive"), "{found}");
    }
    let layers = small();
    let config = layer_tar::config(&layers);
    let mut archive = layer_tar::docker_archive("app", &config, &layers);
    archive.truncate(archive.len() - 1024);
    let rest = refused(&[&archive[..], &secret].concat()).await;
    assert!(rest.contains("of the archive is no valid tar entry"), "{rest}");
    let layer = [layers[0].clone(), secret.clone()];
    let layer = [&layer[0][..layer[0].len() - 1024], &layer[1]].concat();
    let config = layer_tar::config(std::slice::from_ref(&layer));
    let rest = refused(&layer_tar::docker_archive("app", &config, &[layer])).await;
    assert!(rest.contains("entry 3 of a layer is no valid tar entry"), "{rest}");
    let text = serde_json::to_string(&String::from_utf8(secret).expect("text")).expect("JSON");
    for manifest in [text.clone(), format!("[{{\"Config\":{text},\"Layers\":7}}]")] {
        let found = refused(&Layer::new().file("manifest.json", 0o644, manifest).finish()).await;
        assert!(
            found.contains("has not the expected form") && !found.contains("secret"),
            "{found}"
        );
    }
}

async fn a_damaged_archive_is_refused_and_leaves_nothing() {
    let layers = small();
    let config = layer_tar::config(&layers);
    let swapped = vec![layers[1].clone(), layers[0].clone()];
    let found = refused(&layer_tar::docker_archive("app", &config, &swapped)).await;
    assert!(found.contains("should have digest"), "{found}");
    let found = refused(&layer_tar::docker_archive("app", &config, &layers[..1])).await;
    assert!(found.contains("1 layers and 2 diff_ids"), "{found}");
    let whole = layer_tar::docker_archive("app", &config, &layers);
    let found = refused(&gzip(&whole)[..400]).await;
    assert!(found.contains("could not read the archive"), "{found}");
    assert!(refused(&whole[..1000]).await.contains("archive"));
    assert!(refused(b"hello").await.contains("archive"));
    assert!(refused(b"").await.contains("no image archive"));
    assert!(refused(b"\xfd7zXZ\0rest").await.contains("compressed with xz"));
    let tampered = Layer::new()
        .file("manifest.json", 0o644, r#"[{"Config":"../../etc/passwd","Layers":[]}]"#)
        .finish();
    assert!(refused(&tampered).await.contains("is not in it"));
    let mut bad_config = config.clone();
    bad_config.truncate(20);
    let found = refused(&layer_tar::docker_archive("app", &bad_config, &layers)).await;
    assert!(found.contains("configuration cannot be understood"), "{found}");
    let evil = String::from_utf8(config).expect("text").replace("sha256:", "../../x:");
    let found = refused(&layer_tar::docker_archive("app", evil.as_bytes(), &layers)).await;
    assert!(found.contains("is not a sha256 digest"), "{found}");
}

async fn an_interrupted_import_leaves_nothing() {
    let dir = scratch();
    let store = ImageStore::open(dir.path()).expect("a store");
    let layers = busybox_layers();
    let archive = layer_tar::docker_archive("app", &layer_tar::config(layers), layers);
    let reached = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&reached);
    let progress = move |progress| {
        if matches!(progress, Progress::Unpacking { .. }) {
            told.notify_one();
        }
    };
    tokio::select! {
        _ = store.import(&archive[..], None, progress) => panic!("it was to be interrupted"),
        () = reached.notified() => {}
    }
    let tmp = dir.path().join("tmp");
    let is_empty = || std::fs::read_dir(&tmp).is_ok_and(|mut entries| entries.next().is_none());
    lifecycle::wait_until("the import to stop", crate::fixture::SOON, is_empty)
        .await
        .expect("empty");
    // Either it was faster than the interruption or nothing of it is there.
    if store.resolve("app").expect("looked up").is_none() {
        assert!(store.list().expect("listed").is_empty());
    }
}

async fn what_a_crash_left_is_removed_at_the_next_start() {
    let dir = scratch();
    let store = ImageStore::open(dir.path()).expect("a store");
    let rubbish = dir.path().join("tmp/half/fs");
    std::fs::create_dir_all(&rubbish).expect("made");
    // While the store is open another opener leaves it alone.
    drop(ImageStore::open(dir.path()).expect("a store"));
    assert!(rubbish.exists());
    drop(store);
    let store = ImageStore::open(dir.path()).expect("a store");
    assert!(!rubbish.exists());
    import(&store, "app", &small()).await.expect("imported");
}

async fn progress_is_told() {
    let dir = scratch();
    let store = ImageStore::open(dir.path()).expect("a store");
    let archive = layer_tar::docker_archive("app", &layer_tar::config(&small()), &small());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&seen);
    let progress = move |progress| told.lock().expect("unlocked").push(progress);
    store.import(&archive[..], None, progress).await.expect("imported");
    let seen = seen.lock().expect("unlocked");
    assert_eq!(seen.first(), Some(&Progress::Receiving { bytes: archive.len() as u64 }));
    assert_eq!(seen.last(), Some(&Progress::Unpacking { layers_done: 2, layers: 2 }));
}

async fn an_image_for_another_machine_is_refused() {
    let layers = small();
    let config = String::from_utf8(layer_tar::config(&layers)).expect("text");
    let foreign = config.replace("amd64", "s390x").replace("arm64", "s390x");
    let found = refused(&layer_tar::docker_archive("app", foreign.as_bytes(), &layers)).await;
    assert!(found.contains("linux/s390x") && found.contains("this machine is linux/"), "{found}");
}

/// Only root can mount a small file system to fill.
async fn a_full_disk_leaves_no_half_image() {
    if !is_root() {
        return;
    }
    let dir = scratch();
    let small = crate::limits::SmallDisk::new(dir.path());
    let layer = Layer::new().file("big", 0o644, vec![7; 150 << 10]).finish();
    let layers = [layer, Layer::new().file("more", 0o644, vec![8; 200 << 10]).finish()];
    let archive = layer_tar::docker_archive("app", &layer_tar::config(&layers), &layers);
    let file = dir.path().join("archive");
    std::fs::write(&file, archive).expect("a file");
    let store = ImageStore::open(small.path.join("images")).expect("a store");
    let error = store.import_file(file, None, |_| {}).await.expect_err("it does not fit");
    assert!(matches!(error, ImageError::DiskFull(_)), "{error:?}");
    assert!(!error.is_callers_fault());
    assert!(store.list().expect("listed").is_empty());
    assert_eq!(std::fs::read_dir(small.path.join("images/tmp")).expect("listed").count(), 0);
    drop(store);
}
