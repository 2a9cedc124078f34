//! Directories to manifests and back.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use keep::tree::{PathFilter, SaveOptions, Saved, TreeFault, read_range, restore, save};
use manifest::{BLOCK_BYTES_MAX, Manifest};

use crate::fixture::Site;

fn write(root: &Path, path: &str, content: impl AsRef<[u8]>) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Every file with its content and every directory, in order.
fn content(root: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    let mut todo = vec![root.to_owned()];
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            if path.is_dir() {
                found.push((name, None));
                todo.push(path);
            } else {
                found.push((name, Some(std::fs::read(path).unwrap())));
            }
        }
    }
    found.sort();
    found
}

async fn saved(site: &Site, root: &Path) -> Saved {
    save(&site.keep, root, SaveOptions::default()).await.unwrap()
}

#[tokio::test]
async fn a_directory_comes_back_as_it_was() {
    let site = Site::new().await;
    let (from, to) = (site.dir.path().join("from"), site.dir.path().join("to"));
    write(&from, "one.txt", "one");
    write(&from, "sub/deep/two: three.txt", "two");
    write(&from, "sub/empty", "");
    write(&from, "sp ace/größe\\", "x".repeat(3_000_000));
    std::fs::create_dir_all(from.join("nothing/here")).unwrap();
    let text = saved(&site, &from).await.manifest_text;
    assert_eq!(saved(&site, &from).await.manifest_text, text, "the same text each time");
    let manifest = Manifest::parse(&text).unwrap();
    assert_eq!(manifest.totals().n_files, 4);
    restore(&site.keep, &manifest, "", &to).await.unwrap();
    assert_eq!(content(&to), content(&from));
    // Nothing is overwritten.
    assert!(restore(&site.keep, &manifest, "", &to).await.is_err());
}

#[tokio::test]
async fn a_sub_path_is_restored_alone() {
    let site = Site::new().await;
    let from = site.dir.path().join("from");
    write(&from, "a/b/c.txt", "c");
    write(&from, "a/d.txt", "d");
    let manifest = Manifest::parse(&saved(&site, &from).await.manifest_text).unwrap();
    let (directory, file) = (site.dir.path().join("directory"), site.dir.path().join("file"));
    restore(&site.keep, &manifest, "a/b", &directory).await.unwrap();
    assert_eq!(content(&directory), [("c.txt".to_owned(), Some(b"c".to_vec()))]);
    restore(&site.keep, &manifest, "/a/d.txt", &file).await.unwrap();
    assert_eq!(std::fs::read(file).unwrap(), b"d");
    let nowhere = restore(&site.keep, &manifest, "a/x", &site.dir.path().join("x")).await;
    assert!(matches!(nowhere, Err(TreeFault::NoSuchPath(_))), "{nowhere:?}");
}

#[tokio::test]
async fn a_file_longer_than_a_block_is_cut_and_put_together() {
    let site = Site::new().await;
    let (from, to) = (site.dir.path().join("from"), site.dir.path().join("to"));
    let large: Vec<u8> = (0..BLOCK_BYTES_MAX + 1000).map(|n| (n % 251).to_le_bytes()[0]).collect();
    write(&from, "a", "first");
    write(&from, "b", &large);
    let manifest = Manifest::parse(&saved(&site, &from).await.manifest_text).unwrap();
    assert_eq!(manifest.locators().count(), 2);
    let file = manifest.file("b").unwrap();
    assert_eq!(file.size, large.len() as u64);
    restore(&site.keep, &manifest, "", &to).await.unwrap();
    assert!(std::fs::read(to.join("b")).unwrap() == large);
    // Across the border between the blocks.
    let (start, end) = (BLOCK_BYTES_MAX - 100, BLOCK_BYTES_MAX + 50);
    let pieces: Vec<bytes::Bytes> =
        read_range(site.keep.clone(), file.segments, start..end).try_collect().await.unwrap();
    let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap());
    assert!(pieces.concat() == large[start..end]);
}

#[tokio::test]
async fn only_what_is_wanted_is_saved() {
    let site = Site::new().await;
    let from = site.dir.path().join("from");
    write(&from, "keep.txt", "1");
    write(&from, "drop.txt", "2");
    std::fs::create_dir(from.join("dropped")).unwrap();
    symlink("/etc/passwd", from.join("drop-link")).unwrap();
    let filter: PathFilter = Arc::new(|path| path == "keep.txt");
    let options = SaveOptions { filter: Some(filter), ..SaveOptions::default() };
    let saved = save(&site.keep, &from, options).await.unwrap();
    let manifest = Manifest::parse(&saved.manifest_text).unwrap();
    assert_eq!(manifest.files().map(|file| file.path).collect::<Vec<_>>(), ["keep.txt"]);
    assert_eq!(manifest.streams().len(), 1);
}

#[tokio::test]
async fn links_inside_become_what_they_lead_to() {
    let site = Site::new().await;
    let (from, to) = (site.dir.path().join("from"), site.dir.path().join("to"));
    write(&from, "data/x", "x");
    symlink("data/x", from.join("file")).unwrap();
    symlink("../file", from.join("data/through")).unwrap();
    symlink("data", from.join("directory")).unwrap();
    symlink("/out/data/x", from.join("absolute")).unwrap();
    let options = SaveOptions { seen_as: Some("/out".into()), ..SaveOptions::default() };
    let saved = save(&site.keep, &from, options).await.unwrap();
    let manifest = Manifest::parse(&saved.manifest_text).unwrap();
    restore(&site.keep, &manifest, "", &to).await.unwrap();
    for path in ["data/x", "file", "data/through", "directory/x", "directory/through", "absolute"] {
        let path = to.join(path);
        assert_eq!(std::fs::read(&path).unwrap(), b"x", "{}", path.display());
        assert!(std::fs::symlink_metadata(&path).unwrap().is_file());
    }
}

#[tokio::test]
async fn links_that_lead_out_or_in_circles_are_refused() {
    let site = Site::new().await;
    write(site.dir.path(), "secret", "not yours");
    for (number, target) in
        ["/etc/passwd", "../secret", "data/../../secret", "nowhere", "/out/../secret", "/outside"]
            .into_iter()
            .enumerate()
    {
        let from = site.dir.path().join(format!("from{number}"));
        write(&from, "data/x", "x");
        symlink(target, from.join("link")).unwrap();
        let options = SaveOptions { seen_as: Some("/out".into()), ..SaveOptions::default() };
        let refusal = save(&site.keep, &from, options).await;
        assert!(matches!(refusal, Err(TreeFault::LeadsOut { .. })), "{target}: {refusal:?}");
    }
    for (number, target) in [".", "link", "data/up"].into_iter().enumerate() {
        let from = site.dir.path().join(format!("circle{number}"));
        write(&from, "data/x", "x");
        symlink("../link", from.join("data/up")).unwrap();
        symlink(target, from.join("link")).unwrap();
        let refusal = save(&site.keep, &from, SaveOptions::default()).await;
        assert!(matches!(refusal, Err(TreeFault::Circle(_))), "{target}: {refusal:?}");
    }
}

#[tokio::test]
async fn what_has_no_bytes_is_left_out_and_said() {
    let site = Site::new().await;
    let from = site.dir.path().join("from");
    write(&from, "x", "x");
    let _socket = std::os::unix::net::UnixListener::bind(from.join("socket")).unwrap();
    let saved = saved(&site, &from).await;
    assert_eq!(saved.skipped, ["socket"]);
    assert_eq!(Manifest::parse(&saved.manifest_text).unwrap().totals().n_files, 1);
}

#[tokio::test]
async fn a_link_in_the_way_of_a_restored_tree_is_not_followed() {
    let site = Site::new().await;
    let (from, to) = (site.dir.path().join("from"), site.dir.path().join("to"));
    let outside = site.dir.path().join("outside");
    write(&from, "sub/x", "x");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(&to).unwrap();
    symlink(&outside, to.join("sub")).unwrap();
    let manifest = Manifest::parse(&saved(&site, &from).await.manifest_text).unwrap();
    assert!(restore(&site.keep, &manifest, "", &to).await.is_err());
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}
