//! What is refused, with the line and the reason.

use manifest::{Manifest, Problem};

const FOO: &str = "acbd18db4cc2f85cedef654fccc4a4d8+3";

fn problem(text: &str) -> (usize, Problem) {
    match Manifest::parse(text) {
        Err(error) => (error.line, error.problem),
        Ok(_) => panic!("{text:?} was accepted"),
    }
}

macro_rules! refused {
    ($text:expr, $line:literal, $problem:pat) => {
        let text: &str = &$text;
        let (line, problem) = problem(text);
        assert!(matches!(problem, $problem), "{text:?}: {problem:?}");
        assert_eq!(line, $line, "{text:?}");
    };
}

#[test]
fn lines_have_their_form() {
    refused!(format!(". {FOO} 0:3:a"), 1, Problem::NoLineFeed);
    refused!("\n", 1, Problem::EmptyLine);
    refused!(format!(". {FOO} 0:3:a\n\n"), 2, Problem::EmptyLine);
    refused!(format!(".  {FOO} 0:3:a\n"), 1, Problem::EmptyWord);
    refused!(format!(". {FOO} 0:3:a \n"), 1, Problem::EmptyWord);
    refused!(format!(" . {FOO} 0:3:a\n"), 1, Problem::EmptyWord);
    refused!(format!(".\t{FOO} 0:3:a\n"), 1, Problem::ControlCharacter);
    refused!(format!(". {FOO} 0:3:a\r\n"), 1, Problem::ControlCharacter);
    refused!(".\n", 1, Problem::NoLocator);
    refused!(". 0:0:a\n", 1, Problem::NoLocator);
    refused!(format!(". {FOO}\n"), 1, Problem::NoFile);
    refused!(format!(". {FOO} {FOO}\n"), 1, Problem::NoFile);
    refused!(format!(". {FOO} 0:3:a {FOO}\n"), 1, Problem::FileToken(_));
    refused!(format!(". {FOO} 0:3:a\n. {FOO}+a 0:3:a\n"), 2, Problem::Locator(_));
}

#[test]
fn names_stay_inside() {
    for stream in ["a", "..", "/", "./", "./..", "./a/../b", "./a//b", "./a/", "./.", "..."] {
        let text = format!("{stream} {FOO} 0:3:a\n");
        assert!(Manifest::parse(&text).is_err(), "{text}");
    }
    for name in ["", "..", "/a", "a/", "a//b", "../a", "a/../b", "a/.", "\\056\\056", "\\000"] {
        let text = format!("./x {FOO} 0:3:{name}\n");
        assert!(Manifest::parse(&text).is_err(), "{text}");
    }
    refused!(format!(". {FOO} 0:3:.\n"), 1, Problem::Path(_));
    refused!(format!(". {FOO} 0:3:\\400\n"), 1, Problem::Escape(_));
    refused!(format!(". {FOO} 0:3:\\303\n"), 1, Problem::Escape(_));
    refused!(format!("./{} {FOO} 0:3:a\n", "a".repeat(5000)), 1, Problem::PathLength(_));
}

#[test]
fn numbers_stay_in_bounds() {
    refused!(format!(". {FOO} 0:4:a\n"), 1, Problem::BeyondEnd(_));
    refused!(format!(". {FOO} 4:0:a\n"), 1, Problem::BeyondEnd(_));
    refused!(format!(". {FOO} 18446744073709551615:1:a\n"), 1, Problem::BeyondEnd(_));
    refused!(format!(". {FOO} 0:99999999999999999999999999:a\n"), 1, Problem::BeyondEnd(_));
    refused!(format!(". {FOO} -1:1:a\n"), 1, Problem::FileToken(_));
    refused!(format!(". {FOO} 0:+1:a\n"), 1, Problem::FileToken(_));
    refused!(format!(". {FOO} 0:1\n"), 1, Problem::FileToken(_));
    refused!(". acbd18db4cc2f85cedef654fccc4a4d8+67108865 0:0:a\n", 1, Problem::Locator(_));
}

#[test]
fn a_short_text_does_not_grow_into_a_large_tree() {
    // Every one of 3000 files consists of all of 3000 blocks.
    let blocks = format!(" {FOO}").repeat(3000);
    let tokens: String = (0..3000).map(|n| format!(" 0:9000:{n}")).collect();
    refused!(format!(".{blocks}{tokens}\n"), 1, Problem::TooManySegments);
    let long = "a".repeat(4000);
    let tokens = " 0:0:b".repeat(100_000);
    refused!(format!("./{long} {FOO}{tokens}\n"), 1, Problem::PathsTooLong);
}
