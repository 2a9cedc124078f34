//! What well-formed manifests say.

use manifest::{Manifest, Node, Tree, portable_data_hash};

const FOO: &str = "acbd18db4cc2f85cedef654fccc4a4d8+3";
const BAR: &str = "37b51d194a7513e45b56f6524f2d51f2+3";
const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e+0";

fn parse(text: &str) -> Manifest {
    let manifest = Manifest::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    assert_eq!(manifest.text(), text);
    manifest
}

/// Path, and `hash-prefix@offset+len` of each segment.
fn files(text: &str) -> Vec<(String, String)> {
    let shown = |file: manifest::File| {
        let parts: Vec<String> = file
            .segments
            .iter()
            .map(|s| format!("{}@{}+{}", &s.locator.to_string()[..3], s.offset, s.len))
            .collect();
        assert_eq!(file.size, file.segments.iter().map(|segment| segment.len).sum::<u64>());
        (file.path, parts.join(" "))
    };
    parse(text).files().map(shown).collect()
}

#[track_caller]
fn check(text: &str, expected: &[(&str, &str)]) {
    let expected: Vec<(String, String)> =
        expected.iter().map(|(path, parts)| ((*path).to_owned(), (*parts).to_owned())).collect();
    assert_eq!(files(text), expected, "{text:?}");
    for (path, _) in &expected {
        let found = parse(text).file(path).expect("a listed file is found by its path");
        assert!(parse(text).files().any(|file| file == found));
    }
}

#[test]
fn files_span_blocks_and_begin_inside_them() {
    check(
        &format!(". {FOO} {BAR} 0:6:all 1:4:middle 3:3:bar\n"),
        &[("all", "acb@0+3 37b@0+3"), ("middle", "acb@1+2 37b@0+2"), ("bar", "37b@0+3")],
    );
}

#[test]
fn several_tokens_of_one_path_are_one_file() {
    check(
        &format!(". {FOO} 0:1:a 2:1:a 0:3:b\n./sub {BAR} 0:3:x\n. {BAR} 0:2:sub/x\n"),
        &[("a", "acb@0+1 acb@2+1"), ("b", "acb@0+3"), ("sub/x", "37b@0+3 37b@0+2")],
    );
}

#[test]
fn empty_blocks_empty_files_and_empty_directories() {
    check(
        &format!(". {EMPTY} {FOO} {EMPTY} {BAR} 0:0:none 0:6:all 3:3:bar\n"),
        &[("none", ""), ("all", "acb@0+3 37b@0+3"), ("bar", "37b@0+3")],
    );
    let manifest = parse(&format!("./a/b {EMPTY} 0:0:\\056\n"));
    assert_eq!(manifest.files().count(), 0);
    assert_eq!(manifest.totals(), manifest::Totals::default());
    assert_eq!(manifest.empty_directories().collect::<Vec<_>>(), ["a/b"]);
    assert_eq!(parse("").files().count(), 0);
}

#[test]
fn escaped_names_are_read_and_written_again() {
    let text = format!("./sp\\040ace {FOO} 0:3:a\\072b\\134c\n");
    check(&text, &[("sp ace/a:b\\c", "acb@0+3")]);
    assert_eq!(Tree::of(&parse(&text)).unwrap().text(), text);
}

#[test]
fn totals_count_each_path_once_and_each_byte() {
    let totals = parse(&format!(". {FOO} {BAR} 0:3:a 3:3:a 0:6:b 0:0:c\n")).totals();
    assert_eq!((totals.n_files, totals.n_bytes), (3, 12));
}

#[test]
fn the_normal_form_is_the_python_clients() {
    let text = format!(
        "./b {BAR} 0:3:z 0:0:y\n. {FOO} {BAR} {FOO} 6:3:one 0:3:two 2:2:three\n\
         ./b\\040c {FOO} 0:3:x\n./b/d {EMPTY} 0:0:\\056\n"
    );
    let normal = format!(
        ". {FOO} {BAR} 0:3:one 2:2:three 0:3:two\n./b {BAR} 0:0:y 0:3:z\n\
         ./b/d {EMPTY} 0:0:\\056\n./b\\040c {FOO} 0:3:x\n"
    );
    let tree = Tree::of(&parse(&text)).unwrap();
    assert_eq!(tree.text(), normal);
    assert_eq!(Tree::of(&parse(&normal)).unwrap(), tree);
    assert_eq!(Tree::new().text(), "");
    assert_eq!(portable_data_hash(&Tree::new().text()), EMPTY);
}

#[test]
fn a_tree_is_changed_and_refuses_what_cannot_be() {
    let mut tree = Tree::of(&parse(&format!(". {FOO} 0:3:a/b\n"))).unwrap();
    let file = tree.get("a/b").unwrap().clone();
    assert!(tree.put("a", file.clone()).is_err(), "a directory is not replaced by a file");
    assert!(tree.put("a/b/c", file.clone()).is_err(), "a file is no directory");
    assert!(tree.make_directory("a/b").is_err());
    for path in ["", "/x", "x/", "../x", "a/../../x"] {
        assert!(tree.put(path, file.clone()).is_err(), "{path}");
    }
    tree.put("c/d", file).unwrap();
    assert!(matches!(tree.remove("a/b"), Some(Node::File(_))));
    assert_eq!(tree.remove("a/b"), None);
    assert_eq!(tree.text(), format!("./a {EMPTY} 0:0:\\056\n./c {FOO} 0:3:d\n"));
    assert_eq!(tree.get("c").unwrap().size(), 3);
}

#[test]
fn a_path_that_is_file_and_directory_makes_no_tree() {
    assert!(Tree::of(&parse(&format!(". {FOO} 0:3:a 0:3:a/b\n"))).is_err());
    assert!(Tree::of(&parse(&format!("./a {FOO} 0:3:b\n. {FOO} 0:3:a\n"))).is_err());
}
