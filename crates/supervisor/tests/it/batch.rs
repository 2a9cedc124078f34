//! What a supervisor makes ready for a container, and what it keeps of it.

use std::fs;
use std::sync::Arc;

use keep::{FileVolume, Keep, KeepOptions, Mount};
use manifest::{Manifest, Node, Segment, Tree, portable_data_hash};
use model::{
    BlockStore, CollectionMount, Content, LaunchSecrets, MountPlan, Outcome, SecretPlan, Stdin,
    ToSupervisor,
};

use crate::harness::{Launched, Test, run};

pub(crate) const TESTS: &[Test] = &[
    ("collections_come_in_and_manifests_go_out", collections_come_in_and_manifests_go_out),
    ("secrets_are_read_and_gone", secrets_are_read_and_gone),
    (
        "a_missing_block_is_named_and_a_stop_is_a_stop",
        a_missing_block_is_named_and_a_stop_is_a_stop,
    ),
];

/// A block store in the home of a launch, and a collection of one file in it.
struct Blocks {
    keep: Keep,
    hash: String,
    manifest: String,
}

impl Blocks {
    async fn of(launched: &mut Launched, content: &'static str) -> Self {
        let dir = launched.home().join("blocks");
        let volume = FileVolume::open(&dir).await.unwrap();
        let keep = Keep::new(vec![Mount::new("near", Arc::new(volume))], KeepOptions::default());
        launched.spec.blocks = Some(BlockStore {
            dir,
            volumes: Vec::new(),
            replication: 1,
            cache: launched.home().join("cache"),
            cache_bytes_max: 1 << 20,
        });
        launched.spec.output_path = Some("/out".to_owned());
        let locator = keep.put(content.into()).await.unwrap();
        let segment = Segment { locator, offset: 0, len: content.len() as u64 };
        let mut tree = Tree::new();
        tree.put("dir/file", Node::File(vec![segment])).unwrap();
        let manifest = tree.text();
        let hash = portable_data_hash(&manifest);
        let folder = launched.dir.join("manifests");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(&hash), &manifest).unwrap();
        Self { keep, hash, manifest }
    }

    fn mount(&self, target: &str, path: &str, writable: bool) -> CollectionMount {
        CollectionMount {
            target: target.to_owned(),
            portable_data_hash: Some(self.hash.clone()),
            path: path.to_owned(),
            writable,
            exclude_from_output: false,
        }
    }

    async fn read(&self, manifest: &str, path: &str) -> String {
        let file = Manifest::parse(manifest).unwrap().file(path).expect("it was saved");
        let mut text = String::new();
        for Segment { locator, offset, len } in file.segments {
            let block = self.keep.open(locator.hash()).await.unwrap().expect("a block");
            text += std::str::from_utf8(&block.read(offset, len).await.unwrap()).unwrap();
        }
        text
    }
}

fn collections_come_in_and_manifests_go_out() {
    run(async {
        let script = "cat /in/dir/file; cat; cat /conf; cat /out/shown/file; \
                      echo more >>/out/own/dir/file; echo made >/out/made; echo told >&2";
        let mut launched = Launched::prepare(&["sh", "-ec", script]);
        let blocks = Blocks::of(&mut launched, "from keep\n").await;
        let content = |target: &str, text: &str| Content {
            target: target.to_owned(),
            text: text.to_owned(),
            exclude_from_output: false,
        };
        launched.spec.mounts = MountPlan {
            tmp: vec!["/out".to_owned()],
            collections: vec![
                blocks.mount("/in", "", false),
                blocks.mount("/out/shown", "dir", false),
                blocks.mount("/out/own", "", true),
            ],
            contents: vec![content("/conf", "text\n"), content("/out/note", "note\n")],
            stdin: Some(Stdin::File {
                portable_data_hash: blocks.hash.clone(),
                path: "dir/file".to_owned(),
            }),
            stdout: Some("/out/stdout.txt".to_owned()),
            ..MountPlan::default()
        };
        let mut controller = launched.connected().await;
        let end = controller.end().await;
        assert_eq!(end.outcome, Outcome::Exited { code: 0 }, "{end:?}");
        assert!(launched.exit().await.success());
        let output = fs::read_to_string(launched.dir.join("output.manifest")).unwrap();
        for (path, content) in [
            ("made", "made\n"),
            ("note", "note\n"),
            ("own/dir/file", "from keep\nmore\n"),
            ("shown/file", "from keep\n"),
            ("stdout.txt", "from keep\nfrom keep\ntext\nfrom keep\n"),
        ] {
            assert_eq!(blocks.read(&output, path).await, content, "{path}");
        }
        let log = fs::read_to_string(launched.dir.join("log.manifest")).unwrap();
        assert!(blocks.read(&log, "stderr.txt").await.ends_with("Z told\n"));
        assert!(blocks.read(&log, "crunch-run.txt").await.contains("exited with code 0"));
        assert!(!launched.has("tmp") && !launched.has("manifests"));
        // What the container changed was its own.
        assert_eq!(blocks.read(&blocks.manifest, "dir/file").await, "from keep\n");
    });
}

fn secrets_are_read_and_gone() {
    run(async {
        let script = "[ \"$(cat /run/key)\" = sesame ] && [ $TOKEN = t0ken ] && echo right";
        let mut launched = Launched::prepare(&["sh", "-c", script]);
        let secret = Content {
            target: "/run/key".to_owned(),
            text: "sesame".to_owned(),
            exclude_from_output: false,
        };
        let secrets = LaunchSecrets {
            environment: [("TOKEN".to_owned(), "t0ken".to_owned())].into(),
            mounts: SecretPlan { contents: vec![secret], stdin: None },
        };
        let path = launched.dir.join("launch-secrets.json");
        fs::write(&path, serde_json::to_vec(&secrets).unwrap()).unwrap();
        let mut controller = launched.connected().await;
        assert!(!path.exists(), "it was read before the supervisor connected");
        assert_eq!(controller.end().await.outcome, Outcome::Exited { code: 0 });
        assert!(launched.exit().await.success());
        assert_eq!(launched.log("stdout.txt"), "right");
    });
}

fn a_missing_block_is_named_and_a_stop_is_a_stop() {
    run(async {
        let mut launched = Launched::prepare(&["true"]);
        let blocks = Blocks::of(&mut launched, "x").await;
        launched.spec.mounts.collections = vec![blocks.mount("/in", "", false)];
        let store = launched.spec.blocks.clone().unwrap();
        fs::rename(&store.dir, launched.home().join("gone")).unwrap();
        let mut controller = launched.connected().await;
        let end = controller.end().await;
        assert_eq!(end.outcome, Outcome::FailedToStart);
        assert!(end.reason.contains("dir/file") && end.reason.contains("not stored"), "{end:?}");
        assert!(launched.exit().await.success());

        let mut launched = Launched::prepare(&["sleep", "1000"]);
        let mut controller = launched.connected().await;
        controller.send(ToSupervisor::Stop { grace_ms: 0 }).await;
        let end = controller.end().await;
        assert!(matches!(end.outcome, Outcome::Stopped { .. }), "{end:?}");
        assert!(launched.exit().await.success());
    });
}
