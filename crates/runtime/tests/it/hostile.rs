//! Archives that want more than to be an image.

use crate::fixture::{Scratch, scratch};
use crate::harness::tests;
use crate::layer_tar::{self, Layer};
use runtime::images::{Image, ImageError, ImageStore};
use std::path::Path;
use tar::EntryType;

tests![
    paths_that_climb_out_are_refused,
    absolute_paths_stay_inside,
    symbolic_links_lead_nowhere_outside,
    hard_links_to_the_outside_are_refused,
    duplicate_names_replace_each_other_inside_only,
    attributes_that_rule_the_overlay_are_dropped,
    headers_without_end_are_refused,
    a_layer_that_claims_to_be_huge_is_refused,
    odd_entries_do_no_harm,
];

/// Something precious beside the store, and what became of an import.
struct Attack {
    dir: Scratch,
    result: Result<Image, ImageError>,
}

impl Attack {
    async fn with(layer: Vec<u8>) -> Self {
        let dir = scratch();
        std::fs::write(dir.path().join("precious"), "mine").expect("a file");
        let store = ImageStore::open(dir.path().join("store")).expect("a store");
        let layers = [layer];
        let archive = layer_tar::docker_archive("evil", &layer_tar::config(&layers), &layers);
        let result = store.import(&archive[..], None, |_| {}).await;
        let attack = Self { dir, result };
        attack.assert_harmless();
        attack
    }

    fn assert_harmless(&self) {
        let entries = std::fs::read_dir(self.dir.path()).expect("listed");
        let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["precious", "store"]);
        assert_eq!(std::fs::read(self.dir.path().join("precious")).expect("there"), b"mine");
        assert!(!Path::new("/tmp/wharf-evil").exists());
        let tmp = self.dir.path().join("store/tmp");
        assert_eq!(std::fs::read_dir(tmp).expect("listed").count(), 0);
        if self.result.is_err() {
            let layers = self.dir.path().join("store/layers");
            assert_eq!(std::fs::read_dir(layers).expect("listed").count(), 0);
        }
    }

    fn refusal(&self) -> String {
        let error = self.result.as_ref().expect_err("refused");
        assert!(error.is_callers_fault(), "{error:?}");
        error.to_string()
    }

    fn root(&self) -> &Path {
        &self.result.as_ref().expect("imported").layers[0]
    }
}

async fn paths_that_climb_out_are_refused() {
    for name in ["../evil", "a/../../evil", "..", "a/..", "/../../evil"] {
        let layer = Layer::new().file(name, 0o644, "x").finish();
        assert!(Attack::with(layer).await.refusal().contains("leads out of the layer"), "{name}");
    }
    let layer = Layer::new().file("a/.wh...", 0o644, "").finish();
    assert!(Attack::with(layer).await.refusal().contains("refused"));
    let layer = Layer::new().dir("../../../", 0o777).finish();
    Attack::with(layer).await.refusal();
}

async fn absolute_paths_stay_inside() {
    let attack = Attack::with(Layer::new().file("/tmp/wharf-evil", 0o644, "x").finish()).await;
    assert!(attack.root().join("tmp/wharf-evil").exists());
}

async fn symbolic_links_lead_nowhere_outside() {
    // Upwards, absolutely, in two steps, and through the kernel's own links.
    for (target, through) in [
        ("../../../../../../..", "link/tmp/wharf-evil"),
        ("/tmp", "link/wharf-evil"),
        ("/proc/self/root/tmp", "link/wharf-evil"),
        ("/proc/self/cwd", "link/precious"),
    ] {
        let layer = Layer::new()
            .symlink("link", target)
            .file(through, 0o644, "x")
            .file("link/.wh.precious", 0o644, "")
            .file("link/.wh..wh..opq", 0o644, "")
            .dir("link/dir/", 0o777)
            .hard_link("link/hard", "link/precious")
            .finish();
        // What is written through it lands inside or is refused; `with` looks that nothing else
        // happened.
        Attack::with(layer).await;
    }
    let attack = Attack::with(
        Layer::new().dir("run/", 0o755).symlink("var", "/run").file("var/x", 0o644, "x").finish(),
    )
    .await;
    assert!(attack.root().join("run/x").exists(), "links within the layer work as in a container");
    // A link in the place of a file that is written next.
    let attack = Attack::with(
        Layer::new().symlink("x", "../../../../precious").file("x", 0o644, "evil").finish(),
    )
    .await;
    assert_eq!(std::fs::read(attack.root().join("x")).expect("there"), b"evil");
    // A directory entry in the place of a link does not change what the link means.
    let attack = Attack::with(Layer::new().symlink("d", "/tmp").dir("d/", 0o700).finish()).await;
    assert!(attack.root().join("d").symlink_metadata().expect("there").is_dir());
}

async fn hard_links_to_the_outside_are_refused() {
    for target in ["/etc/passwd", "../../../../precious", "link/passwd", "missing"] {
        let layer = Layer::new().symlink("link", "/etc").hard_link("x", target).finish();
        let refusal = Attack::with(layer).await.refusal();
        assert!(refusal.contains("image is refused"), "{target}: {refusal}");
    }
}

async fn duplicate_names_replace_each_other_inside_only() {
    let attack = Attack::with(
        Layer::new()
            .file("x", 0o644, "1")
            .dir("x/", 0o755)
            .file("x/y", 0o644, "2")
            .symlink("x", "y")
            .file("x", 0o600, "3")
            .dir("d/", 0o755)
            .file("d/e", 0o644, "e")
            .file("d", 0o644, "file")
            .dir("d/", 0o755)
            .finish(),
    )
    .await;
    assert_eq!(std::fs::read(attack.root().join("x")).expect("there"), b"3");
    assert_eq!(std::fs::read_dir(attack.root().join("d")).expect("there").count(), 0);
}

async fn attributes_that_rule_the_overlay_are_dropped() {
    let mut builder = tar::Builder::new(Vec::new());
    let extensions: [(&str, &[u8]); 4] = [
        ("SCHILY.xattr.user.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        ("SCHILY.xattr.security.capability", b"\x01\0\0\x02"),
        ("SCHILY.xattr.user.kept", b"yes"),
    ];
    builder.append_pax_extensions(extensions).expect("memory takes it");
    let mut header = tar::Header::new_ustar();
    header.set_path("x").expect("a name");
    header.set_size(1);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_cksum();
    builder.append(&header, &b"x"[..]).expect("memory takes it");
    let attack = Attack::with(builder.into_inner().expect("memory takes it")).await;
    let mut names = vec![0; 4096];
    let n = rustix::fs::listxattr(attack.root().join("x"), &mut names).expect("listed");
    let names = String::from_utf8_lossy(&names[..n]).into_owned();
    assert!(!names.contains("overlay") && !names.contains("security.capability"), "{names}");
    assert!(names.contains("user.kept"), "{names}");
}

async fn headers_without_end_are_refused() {
    for kind in [EntryType::GNULongName, EntryType::XHeader, EntryType::GNULongLink] {
        let name = vec![b'a'; 3 << 20];
        let layer =
            Layer::new().entry(kind, b"x", 0o644, b"", &name).file("x", 0o644, "x").finish();
        let attack = Attack::with(layer).await;
        let refusal = attack.refusal();
        let error = attack.result.as_ref().expect_err("refused");
        let source = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
        assert!(
            format!("{refusal} {source}").contains("ENTRY_HEADER_BYTES_MAX"),
            "{kind:?} {refusal}"
        );
    }
}

async fn a_layer_that_claims_to_be_huge_is_refused() {
    let mut header = tar::Header::new_gnu();
    header.set_path("huge").expect("a name");
    header.set_size(u64::MAX / 4);
    header.set_mode(0o644);
    header.set_cksum();
    Attack::with(header.as_bytes().to_vec()).await.refusal();
    let mut broken = header.as_bytes().to_vec();
    broken[0] = b'H';
    Attack::with(broken).await.refusal();
}

async fn odd_entries_do_no_harm() {
    let attack = Attack::with(
        Layer::new()
            .entry(EntryType::Char, b"console", 0o666, b"", b"")
            .entry(EntryType::new(b'V'), b"volume", 0o644, b"", b"")
            .entry(EntryType::XGlobalHeader, b"pax_global_header", 0o644, b"", b"14 comment=abc\n")
            .entry(EntryType::Regular, b"", 0o644, b"", b"x")
            .entry(EntryType::Regular, b"./", 0o644, b"", b"")
            .entry(EntryType::Regular, b"name\nwith\x1b[31m", 0o644, b"", b"x")
            .finish(),
    )
    .await;
    assert!(!attack.root().join("console").exists());
    assert!(Attack::with(Layer::new().symlink("x", "").finish()).await.result.is_err());
}
