//! Documents run as processes of this machine: what other runners are known to get wrong, and documents that mean harm.

use std::path::Path;
use std::time::{Duration, Instant};

use cwl_runner::{Failure, LocalOptions, RunOptions, Target, run, validate};

const HEAD: &str = "cwlVersion: v1.2\nclass: CommandLineTool\n";
const JS: &str = "requirements: {InlineJavascriptRequirement: {}}\n";

struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a file of the test") }
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
        let options = RunOptions {
            tool: self.path(name),
            inputs: inputs.iter().map(|word| (*word).to_owned()).collect(),
            outdir: self.dir.path().join("outputs"),
            expression_time: Duration::from_millis(500),
            programs_at_once: 2,
            on: Target::Local(LocalOptions {
                search_path: ["/usr/local/bin", "/usr/bin", "/bin"].map(Into::into).to_vec(),
                ..LocalOptions::default()
            }),
        };
        run(&options, &|_remark| {})
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
