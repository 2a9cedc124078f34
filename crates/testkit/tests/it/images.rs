//! Image archives: every form, and broken ones.

use std::path::PathBuf;
use std::process::Command;

use testkit::{Wharf, images};

fn batch(wharf: &Wharf, image: &str) -> String {
    wharf.cli(&["run", "--batch", "--image", image, "--", "echo", "it runs"]).expect(0).stdout
}

#[test]
fn docker_and_oci_archives_plain_and_compressed_run() {
    let wharf = Wharf::start();
    let docker = images::archive("busybox.docker.tar");
    let oci = images::archive("busybox.oci.tar");
    let packed = |tool: &str, end: &str| -> PathBuf {
        let out = wharf.home().join(format!("busybox.{end}"));
        let file = std::fs::File::create(&out).expect("a file");
        let status = Command::new(tool).arg("-c").arg(&docker).stdout(file).status();
        assert!(status.is_ok_and(|status| status.success()), "{tool}");
        out
    };
    for (path, name) in [(docker.clone(), "a:1"), (oci, "b:1"), (packed("gzip", "tar.gz"), "c:1")] {
        let words = ["image", "import", &*path.to_string_lossy(), "--name", name];
        let _imported = wharf.cli(&words).expect(0);
        assert!(batch(&wharf, name).contains("it runs"), "{name}");
    }
    let listed = wharf.cli(&["image", "list"]).expect(0).stdout;
    for name in ["a:1", "b:1", "c:1"] {
        assert!(listed.contains(name), "{listed}");
    }
    let _removed = wharf.cli(&["image", "rm", "a:1"]).expect(0);
    assert!(!wharf.cli(&["image", "list"]).expect(0).stdout.contains("a:1"));
    assert!(batch(&wharf, "b:1").contains("it runs"), "shared layers stay");
    wharf.finish();
}

#[test]
fn broken_archives_are_refused_in_words_and_leave_nothing() {
    let wharf = Wharf::start();
    let whole = std::fs::read(images::archive("busybox.oci.tar")).expect("an archive");
    let half = whole[..whole.len() / 2].to_vec();
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 0xff;
    let cases = [
        ("half", half),
        ("changed", changed),
        ("empty", Vec::new()),
        ("text", b"hello\n".repeat(500)),
    ];
    for (name, bytes) in cases {
        let path = wharf.home().join(name);
        std::fs::write(&path, bytes).expect("a file");
        let done = wharf.cli(&["image", "import", &path.to_string_lossy()]);
        assert_eq!(done.code, Some(1), "{name}: {}", done.stdout);
        assert!(done.stderr.contains(name), "names the file: {}", done.stderr);
    }
    assert!(!wharf.cli(&["image", "list"]).expect(0).stdout.contains("busybox"));
    wharf.import("busybox.oci.tar");
    assert!(batch(&wharf, "busybox").contains("it runs"));
    wharf.finish();
}

#[test]
fn an_archive_cannot_write_outside_its_layer() {
    const SCRIPT: &str = r#"
import hashlib, io, json, sys, tarfile
layer = io.BytesIO()
with tarfile.open(fileobj=layer, mode="w") as tar:
    def add(name, kind=tarfile.REGTYPE, link="", body=b"evil"):
        entry = tarfile.TarInfo(name); entry.type = kind; entry.linkname = link
        entry.size = len(body) if kind == tarfile.REGTYPE else 0
        tar.addfile(entry, io.BytesIO(body))
    if sys.argv[2] == "dots": add("../../../../escaped-by-dots")
    if sys.argv[2] == "absolute": add("/tmp/escaped-absolute")
    if sys.argv[2] == "link":
        add("way", tarfile.SYMTYPE, sys.argv[3]); add("way/escaped-by-link")
    if sys.argv[2] == "hard": add("hard", tarfile.LNKTYPE, "../../../../../../etc/passwd")
raw = layer.getvalue()
config = json.dumps({"architecture": "amd64", "os": "linux", "config": {},
  "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(raw).hexdigest()]}}).encode()
with tarfile.open(sys.argv[1], "w") as tar:
    for name, body in [("c.json", config), ("l/layer.tar", raw), ("manifest.json", json.dumps(
            [{"Config": "c.json", "RepoTags": ["evil:1"], "Layers": ["l/layer.tar"]}]).encode())]:
        entry = tarfile.TarInfo(name); entry.size = len(body); tar.addfile(entry, io.BytesIO(body))
"#;
    let wharf = Wharf::start();
    let target = tempfile::tempdir().expect("a temporary folder");
    for form in ["dots", "absolute", "link", "hard"] {
        let path = wharf.home().join(format!("{form}.tar"));
        let made = Command::new("python3")
            .args(["-c", SCRIPT, &path.to_string_lossy(), form, &target.path().to_string_lossy()])
            .status();
        assert!(made.is_ok_and(|status| status.success()), "{form}");
        let _refused_or_tamed = wharf.cli(&["image", "import", &path.to_string_lossy()]);
        let escaped = ["/escaped-by-dots", "/tmp/escaped-absolute"];
        assert!(escaped.iter().all(|path| !std::path::Path::new(path).exists()), "{form}");
        assert!(!target.path().join("escaped-by-link").exists(), "{form}");
        assert!(!wharf.data().join("escaped-by-dots").exists(), "{form}");
    }
    wharf.finish();
}
