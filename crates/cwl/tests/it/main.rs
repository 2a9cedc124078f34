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

/// A service of the extension, with a line of it replaced.
fn service(from: &str, to: &str) -> String {
    let text = "cwlVersion: v1.2
class: CommandLineTool
$namespaces: {arv: 'http://arvados.org/cwl#', svc: 'urn:wharf:cwl#'}
hints:
  arv:PublishPorts:
    publishPorts:
      '8080': {serviceAccess: private, label: Words}
  svc:Service:
    endpoints:
      url: {port: '8080', path: /v1, as: url}
    ready: {port: 8080, httpGet: /up}
baseCommand: serve
inputs: {}
outputs: {url: string?, dump: {type: File?, outputBinding: {glob: dump}}}
";
    assert!(text.contains(from), "{from}");
    text.replace(from, to)
}

#[test]
fn mistakes_in_published_ports_and_services_are_named_where_they_stand() {
    assert_eq!(problems(&service("/v1", "/v1")), Vec::<String>::new());
    for (from, to, expected) in [
        (
            "'8080': {s",
            "'80800': {s",
            "t.cwl:7:16: \"80800\" is no port; write a number from 1 to 65535",
        ),
        ("label: Words", "label: ''", "t.cwl:7:47: port 8080 has no label; add `label:`"),
        ("label: Words", "lable: Words", "did you mean \"label\"?"),
        (
            "private",
            "shared",
            "t.cwl:7:31: serviceAccess of port 8080 is neither public nor private",
        ),
        (
            "      '8080': {serviceAccess: private, label: Words}",
            "      []",
            "PublishPorts names no port",
        ),
        ("path: /v1", "path: v1", "t.cwl:10:33: \"v1\" is no path; begin it with `/`"),
        ("as: url", "as: uri", "write url, hostport or record"),
        ("      url: {", "      urls: {", "the tool has no output \"urls\"; did you mean \"url\"?"),
        ("      url: {", "      dump: {", "t.cwl:10:13: the output \"dump\" becomes an address"),
        ("port: '8080', path", "port: '9090', path", "t.cwl:10:19: port 9090 is not published"),
        ("httpGet: /up", "logLine: '(up'", "t.cwl:11:34: logLine is no regular expression"),
        ("httpGet: /up", "exec: true", "exec is no list of words; write `exec: [pg_isready, -q]`"),
        ("httpGet: /up", "exec: [], logLine: x", "exec is no list of words"),
        ("ready:", "lifetime: long\n    ready:", "write consumers, workflow or detached"),
        ("ready:", "onExit: retry\n    ready:", "neither fail nor ignore nor restart"),
        ("ready:", "onExit: {restart: {max: 101}}\n    ready:", "write one from 0 to 100"),
        ("ready:", "onExit: {restart: {mx: 1}}\n    ready:", "did you mean \"max\"?"),
        ("ready:", "redy: 1\n    ready:", "did you mean \"ready\"?"),
        ("hints:", "requirements:", "svc:Service is a hint"),
    ] {
        let found = problems(&service(from, to));
        let is_named = found.iter().any(|problem| problem.contains(expected));
        assert!(is_named, "{to}: {expected}\n{found:#?}");
    }
}

#[test]
fn a_step_that_uses_a_service_cannot_wait_for_what_it_leaves() {
    let workflow = "cwlVersion: v1.2\nclass: Workflow\ninputs: {}\noutputs: {}\nsteps:\n  serve: {run: s.cwl, in: {}, out: [url, dump]}\n  use: {run: t.cwl, in: {url: serve/url, file: FILE}, out: []}\n  pass: {run: p.cwl, in: {f: serve/dump}, out: [f]}\n";
    let tool = TOOL.replace("inputs: {}", "inputs: {url: string?, file: File?}");
    let pass = "cwlVersion: v1.2\nclass: ExpressionTool\nrequirements: {InlineJavascriptRequirement: {}}\nexpression: '${return inputs;}'\ninputs: {f: File?}\noutputs: {f: File?}\n";
    let check = |file: &str, lifetime: &str| {
        let text = workflow.replace("FILE", file);
        let serve = service("ready:", &format!("lifetime: {lifetime}\n    ready:"));
        let files = files([("w.cwl", &text), ("s.cwl", &serve), ("t.cwl", &tool), ("p.cwl", pass)]);
        problems_of(&files, "w.cwl").join("\n")
    };
    for file in ["serve/dump", "pass/f"] {
        let found = check(file, "consumers");
        assert!(found.contains("w.cwl:7:8") && found.contains("uses the service"), "{found}");
    }
    assert_eq!(check("{default: null}", "consumers"), "");
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

#[test]
fn services_may_say_when_they_are_ready_and_be_started_again() {
    for (from, to) in [
        ("httpGet: /up", "exec: [pg_isready, -q], logLine: '^ready( to serve)?$'"),
        ("ready:", "onExit: restart\n    ready:"),
        ("ready:", "onExit: {restart: {max: 5}}\n    ready:"),
        ("ready:", "onExit: {restart: {}}\n    ready:"),
    ] {
        assert_eq!(problems(&service(from, to)), Vec::<String>::new(), "{to}");
    }
}

#[test]
fn aliases_that_multiply_are_counted_each_time() {
    let begin = Instant::now();
    let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for (of, name) in ('a'..='i').zip('b'..='j') {
        let items = [format!("*{of}").as_str(); 10].join(", ");
        bomb.extend([format!("{name}: &{name} [{items}]\n")]);
    }
    let found = problems(&format!("{TOOL}{bomb}")).join("\n");
    assert!(found.contains("values"), "{found}");
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

/// The links of each step lead to the one before it: nothing that looks through all steps for each may take the square of
/// their number for long.
#[test]
fn a_workflow_of_thousands_of_steps_is_read_soon() {
    const STEPS: usize = 5000;
    let tool = TOOL
        .replace("inputs: {}", "inputs: {x: string?}")
        .replace("outputs: {}", "outputs: {o: string?}");
    let mut text = "cwlVersion: v1.2\nclass: Workflow\ninputs: {x: string?}\noutputs: {o: {type: string?, outputSource: s0/o}}\nsteps:\n  s0: {run: t.cwl, in: {x: x}, out: [o]}\n".to_owned();
    for n in 1..STEPS {
        text.extend([format!("  s{n}: {{run: t.cwl, in: {{x: s{}/o}}, out: [o]}}\n", n - 1)]);
    }
    let begin = Instant::now();
    assert_eq!(
        problems_of(&files([("w.cwl", &text), ("t.cwl", &tool)]), "w.cwl"),
        Vec::<String>::new()
    );
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

#[test]
fn a_pattern_for_a_log_takes_linear_time() {
    let begin = Instant::now();
    let text = service("httpGet: /up", "logLine: '(a*)*(a*)*(a*)*b'");
    let process = Loader::new(&files([("t.cwl", &text)])).load("file:///d/t.cwl").unwrap();
    let service = cwl::service::Service::of(&process).unwrap();
    let line = service.ready.log_line.unwrap();
    assert!(!line.is_in(&"a".repeat(20_000)) && line.is_in("xaab"));
    let big = service_pattern(&"(x{1,1000}){1,1000}".repeat(3));
    assert!(problems(&big).join("\n").contains("logLine"), "too large a pattern is refused");
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

fn service_pattern(pattern: &str) -> String {
    service("httpGet: /up", &format!("logLine: '{pattern}'"))
}

#[test]
fn secrets_are_inputs_and_named_as_such() {
    let tool = |secrets: &str| {
        TOOL.replace(
            "inputs: {}",
            &format!("$namespaces: {{cwltool: 'http://commonwl.org/cwltool#'}}\nhints: {{cwltool:Secrets: {secrets}}}\ninputs: {{pw: string}}"),
        )
    };
    assert_eq!(problems(&tool("{secrets: [pw]}")), Vec::<String>::new());
    for wrong in ["{secrets: pw}", "{secrets: []}", "{}"] {
        let found = problems(&tool(wrong)).join("\n");
        assert!(found.contains("Secrets lists no inputs; write `secrets: [password]`"), "{found}");
    }
}

/// Seeds that are changed at random below.
const SEEDS: [&str; 4] = [
    TOOL,
    "cwlVersion: v1.2\nclass: Workflow\ninputs: {a: 'int[]?'}\noutputs: {o: {type: Any, outputSource: [s/o]}}\nsteps:\n  s: {run: t.cwl, in: {a: {source: [a], linkMerge: merge_flattened, pickValue: first_non_null}}, out: [o], scatter: a, when: $(inputs.a)}\n",
    "cwlVersion: v1.2\n$graph:\n- {class: ExpressionTool, id: main, expression: '${return {};}', inputs: [{id: r, type: {type: record, fields: {x: {type: enum, symbols: [a, b]}}}}], outputs: []}\n- &x {$import: t.cwl}\n- *x\n",
    "cwlVersion: v1.0\nclass: CommandLineTool\nhints: {arv:PublishPorts: {publishPorts: [{servicePort: 1}]}, svc:Service: {endpoints: {u: {port: 1}}}}\n$namespaces: {arv: 'http://arvados.org/cwl#', svc: 'urn:wharf:cwl#'}\nbaseCommand: [a]\ninputs: {f: {type: File, secondaryFiles: ['^.b?'], default: {class: File, path: x}}}\noutputs: {u: string?}\narguments: [{valueFrom: $(inputs.f.path), position: 1}]\n",
];

/// The same changes in every run: what fails once fails again.
struct Dice(u64);

impl Dice {
    /// Below `n`.
    fn roll(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap_or_default() % n.max(1)
    }
}

#[test]
fn changed_documents_are_read_or_refused_in_bounded_time() {
    const MARKS: [&str; 16] = [
        "{",
        "}",
        "[",
        "]",
        ": ",
        "\n",
        "  ",
        "- ",
        "&x ",
        "*x",
        "$import: t.cwl",
        "!!x ",
        "'",
        "null",
        "99999999999999999999",
        "1e999999999",
    ];
    let begin = Instant::now();
    let mut dice = Dice(20_260_101);
    for round in 0..4000 {
        let mut text = SEEDS[round % SEEDS.len()].to_owned();
        for _ in 0..=dice.roll(6) {
            let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
            let from = places.get(dice.roll(places.len())).copied().unwrap_or_default();
            let length = if dice.roll(2) == 0 { 0 } else { dice.roll(30) };
            let to = places.iter().copied().find(|at| *at >= from + length).unwrap_or(text.len());
            text.replace_range(from..to, MARKS[dice.roll(MARKS.len())]);
        }
        let _either = problems(&text);
    }
    assert!(begin.elapsed() < Duration::from_secs(120), "{:?}", begin.elapsed());
}

#[test]
fn huge_numbers_and_long_texts_are_refused_or_read() {
    let begin = Instant::now();
    let tool = |value: &str| {
        TOOL.replace("inputs: {}", &format!("inputs: {{a: {{type: Any, default: {value}}}}}"))
    };
    for value in
        ["1e999999999999", "-1e-999999999999", &"9".repeat(1_000_000), "0x10", ".inf", ".nan"]
    {
        let _either = problems(&tool(value));
    }
    let long = "x".repeat(4 << 20);
    assert_eq!(problems(&tool(&format!("\"{long}\""))), Vec::<String>::new());
    let found = problems(&format!("{TOOL}{}: 1\n", "x".repeat(1000))).join("\n");
    assert!(found.contains("has no field"), "{}", found.chars().take(200).collect::<String>());
    let nested = format!("$({})", "(".repeat(100_000));
    assert!(cwl::expr::scan(&nested).is_err());
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
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
