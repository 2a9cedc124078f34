//! Documents run as processes of this machine: what other runners are known to get wrong, and documents that mean harm.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cwl_runner::{Failure, Listener, LocalOptions, RunOptions, Target, run, validate};

const HEAD: &str = "cwlVersion: v1.2\nclass: CommandLineTool\n";
const JS: &str = "requirements: {InlineJavascriptRequirement: {}}\n";

/// What was said.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Listener for Heard {
    fn say(&self, words: &str) {
        self.0.lock().expect("the test's").push(words.to_owned());
    }
}

struct Site {
    dir: tempfile::TempDir,
    expression_time: Duration,
}

impl Site {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a file of the test");
        Self { dir, expression_time: Duration::from_millis(500) }
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(path.parent().expect("it has a folder"))
            .expect("a file of the test");
        std::fs::write(path, text).expect("a file of the test");
    }

    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    fn run(&self, name: &str, inputs: &[&str]) -> Result<String, Failure> {
        self.run_with(name, inputs, Arc::new(Heard::default()))
    }

    fn run_with(
        &self,
        name: &str,
        inputs: &[&str],
        listener: Arc<Heard>,
    ) -> Result<String, Failure> {
        let options = RunOptions {
            tool: self.path(name),
            inputs: inputs.iter().map(|word| (*word).to_owned()).collect(),
            outdir: self.dir.path().join("outputs"),
            expression_time: self.expression_time,
            programs_at_once: 2,
            on: Target::Local(LocalOptions {
                search_path: ["/usr/local/bin", "/usr/bin", "/bin"].map(Into::into).to_vec(),
                ..LocalOptions::default()
            }),
        };
        run(&options, listener)
    }

    /// Runs a tool of this text, and gives its words on standard output.
    fn words(&self, text: &str) -> Result<String, Failure> {
        self.write("t.cwl", &format!("{HEAD}{text}stdout: said\noutputs: {{said: stdout}}\n"));
        self.run("t.cwl", &[])?;
        let path = self.dir.path().join("outputs/said");
        let said = std::fs::read_to_string(&path).expect("a file of the test");
        std::fs::remove_file(path).expect("a file of the test");
        Ok(said)
    }
}

#[test]
fn words_arrive_as_they_are() {
    let site = Site::new();
    let printf = |arguments: &str| {
        format!("{JS}baseCommand: [printf, '[%s]']\ninputs: {{}}\narguments: {arguments}\n")
    };
    for (arguments, expected) in [
        ("['é $(1 + 1) ü']", "[é 2 ü]"),
        ("['', a, '']", "[][a][]"),
        ("[$('m' + \")\")]", "[m)]"),
        (r"['\$(x)', 'a\b']", r"[$(x)][a\b]"),
        ("[$(1e21), $(0.1)]", "[1000000000000000000000][0.1]"),
    ] {
        assert_eq!(site.words(&printf(arguments)).unwrap(), expected, "{arguments}");
    }
}

#[test]
fn javascript_needs_to_be_asked_for_and_comes_to_an_end() {
    let site = Site::new();
    let tool = "baseCommand: echo\ninputs: {}\narguments: ['EXPRESSION']\n";
    let unasked = site.words(&tool.replace("EXPRESSION", "$(1 + 1)")).unwrap_err();
    assert!(unasked.text.contains("InlineJavascriptRequirement"), "{}", unasked.text);
    let begin = Instant::now();
    for endless in [
        "${for(;;){}}",
        "${ var s = [1]; for (;;) s = s.concat(s); }",
        "${ function f() { f(); } f(); }",
    ] {
        let failure =
            site.words(&format!("{JS}{}", tool.replace("EXPRESSION", endless))).unwrap_err();
        assert_eq!(failure.exit_code, 1, "{}", failure.text);
    }
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

#[test]
fn a_program_has_an_environment_of_its_own() {
    let site = Site::new();
    let said = site.words("baseCommand: env\ninputs: {}\nrequirements: {EnvVarRequirement: {envDef: {MINE: yes}}}\n").unwrap();
    let mut names: Vec<&str> =
        said.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "MINE", "PATH", "TMPDIR"]);
}

#[test]
fn nothing_outside_of_the_output_directory_becomes_an_output() {
    let site = Site::new();
    site.write("secret", "do not tell");
    let secret = site.path("secret");
    let tool = |command: &str, glob: &str| {
        format!(
            "{HEAD}baseCommand: [sh, -c, '{command}']\ninputs: {{}}\noutputs: {{o: {{type: File, outputBinding: {{glob: '{glob}'}}}}}}\n"
        )
    };
    let cases = [
        (format!("ln -s {secret} link"), "link".to_owned()),
        (format!("ln -s {} up", site.dir.path().display()), "up/secret".to_owned()),
        ("true".to_owned(), "../../*".to_owned()),
        ("true".to_owned(), secret.clone()),
        (format!("echo \"{{\\\"o\\\": {{\\\"class\\\": \\\"File\\\", \\\"path\\\": \\\"{secret}\\\"}}}}\" > cwl.output.json"), "x".to_owned()),
        ("echo \"{\\\"o\\\": {\\\"class\\\": \\\"File\\\", \\\"path\\\": \\\"../../../secret\\\"}}\" > cwl.output.json".to_owned(), "x".to_owned()),
    ];
    for (command, glob) in cases {
        site.write("t.cwl", &tool(&command, &glob));
        let ended = site.run("t.cwl", &[]);
        let told = std::fs::read_dir(site.dir.path().join("outputs")).map_or(0, Iterator::count);
        assert!(ended.is_err() && told == 0, "{command} {glob}: {ended:?}");
    }
}

#[test]
fn nothing_is_put_outside_of_the_working_directory() {
    let site = Site::new();
    for name in ["../x", "/tmp/x", "a/../../x", ""] {
        site.write("t.cwl", &format!(
            "{HEAD}requirements: {{InitialWorkDirRequirement: {{listing: [{{entryname: '{name}', entry: y}}]}}}}\nbaseCommand: 'true'\ninputs: {{}}\noutputs: {{}}\n"
        ));
        let failure = site.run("t.cwl", &[]).unwrap_err();
        assert!(failure.text.contains("entryname"), "{}", failure.text);
    }
    site.write(
        "t.cwl",
        &format!("{HEAD}baseCommand: 'true'\ninputs: {{f: File}}\noutputs: {{}}\n"),
    );
    site.write("job.json", r#"{"f": {"class": "File", "contents": "x", "basename": "../../x"}}"#);
    let failure = site.run("t.cwl", &[&site.path("job.json")]).unwrap_err();
    assert!(failure.text.contains("basename"), "{}", failure.text);
    for stdout in ["../x", "/tmp/x"] {
        site.write(
            "t.cwl",
            &format!("{HEAD}baseCommand: 'true'\nstdout: {stdout}\ninputs: {{}}\noutputs: {{}}\n"),
        );
        assert!(site.run("t.cwl", &[]).is_err());
    }
}

#[test]
fn writable_inputs_are_copies_and_time_limits_end_whole_groups() {
    let site = Site::new();
    site.write("in.txt", "as it was");
    site.write("t.cwl", &format!(
        "{HEAD}requirements:\n  InitialWorkDirRequirement: {{listing: [{{entry: $(inputs.f), writable: true}}]}}\n  InplaceUpdateRequirement: {{inplaceUpdate: true}}\nbaseCommand: [sh, -c, 'echo changed > in.txt']\ninputs: {{f: File}}\noutputs: {{}}\n"
    ));
    site.run("t.cwl", &["--f", &site.path("in.txt")]).unwrap();
    assert_eq!(std::fs::read_to_string(site.path("in.txt")).unwrap(), "as it was");
    let begin = Instant::now();
    let tool = "requirements: {ToolTimeLimit: {timelimit: 1}}\nbaseCommand: [sh, -c, 'sleep 100 & sleep 100']\ninputs: {}\n";
    assert!(site.words(tool).unwrap_err().text.contains("time limit"));
    assert!(begin.elapsed() < Duration::from_secs(30));
}

#[test]
fn what_is_not_there_is_exit_code_33() {
    let site = Site::new();
    site.write("t.cwl", &format!("{HEAD}requirements: {{DockerRequirement: {{dockerPull: nowhere}}}}\nbaseCommand: 'true'\ninputs: {{}}\noutputs: {{}}\n"));
    assert_eq!(site.run("t.cwl", &[]).unwrap_err().exit_code, 33);
    site.write("t.cwl", &format!("{HEAD}hints: {{DockerRequirement: {{dockerPull: nowhere}}}}\nbaseCommand: 'true'\ninputs: {{}}\noutputs: {{}}\n"));
    assert_eq!(site.run("t.cwl", &[]).unwrap(), "{}");
    assert!(validate(&site.path("none.cwl")).unwrap_err().text.contains("there is no such file"));
}

#[test]
fn steps_start_as_soon_as_they_can() {
    let site = Site::new();
    // `second` needs nothing of `slow`: waves would make it wait.
    let step = |command: &str| {
        format!(
            "{{class: CommandLineTool, baseCommand: [sh, -c, '{command}'], inputs: {{x: Any?}}, stdout: o, outputs: {{o: stdout}}}}"
        )
    };
    let mark = Path::new(&site.path("mark")).display().to_string();
    let workflow = format!(
        "cwlVersion: v1.2\nclass: Workflow\ninputs: {{}}\noutputs: {{}}\nsteps:\n  slow: {{run: {}, in: {{}}, out: [o]}}\n  first: {{run: {}, in: {{}}, out: [o]}}\n  second: {{run: {}, in: {{x: first/o}}, out: [o]}}\n",
        step(&format!(
            "n=0; while [ ! -e {mark} ] && [ $n -lt 200 ]; do sleep 0.05; n=$((n+1)); done; [ -e {mark} ]"
        )),
        step("true"),
        step(&format!("touch {mark}")),
    );
    site.write("w.cwl", &workflow);
    site.run("w.cwl", &[]).unwrap();
}

/// What a program may leave to hold up or fill whoever collects its outputs.
#[test]
fn strange_things_in_the_output_directory_end_soon_with_an_error() {
    let site = Site::new();
    let begin = Instant::now();
    let deep = "printf \"%0100000d\" 0 | tr 0 [ > cwl.output.json";
    let loops = "mkdir d; ln -s .. d/up; ln -s up d/again";
    for (command, glob, expected) in [
        ("mkfifo pipe", "pipe", "neither a file nor a folder"),
        ("mkfifo cwl.output.json", "x", ""),
        ("ln -s /dev/zero zero", "zero", "neither an output nor an input"),
        ("ln -s a b; ln -s b a", "a", "links that lead to each other"),
        (deep, "x", "cwl.output.json"),
        (loops, "d", ""),
    ] {
        site.write(
            "t.cwl",
            &format!(
                "{HEAD}baseCommand: [sh, -c]\narguments: ['{command}']\ninputs: {{}}\noutputs: {{o: {{type: [File, Directory], outputBinding: {{glob: '{glob}'}}}}}}\n"
            ),
        );
        let failure = site.run("t.cwl", &[]).expect_err(command);
        assert!(failure.text.contains(expected), "{command}: {}", failure.text);
    }
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

/// Work of the engine itself that no statement ends.
#[test]
fn javascript_that_works_in_one_piece_comes_to_an_end_too() {
    let site = Site::new();
    for endless in [
        "$(/^(a+)+$/.test('a'.repeat(40) + 'b'))",
        "${ return 'x'.repeat(1e9) + 'y'.repeat(1e9); }",
        "${ return new Array(1e9).join('x'); }",
        "${ return JSON.stringify(new Array(1e8).fill(0)); }",
        "${ return new Array(3e6).fill(0).map(Math.random).sort(function () { return 1; }); }",
        "${ var a = {}; a.toJSON = function () { for (;;) {} }; return a; }",
        "${ var a = []; a[0] = a; return a; }",
        "${ return (2n ** 10000000n).toString(); }",
    ] {
        let begin = Instant::now();
        let failure = site
            .words(&format!("{JS}baseCommand: echo\ninputs: {{}}\narguments: [\"{endless}\"]\n"))
            .expect_err(endless);
        assert_eq!(failure.exit_code, 1, "{}", failure.text);
        assert!(begin.elapsed() < Duration::from_secs(15), "{endless}: {:?}", begin.elapsed());
    }
}

/// The time of one expression is bounded, and meanwhile others are not held up.
#[test]
fn a_slow_expression_holds_nothing_else_up() {
    let site = Site { expression_time: Duration::from_secs(4), ..Site::new() };
    let mark = site.path("mark");
    // `slow` evaluates until its limit is over; `quick` begins and ends meanwhile, each with its own expression.
    let workflow = format!(
        "cwlVersion: v1.2\nclass: Workflow\nrequirements: {{InlineJavascriptRequirement: {{}}, StepInputExpressionRequirement: {{}}}}\ninputs: {{}}\noutputs: {{}}\nsteps:\n  slow:\n    run: {{class: ExpressionTool, inputs: {{}}, outputs: {{o: Any}}, expression: '${{ for (;;) {{}} }}'}}\n    in: {{}}\n    out: [o]\n  quick:\n    run: {{class: CommandLineTool, baseCommand: [touch], inputs: {{x: {{type: string, inputBinding: {{}}}}}}, outputs: {{}}}}\n    in: {{x: {{valueFrom: \"${{ return '{mark}'; }}\"}}}}\n    out: []\n"
    );
    site.write("w.cwl", &workflow);
    let failure = site.run("w.cwl", &[]).unwrap_err();
    assert!(failure.text.contains("took longer than"), "{}", failure.text);
    assert!(Path::new(&mark).is_file(), "the other step ran meanwhile");
}

#[test]
fn results_of_expressions_keep_their_order() {
    let site = Site::new();
    // The first ones take longest.
    let workflow = "cwlVersion: v1.2\nclass: Workflow\nrequirements: {InlineJavascriptRequirement: {}, ScatterFeatureRequirement: {}}\ninputs: {n: {type: 'int[]', default: [5, 4, 3, 2, 1, 0]}}\noutputs: {all: {type: Any, outputSource: s/o}}\nsteps:\n  s:\n    run: {class: ExpressionTool, inputs: {n: int}, outputs: {o: int}, expression: '${ var t = Date.now() + 20 * inputs.n; while (Date.now() < t) {} return {o: inputs.n}; }'}\n    scatter: n\n    in: {n: n}\n    out: [o]\n";
    site.write("w.cwl", workflow);
    let outputs = site.run("w.cwl", &[]).unwrap();
    let digits: String = outputs.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(digits, "543210");
}

#[test]
fn a_secret_is_in_its_file_and_nowhere_else() {
    let site = Site::new();
    let heard = Arc::new(Heard::default());
    let tool = |more: &str| {
        format!(
            "{HEAD}$namespaces: {{cwltool: 'http://commonwl.org/cwltool#'}}\nhints: {{cwltool:Secrets: {{secrets: [pw]}}}}\nrequirements:\n  InlineJavascriptRequirement: {{}}\n  InitialWorkDirRequirement: {{listing: [{{entryname: conf, entry: 'password=$(inputs.pw)'}}]}}\n{more}inputs: {{pw: string}}\n"
        )
    };
    let good = tool(
        "baseCommand: [sh, -c, 'wc -c < conf; stat -c %a conf']\nstdout: said\noutputs: {said: stdout, all: {type: 'File[]', outputBinding: {glob: '*'}}, echo: {type: string, outputBinding: {outputEval: $(inputs.pw)}}}\n",
    );
    site.write("t.cwl", &good);
    let outputs = site.run_with("t.cwl", &["--pw", "sesame"], heard.clone()).unwrap();
    let said = std::fs::read_to_string(site.path("outputs/said")).unwrap();
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["15", "600"], "the program had it");
    let told = heard.0.lock().unwrap().join("\n");
    assert!(!outputs.contains("sesame") && !told.contains("sesame"), "{outputs}\n{told}");
    assert!(!outputs.contains("conf"), "the file is no output: {outputs}");
    for (more, where_to) in [
        ("arguments: [$(inputs.pw)]\nbaseCommand: echo\noutputs: {}\n", "the command line"),
        ("stdout: $(inputs.pw)\nbaseCommand: echo\noutputs: {}\n", "the name of a file"),
    ] {
        site.write("t.cwl", &tool(more));
        let failure = site.run("t.cwl", &["--pw", "sesame"]).unwrap_err();
        assert!(failure.text.contains(where_to), "{}", failure.text);
        assert!(!failure.text.contains("sesame"), "{}", failure.text);
    }
}
