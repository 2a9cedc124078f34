//! Outputs as containers leave them, saved into a block store of their own.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use keep::{FileVolume, KeepOptions, Mount};
use manifest::{Locator, Manifest, Segment};

use super::*;

struct Site {
    _dir: tempfile::TempDir,
    keep: Keep,
    plan: OutputPlan,
}

impl Site {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let volume = FileVolume::open(&dir.path().join("blocks")).await.unwrap();
        let keep = Keep::new(vec![Mount::new("near", Arc::new(volume))], KeepOptions::default());
        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let plan = OutputPlan { dir: out, path: "/out".to_owned(), ..OutputPlan::default() };
        Self { _dir: dir, keep, plan }
    }

    fn file(&self, path: &str, content: &str) -> &Self {
        let path = self.plan.dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    async fn saved(&self, globs: &[&str]) -> (Vec<String>, Vec<String>) {
        let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
        let saved = save(&self.keep, &self.plan, &globs).await.unwrap();
        let manifest = Manifest::parse(&saved.manifest).unwrap();
        let mut shown = Vec::new();
        for file in manifest.files() {
            let mut text = String::new();
            for Segment { locator, offset, len } in &file.segments {
                let block = self.keep.open(locator.hash()).await.unwrap().unwrap();
                text += std::str::from_utf8(&block.read(*offset, *len).await.unwrap()).unwrap();
            }
            shown.push(format!("{}={text}", file.path));
        }
        shown.extend(manifest.empty_directories().map(|path| format!("{path}/")));
        (shown, saved.notes)
    }
}

#[tokio::test]
async fn files_directories_and_patterns() {
    let site = Site::new().await;
    site.file("a.txt", "one").file("sub/deep/b", "two").file("empty", "");
    fs::create_dir(site.plan.dir.join("void")).unwrap();
    let (all, notes) = site.saved(&[]).await;
    assert_eq!(all, ["a.txt=one", "empty=", "sub/deep/b=two", "void/"]);
    assert!(notes.is_empty(), "{notes:?}");
    assert_eq!(site.saved(&["sub/**", "*.json"]).await.0, ["sub/deep/b=two"]);
    let broken = save(&site.keep, &site.plan, &["[".to_owned()]).await.unwrap_err();
    assert!(broken.to_string().contains("output_glob"), "{broken}");
}

#[tokio::test]
async fn small_files_share_a_block() {
    let site = Site::new().await;
    for n in 0..50 {
        site.file(&format!("f{n:02}"), "x");
    }
    let saved = save(&site.keep, &site.plan, &[]).await.unwrap();
    let manifest = Manifest::parse(&saved.manifest).unwrap();
    assert_eq!((manifest.locators().count(), manifest.totals().n_files), (1, 50));
}

#[tokio::test]
async fn links_mean_what_they_mean_inside_the_container() {
    let mut site = Site::new().await;
    let block = site.keep.put("from keep".into()).await.unwrap();
    let node = Node::File(vec![Segment { locator: block, offset: 5, len: 4 }]);
    site.plan.shown.insert("/keep/x/f".to_owned(), node);
    site.file("real", "here").file("dir/in", "inside");
    let link = |target: &str, name: &str| symlink(target, site.plan.dir.join(name)).unwrap();
    link("real", "near");
    link("/out/dir", "whole");
    link("near", "far");
    link("/keep/x/f", "kept");
    link("/etc/passwd", "host");
    link("../../../etc/passwd", "host2");
    link("nowhere", "dangling");
    link(".", "self");
    link("loop", "loop");
    let (mut all, notes) = site.saved(&[]).await;
    all.sort();
    let expected =
        ["dir/in=inside", "far=here", "kept=keep", "near=here", "real=here", "whole/in=inside"];
    assert_eq!(all, expected);
    let notes = notes.join("\n");
    for name in ["host ", "host2 ", "dangling ", "self ", "loop "] {
        assert!(notes.contains(&format!("the link {name}")), "{name}: {notes}");
    }
}

#[tokio::test]
async fn what_was_shown_in_the_directory_is_output_by_its_blocks_unless_it_is_left_out() {
    let mut site = Site::new().await;
    let locator: Locator = site.keep.put("shown".into()).await.unwrap();
    let node = Node::File(vec![Segment { locator, offset: 0, len: 5 }]);
    site.file("in/shown", "").file("secret", "").file("own", "mine");
    site.plan.covered.insert("in/shown".to_owned(), Some(node));
    site.plan.covered.insert("secret".to_owned(), None);
    assert_eq!(site.saved(&[]).await.0, ["own=mine", "in/shown=shown"]);
    assert_eq!(site.saved(&["in/*"]).await.0, ["in/shown=shown"]);
}

#[tokio::test]
async fn what_is_no_file_is_named_and_left_out() {
    let site = Site::new().await;
    let pipe = site.plan.dir.join("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from(0o600),
        0,
    )
    .unwrap();
    let (all, notes) = site.saved(&[]).await;
    assert!(all.is_empty());
    assert_eq!(notes, ["left out of the output: pipe is a pipe"]);
}
