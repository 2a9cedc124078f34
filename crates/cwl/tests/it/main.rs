//! Documents as people and strangers write them: what is wrong is named with its line, and nothing takes for ever.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cwl::CwlError;
use cwl::load::{Loader, Source};

/// Files in memory, by their names in `file:///d/`.
struct Files(HashMap<String, String>);

impl Source for Files {
    fn read(&self, uri: &str, _bytes_max: usize) -> Result<String, String> {
        let name = uri.strip_prefix("file:///d/").unwrap_or(uri);
        self.0.get(name).cloned().ok_or_else(|| "there is no such file".to_owned())
    }
}

fn files<const N: usize>(files: [(&str, &str); N]) -> Files {
    Files(files.map(|(name, text)| (name.to_owned(), text.to_owned())).into())
}

fn problems_of(files: &Files, name: &str) -> Vec<String> {
    let mut loader = Loader::new(files);
    match loader.load(&format!("file:///d/{name}")) {
        Ok(_) => Vec::new(),
        Err(CwlError::Invalid(problems)) => problems.iter().map(ToString::to_string).collect(),
        Err(other) => vec![other.to_string()],
    }
}

fn problems(text: &str) -> Vec<String> {
    problems_of(&files([("t.cwl", text)]), "t.cwl")
}

const TOOL: &str =
    "cwlVersion: v1.2\nclass: CommandLineTool\nbaseCommand: echo\ninputs: {}\noutputs: {}\n";

#[test]
fn a_good_tool_has_no_problems() {
    assert_eq!(problems(TOOL), Vec::<String>::new());
}

#[test]
fn a_mistake_is_named_with_file_line_rule_and_what_to_write() {
    let cases = [
        (
            TOOL.replace("baseCommand", "basecommand"),
            "t.cwl:3:14: CommandLineTool has no field \"basecommand\"; did you mean \"baseCommand\"?",
        ),
        (
            TOOL.replace("CommandLineTool", "CommandlineTool"),
            "t.cwl:2:8: there is no class \"CommandlineTool\"; did you mean \"CommandLineTool\"?",
        ),
        (
            TOOL.replace("v1.2", "v1.9"),
            "t.cwl:1:13: cwlVersion names a version that is not known; write `cwlVersion: v1.2`",
        ),
        (
            TOOL.replace("inputs: {}", "inputs: {a: strin}"),
            "t.cwl:4:13: there is no type \"strin\"; did you mean \"string\"?",
        ),
        (
            TOOL.replace("inputs: {}", "inputs: {a: {inputBinding: {}}}"),
            "t.cwl:4:13: \"a\" has no type; add `type:`",
        ),
        (
            TOOL.replace("outputs: {}", "requirements: {DockerRequirment: {}}\noutputs: {}"),
            "did you mean \"DockerRequirement\"?",
        ),
        (TOOL.replace("inputs: {}\n", ""), "CommandLineTool has no inputs; add `inputs: []`"),
        (format!("{TOOL}stdout: 7\n"), "t.cwl:6:9: stdout is a number; write text"),
        (
            format!("{TOOL}class: X\n"),
            "t.cwl:6:1: the key \"class\" is given twice, first in line 2",
        ),
        ("a: [".to_owned(), "not YAML"),
        ("[]".to_owned(), "this is a list, not a CWL document"),
        (TOOL.replace("cwlVersion: v1.2\n", ""), "the document has no cwlVersion"),
    ];
    for (text, expected) in cases {
        let found = problems(&text);
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected}\n{found:?}");
    }
}

#[test]
fn all_mistakes_are_named_at_once() {
    let text = TOOL
        .replace("baseCommand", "basecommand")
        .replace("inputs: {}", "inputs: {a: strin, b: Fil}");
    assert_eq!(problems(&text).len(), 3, "{:?}", problems(&text));
}

#[test]
fn links_that_lead_nowhere_or_never_fit_are_named() {
    let workflow = "cwlVersion: v1.2\nclass: Workflow\ninputs: {name: string}\noutputs: {}\nsteps:\n  one:\n    run: t.cwl\n    in: {file: SOURCE}\n    out: [OUT]\n";
    let tool = TOOL
        .replace("inputs: {}", "inputs: {file: File}")
        .replace("outputs: {}", "outputs: {done: File?}");
    let check = |source: &str, out: &str| {
        let text = workflow.replace("SOURCE", source).replace("OUT", out);
        problems_of(&files([("w.cwl", &text), ("t.cwl", &tool)]), "w.cwl").join("\n")
    };
    assert!(
        check("nme", "done")
            .contains("the source \"nme\", which does not exist; did you mean \"name\"?")
    );
    assert!(check("name", "done").contains("has type File, and its source string"));
    assert!(check("name", "dune").contains("has no output \"dune\"; did you mean \"done\"?"));
}

#[test]
fn features_of_later_versions_are_refused_in_earlier_ones() {
    let text = TOOL
        .replace("v1.2", "v1.0")
        .replace("inputs: {}", "requirements: {NetworkAccess: {networkAccess: true}}\ninputs: {}");
    assert!(problems(&text).join("\n").contains("NetworkAccess is not in this version"));
}

#[test]
fn circles_end_with_an_error() {
    let import = files([("t.cwl", "inputs: {$import: u.yml}"), ("u.yml", "x: {$import: t.cwl}")]);
    assert!(problems_of(&import, "t.cwl").join("\n").contains("import each other in a circle"));
    let own = "cwlVersion: v1.2\nclass: Workflow\ninputs: {}\noutputs: {}\nsteps: {a: {run: t.cwl, in: {}, out: []}}\n";
    assert!(problems(own).join("\n").contains("a workflow runs itself"));
    let record = "requirements:\n  SchemaDefRequirement:\n    types: [{name: R, type: record, fields: {next: {type: R}}}]\ninputs: {r: R}\n";
    let text = TOOL.replace("inputs: {}\n", record);
    assert!(problems(&text).join("\n").contains("contains itself"));
    let alias = "a: &a [*a]";
    assert!(problems(alias).join("\n").contains("alias"));
}

#[test]
fn bombs_end_soon_with_an_error() {
    let begin = Instant::now();
    assert!(!problems(&"[".repeat(1_000_000)).is_empty());
    assert!(!problems(&"{a: ".repeat(100_000)).is_empty());
    assert!(
        !problems(
            &format!("{TOOL}label: {}", "x".repeat(1 << 20)).replace("echo", &"[]".repeat(10_000))
        )
        .is_empty()
    );
    let deep = format!("inputs: {{a: 'int{}'}}", "[]".repeat(100_000));
    assert!(!problems(&TOOL.replace("inputs: {}", &deep)).is_empty());
    // Twenty files, each of which imports the next one ten times.
    let mut chain = HashMap::new();
    for n in 0..20 {
        let import = format!("{{$import: f{}.yml}}", n + 1);
        chain.insert(format!("f{n}.yml"), format!("[{}]", [import.as_str(); 10].join(",")));
    }
    chain.insert("f20.yml".to_owned(), "x".to_owned());
    let found = problems_of(&Files(chain), "f0.yml").join("\n");
    assert!(found.contains("imports bring more than"), "{found}");
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

mod scanner {
    use cwl::expr::{Piece, Scope, evaluate, scan};
    use cwl::{Object, Value};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_text_is_scanned_or_refused(text in ".{0,200}") {
            let _either = scan(&text);
        }

        #[test]
        fn text_with_many_marks_is_scanned_or_refused(text in r#"[$(){}\\"'/*\[\]. a-c]{0,80}"#) {
            let _either = scan(&text);
            let inputs = Value::Object(Object::new());
            let _either = evaluate(&text, &Scope::of(&inputs, None));
        }

        #[test]
        fn text_without_marks_is_itself(text in "[^$\\\\]{1,80}") {
            prop_assert_eq!(scan(&text).unwrap(), vec![Piece::Text(text.clone().into())]);
        }

        #[test]
        fn any_document_is_read_or_refused(text in r#"(cwlVersion: v1.2\n|class: (CommandLineTool|Workflow)\n|inputs: |outputs: |steps: |\[\]|\{\}|\n|  - |id: a|type: (int|File\?|\[null, int\])|: |x|\$import: y|\$graph: ){0,30}"#) {
            let _either = super::problems(&text);
        }
    }
}
