//! What holds for every tree and every text.

use manifest::{BlockHash, Locator, Manifest, Node, Segment, Tree};
use manifest::{portable_data_hash, sign, strip};
use proptest::prelude::*;

/// Names with everything that has to be escaped, and some that look like other words.
fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}",
        "[ -~äß\n\t]{1,6}",
        Just("0:0:x".to_owned()),
        Just("d41d8cd98f00b204e9800998ecf8427e+0+Ax@1".to_owned()),
    ]
    .prop_filter("a name", |name| manifest::check_path(name).is_ok() && !name.contains('/'))
}

fn path() -> impl Strategy<Value = String> {
    prop::collection::vec(name(), 1..4).prop_map(|names| names.join("/"))
}

fn segment() -> impl Strategy<Value = Segment> {
    (0_u8..4, 1_u64..100, 0_u64..100, 1_u64..100).prop_map(|(block, size, offset, len)| {
        let locator = Locator::new(BlockHash::of(&[block]), size).expect("small");
        let offset = offset % size;
        Segment { locator, offset, len: (len % (size - offset)).max(1) }
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    let file = (path(), prop::collection::vec(segment(), 0..4));
    (prop::collection::vec(file, 0..8), prop::collection::vec(path(), 0..3)).prop_map(
        |(files, directories)| {
            let mut tree = Tree::new();
            for (path, segments) in files {
                // Clashes are refused, which is tested elsewhere.
                let _put = tree.put(&path, Node::File(segments));
            }
            for path in directories {
                let _made = tree.make_directory(&path);
            }
            tree
        },
    )
}

/// The bytes that a file would have, where each block's byte is known by block and place.
fn bytes(segments: &[Segment]) -> Vec<(BlockHash, u64)> {
    segments
        .iter()
        .flat_map(|s| (s.offset..s.offset + s.len).map(|at| (s.locator.hash(), at)))
        .collect()
}

proptest! {
    #[test]
    fn a_tree_is_read_back_from_its_manifest(tree in tree()) {
        let text = tree.text();
        let manifest = Manifest::parse(&text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        prop_assert_eq!(manifest.text(), &text);
        let again = Tree::of(&manifest).expect("a tree");
        prop_assert_eq!(again.text(), text);
        for file in manifest.files() {
            let Some(Node::File(segments)) = tree.get(&file.path) else {
                return Err(TestCaseError::fail(format!("{:?} is new", file.path)));
            };
            prop_assert_eq!(bytes(&file.segments), bytes(segments));
        }
        prop_assert_eq!(manifest.totals().n_files, manifest.files().count() as u64);
    }

    #[test]
    fn signing_changes_permissions_and_nothing_else(tree in tree()) {
        let text = tree.text();
        let signed = sign(&text, |locator| format!("A{:040x}@0000ffff", locator.size()));
        prop_assert_eq!(strip(&signed), text.clone());
        prop_assert_eq!(portable_data_hash(&signed), portable_data_hash(&text));
        let manifest = Manifest::parse(&signed).expect("still a manifest");
        prop_assert!(manifest.locators().all(|locator| locator.permission().is_some()));
        prop_assert_eq!(manifest.totals(), Manifest::parse(&text).expect("one").totals());
    }

    #[test]
    fn no_text_makes_reading_panic(text in "[. /:+0-9a-fA-Z\\\\\n]{0,200}") {
        if let Ok(manifest) = Manifest::parse(&text) {
            prop_assert_eq!(manifest.text(), &text);
            let _tree = Tree::of(&manifest);
        }
        let _stripped = strip(&text);
        let _hash = portable_data_hash(&text);
    }

    #[test]
    fn mutilated_manifests_are_refused_or_read(tree in tree(), at in 0_usize..400, by in "[ -~\n]{0,3}") {
        let mut text = tree.text();
        let at = at % (text.len() + 1);
        if text.is_char_boundary(at) {
            text.insert_str(at, &by);
        }
        if let Ok(manifest) = Manifest::parse(&text) {
            for file in manifest.files() {
                for segment in file.segments {
                    prop_assert!(segment.offset + segment.len <= segment.locator.size());
                }
            }
        }
    }
}
