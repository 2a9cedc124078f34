//! `wharf cwl`: the official conformance suite on this machine, and tools, workflows and services through a controller.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use testkit::http::Request;
use testkit::{BOUND, Wharf, images, wait_for};

/// Tests of the suite at a time: most of their time is deliberate sleeping.
const SUITE_AT_ONCE: &str = "4";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/cwl")
}

fn write(folder: &Path, name: &str, text: &str) {
    std::fs::write(folder.join(name), text).expect("a file can be written");
}

/// A controller with busybox in it, and a folder for documents.
fn site() -> (Wharf, tempfile::TempDir) {
    let wharf = Wharf::start();
    wharf.import("busybox.docker.tar");
    (wharf, tempfile::TempDir::with_prefix("wharf-cwl-test-").expect("a temporary folder"))
}

/// Runs `wharf cwl run` in a folder; its exit code, output object and remarks.
fn run(wharf: &Wharf, folder: &Path, words: &[&str]) -> (i32, Value, String) {
    let mut command = wharf.command();
    let output = command.args(["cwl", "run"]).args(words).current_dir(folder).output();
    let output = output.expect("wharf runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let object = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap_or(-1), object, said)
}

const UPPER: &str = "cwlVersion: v1.2
class: CommandLineTool
requirements: {DockerRequirement: {dockerPull: 'busybox:latest'}}
baseCommand: [tr, a-z, A-Z]
inputs: {text: {type: File}}
stdin: $(inputs.text.path)
stdout: upper.txt
outputs: {upper: {type: stdout}}
";

/// The suite, unpacked, and what its tests need beside it.
struct Suite {
    work: tempfile::TempDir,
}

impl Suite {
    fn new() -> Self {
        let work = tempfile::TempDir::with_prefix("wharf-cwl-suite-").expect("a temporary folder");
        let archive = folder().join("cwl-v1.2-tests.tar.gz");
        let status =
            Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(work.path()).status();
        assert!(status.expect("tar runs").success(), "the suite is unpacked");
        // Many tests run `python`, which Debian calls python3.
        let bin = work.path().join("bin");
        std::fs::create_dir(&bin).expect("a folder can be made");
        std::os::unix::fs::symlink("/usr/bin/python3", bin.join("python"))
            .expect("a link can be made");
        Self { work }
    }

    /// Runs all of it by `wharf cwl run` with these flags; those of `expected` that do not pass, and the end of what was
    /// said.
    fn missing<'e>(
        &self,
        environment: &[(&str, &Path)],
        flags: &[&str],
        expected: &'e str,
    ) -> (Vec<&'e str>, String) {
        let badges = self.work.path().join("badges");
        let bin = self.work.path().join("bin");
        let output = Command::new(images::cwltest().join("bin/cwltest"))
            .args(["--test", "conformance_tests.yaml", "-j", SUITE_AT_ONCE, "--timeout", "120"])
            .arg("--badgedir")
            .arg(&badges)
            .arg("--tool")
            .arg(images::wharf_binary())
            .args(["--", "cwl", "run"])
            .args(flags)
            .current_dir(self.work.path().join("cwl-v1.2"))
            .env("PATH", format!("{}:/usr/local/bin:/usr/bin:/bin", bin.display()))
            .env("TMPDIR", self.work.path())
            .envs(environment.iter().copied())
            .output()
            .expect("cwltest runs");
        let verdicts = std::fs::read_to_string(badges.join("all.md")).unwrap_or_default();
        let parts = verdicts.split("## List of ");
        let passed = parts.into_iter().find(|part| part.starts_with("passed")).unwrap_or_default();
        let missing = ids(expected).filter(|id| !passed.contains(&format!("- [{id}](")));
        let said = String::from_utf8_lossy(&output.stderr);
        let end: Vec<&str> = said.lines().rev().take(60).collect();
        (missing.collect(), format!("{end:#?}"))
    }
}

/// A list of tests.
fn list(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).expect("a list of tests")
}

fn ids(list: &str) -> impl Iterator<Item = &str> {
    list.lines().filter(|id| !id.is_empty() && !id.starts_with('#'))
}

#[test]
fn the_conformance_suite_passes_as_far_as_it_is_expected_to() {
    let entrypoint = folder().join("bash-entrypoint.sh");
    let bash = format!("--image-map=docker.io/bash:4.4=host,{}", entrypoint.display());
    let expected = list("expected-pass.txt");
    let flags = ["--local", "--image-map=*=host", &bash];
    let (missing, said) = Suite::new().missing(&[], &flags, &expected);
    assert!(missing.is_empty(), "no longer passing: {missing:?}\n{said}");
}

/// Three minutes, and an image that no other test needs.
#[test]
#[ignore = "takes minutes: cargo xtask test --slow"]
fn the_conformance_suite_passes_through_a_controller() {
    let wharf = Wharf::start();
    wharf.import("cwl.docker.tar");
    let (expected, beyond) = (list("expected-pass.txt"), list("not-through-a-controller.txt"));
    let expected: Vec<&str> =
        ids(&expected).filter(|id| !ids(&beyond).any(|other| other == *id)).collect();
    assert!(expected.len() >= 375, "{} tests are expected to pass", expected.len());
    let flags = ["--image-map=*=cwl:latest", "--image=cwl:latest"];
    let data = wharf.data();
    let environment = [("WHARF_DATA", data.as_path()), ("HOME", wharf.home())];
    let expected = expected.join("\n");
    let (missing, said) = Suite::new().missing(&environment, &flags, &expected);
    assert!(missing.is_empty(), "no longer passing: {missing:?}\n{said}");
    wharf.finish();
}

#[test]
fn a_tool_runs_as_a_container_request_and_its_output_comes_back() {
    let (wharf, dir) = site();
    write(dir.path(), "upper.cwl", UPPER);
    write(dir.path(), "in.txt", "hello\n");
    let (code, object, said) =
        run(&wharf, dir.path(), &["--outdir=out", "upper.cwl", "--text", "in.txt"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(object["upper"]["basename"], "upper.txt", "{object}");
    let text =
        std::fs::read_to_string(dir.path().join("out/upper.txt")).expect("the output is there");
    assert_eq!(text, "HELLO\n");
    wharf.finish();
}

#[test]
fn a_workflow_with_scatter_runs_step_by_step() {
    let (wharf, dir) = site();
    write(dir.path(), "upper.cwl", UPPER);
    let make = "cwlVersion: v1.2
class: CommandLineTool
requirements: {DockerRequirement: {dockerPull: 'busybox:latest'}}
baseCommand: echo
inputs: {word: {type: string, inputBinding: {}}}
stdout: word.txt
outputs: {file: {type: stdout}}
";
    write(dir.path(), "make.cwl", make);
    let workflow = "cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}}
inputs: {words: 'string[]'}
outputs: {all: {type: 'File[]', outputSource: upper/upper}}
steps:
  make: {run: make.cwl, scatter: word, in: {word: words}, out: [file]}
  upper: {run: upper.cwl, scatter: text, in: {text: make/file}, out: [upper]}
";
    write(dir.path(), "all.cwl", workflow);
    let words = ["--outdir=out", "all.cwl", "--words", "one", "--words", "two"];
    let (code, object, said) = run(&wharf, dir.path(), &words);
    assert_eq!(code, 0, "{said}");
    let texts: Vec<String> = object["all"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|file| {
            std::fs::read_to_string(file["path"].as_str().expect("a path")).expect("a file")
        })
        .collect();
    assert_eq!(texts, ["ONE\n", "TWO\n"]);
    wharf.finish();
}

#[test]
fn a_program_that_fails_is_told_with_its_log_and_exit_code_1() {
    let (wharf, dir) = site();
    let tool = UPPER.replace("[tr, a-z, A-Z]", "[sh, -c, 'echo no such luck >&2; exit 3']");
    write(dir.path(), "bad.cwl", &tool);
    write(dir.path(), "in.txt", "x");
    let (code, _, said) = run(&wharf, dir.path(), &["bad.cwl", "--text", "in.txt"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("exit code 3") && said.contains("no such luck"), "{said}");
    write(
        dir.path(),
        "other.cwl",
        &UPPER.replace("requirements: {", "requirements: {'http://x#Y': {}, "),
    );
    let (code, _, said) = run(&wharf, dir.path(), &["other.cwl", "--text", "in.txt"]);
    assert_eq!(code, 33, "{said}");
    wharf.finish();
}

const SERVICE: &str = "cwlVersion: v1.2
class: CommandLineTool
$namespaces: {arv: 'http://arvados.org/cwl#'}
PLACE:
  DockerRequirement: {dockerPull: 'busybox:latest'}
  arv:PublishPorts:
    publishPorts: PORTS
baseCommand: [sh, -c, 'echo moo > index.html; exec httpd -f -p 8080 -h .']
inputs: {}
outputs: {}
";

#[test]
fn a_tool_with_published_ports_is_a_service_in_every_spelling() {
    let (wharf, dir) = site();
    let map = "{'8080': {serviceAccess: public, label: Moo, initialPath: /index.html}}";
    let list = "[{servicePort: '8080', serviceAccess: public, label: Moo}]";
    for (n, (place, ports)) in [("hints", map), ("requirements", list)].into_iter().enumerate() {
        let name = format!("service{n}.cwl");
        write(dir.path(), &name, &SERVICE.replace("PLACE", place).replace("PORTS", ports));
        let mut command = wharf.command();
        let output =
            command.args(["cwl", "run", "--no-wait", &name]).current_dir(dir.path()).output();
        let output = output.expect("wharf runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let uuid = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let path = format!("/arvados/v1/container_requests/{uuid}");
        let request = wharf.api("GET", &path, None).expect(200).json();
        assert_eq!(request["service"], true, "{request}");
        assert_eq!(request["use_existing"], false, "{request}");
        assert_eq!(request["published_ports"]["8080"]["label"], "Moo", "{request}");
        let host = wharf.host(&format!("{uuid}-8080"));
        wait_for("the service to answer", BOUND, || {
            let reply = Request::new(wharf.port(), &host, "GET", "/index.html").send();
            reply.status() == 200 && reply.text() == "moo\n"
        });
        let _stopped = wharf.cli(&["stop", &uuid]).expect(0);
    }
    wharf.finish();
}

#[test]
fn a_service_stays_attached_tells_its_address_and_ends_with_ctrl_c() {
    let (wharf, dir) = site();
    let ports = "{'8080': {serviceAccess: private, label: Moo}}";
    write(dir.path(), "service.cwl", &SERVICE.replace("PLACE", "hints").replace("PORTS", ports));
    let mut command = wharf.command();
    command.args(["cwl", "run", "service.cwl"]).current_dir(dir.path());
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("wharf runs");
    let mut remarks = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let address = remarks.by_ref().map_while(Result::ok).find(|line| line.contains("://"));
    let address = address.expect("the address is told before the end");
    assert!(address.contains("-8080.") && address.contains("Moo (private)"), "{address}");
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
    assert!(child.wait().expect("it ends").success());
    let running = wharf.cli(&["ps"]).expect(0).stdout;
    assert!(!running.contains("running"), "{running}");
    wharf.finish();
}

/// Submits an example and leaves it to itself; its identifier.
fn leave(wharf: &Wharf, words: &[&str]) -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/cwl");
    let mut command = wharf.command();
    let output =
        command.args(["cwl", "run", "--no-wait"]).args(words).current_dir(examples).output();
    let output = output.expect("wharf runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[test]
fn the_example_of_a_web_api_serves_its_input() {
    let (wharf, _dir) = site();
    let uuid = leave(&wharf, &["web-api.cwl", "--file", "hello.json"]);
    let host = wharf.host(&format!("{uuid}-8080"));
    wait_for("the service to answer", BOUND, || {
        let reply = Request::new(wharf.port(), &host, "GET", "/data").send();
        reply.status() == 200 && reply.text() == "{\"hello\": \"world\"}\n"
    });
    wharf.finish();
}

#[test]
fn the_example_of_jupyterlab_opens_for_its_owner_alone() {
    let wharf = Wharf::start();
    wharf.import("jupyterlab.docker.tar");
    let uuid = leave(&wharf, &["jupyterlab.cwl"]);
    let host = wharf.host(&format!("{uuid}-8888"));
    wait_for("JupyterLab to answer", BOUND * 3, || {
        let request = Request::new(wharf.port(), &host, "GET", "/lab").bearer(wharf.token());
        let reply = request.send();
        reply.status() == 200 && reply.text().contains("JupyterLab")
    });
    let stranger = Request::new(wharf.port(), &host, "GET", "/lab").send();
    assert!(matches!(stranger.status(), 401 | 403 | 404), "{}", stranger.status());
    wharf.finish();
}

#[test]
fn validate_names_file_line_rule_and_what_to_write() {
    let dir = tempfile::TempDir::with_prefix("wharf-cwl-test-").expect("a temporary folder");
    write(dir.path(), "bad.cwl", &UPPER.replace("baseCommand", "baseComand"));
    let output = Command::new(images::wharf_binary())
        .args(["cwl", "validate", "bad.cwl"])
        .current_dir(dir.path())
        .output()
        .expect("wharf runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("bad.cwl:4:13:") && said.contains("did you mean \"baseCommand\"?"),
        "{said}"
    );
}

/// Makes something large, which is read by the next step and looked at by an expression, and never comes here.
const LARGE: &str = "cwlVersion: v1.2
class: Workflow
requirements: {InlineJavascriptRequirement: {}, StepInputExpressionRequirement: {}}
inputs: {}
outputs:
  length: {type: File, outputSource: count/length}
  names: {type: string, outputSource: count/names}
steps:
  make:
    run:
      class: CommandLineTool
      requirements: {DockerRequirement: {dockerPull: 'busybox:latest'}}
      baseCommand: [sh, -c, 'mkdir -p d/e; dd if=/dev/zero of=d/big bs=1M count=8 2> d/e/said; echo small > note; : > empty']
      inputs: {}
      outputs:
        dir: {type: Directory, outputBinding: {glob: d}}
        big: {type: File, outputBinding: {glob: d/big}, secondaryFiles: [{pattern: '.no', required: false}]}
        note: {type: File, outputBinding: {glob: note}}
        empty: {type: File, outputBinding: {glob: empty}}
    in: {}
    out: [dir, big, note, empty]
  count:
    run:
      class: CommandLineTool
      requirements:
        DockerRequirement: {dockerPull: 'busybox:latest'}
        InlineJavascriptRequirement: {}
        InitialWorkDirRequirement:
          listing: [{entry: $(inputs.dir), entryname: mine, writable: true}, $(inputs.empty)]
      baseCommand: [sh, -c]
      arguments:
        - 'wc -c < $0; cat $1; echo $2; ls mine; ls mine/e; wc -c < empty; echo more >> mine/big'
        - $(inputs.big.path)
        - $(inputs.note.path)
        - $(inputs.big.size)
      inputs:
        dir: {type: Directory, loadListing: deep_listing}
        big: File
        note: File
        empty: File
        text: string
      stdout: length
      outputs:
        length: stdout
        names: {type: string, outputBinding: {outputEval: '$(inputs.text + inputs.dir.listing.length)'}}
    in:
      dir: make/dir
      big: make/big
      note: {source: make/note, loadContents: true}
      empty: make/empty
      text: {source: make/note, loadContents: true, valueFrom: $(self.contents)}
    out: [length, names]
";

#[test]
fn what_steps_leave_for_each_other_stays_with_the_instance() {
    let (wharf, dir) = site();
    write(dir.path(), "all.cwl", LARGE);
    let wharf_run = wharf.command();
    // Files of more than half a MiB cannot be written by it.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 1024; exec \"$0\" \"$@\""]).arg(wharf_run.get_program());
    command.args(wharf_run.get_args()).args(["cwl", "run", "--outdir=out", "all.cwl"]);
    for (name, value) in wharf_run.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command.current_dir(dir.path()).output().expect("wharf runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(0), "{said}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("an object");
    let text = std::fs::read_to_string(dir.path().join("out/length")).expect("an output");
    assert_eq!(text, "8388608\nsmall\n8388608\nbig\ne\nsaid\n0\n");
    assert_eq!(object["names"], "small\n2", "{object}");
    let sha1 = object["length"]["checksum"].as_str().expect("a checksum");
    assert!(sha1.starts_with("sha1$"), "{object}");
    wharf.finish();
}

/// The sum is of `hello` and a line end, and of nothing.
const SUMS: &str = "cwlVersion: v1.2
class: Workflow
requirements: {InlineJavascriptRequirement: {}, StepInputExpressionRequirement: {}}
inputs: []
steps:
  make:
    in: []
    out: [said, empty]
    run:
      class: CommandLineTool
      requirements: {DockerRequirement: {dockerPull: 'busybox:latest'}}
      baseCommand: [sh, -c, 'echo hello; touch empty']
      inputs: []
      outputs: {said: {type: stdout}, empty: {type: File, outputBinding: {glob: empty}}}
      stdout: said
  read:
    in: {said: make/said, empty: make/empty}
    out: [sums]
    run:
      class: ExpressionTool
      inputs: {said: File, empty: File}
      outputs: {sums: string}
      expression: '${return {sums: inputs.said.checksum + inputs.empty.checksum}}'
outputs: {sums: {type: string, outputSource: read/sums}}
";

#[test]
fn an_expression_that_names_the_checksum_of_a_steps_file_gets_it() {
    let (wharf, dir) = site();
    write(dir.path(), "sums.cwl", SUMS);
    let (code, object, said) = run(&wharf, dir.path(), &["sums.cwl"]);
    assert_eq!(code, 0, "{said}");
    let expected = "sha1$f572d396fae9206628714fb2ce00f72e94f2258f\
                    sha1$da39a3ee5e6b4b0d3255bfef95601890afd80709";
    assert_eq!(object["sums"], expected, "{said}");
    wharf.finish();
}

#[test]
fn files_of_the_instance_are_inputs_by_their_keep_locations() {
    let (wharf, dir) = site();
    write(dir.path(), "upper.cwl", UPPER);
    write(dir.path(), "in.txt", "hello\n");
    let words = ["--outdir=out", "upper.cwl", "--text", "in.txt"];
    let (code, _, said) = run(&wharf, dir.path(), &words);
    assert_eq!(code, 0, "{said}");
    let listed = wharf.api("GET", "/arvados/v1/container_requests", None).expect(200).json();
    let output = listed["items"][0]["output_uuid"].as_str().expect("an output").to_owned();
    let path = format!("/arvados/v1/collections/{output}");
    let hash = wharf.api("GET", &path, None).expect(200).json();
    let hash = hash["portable_data_hash"].as_str().expect("a hash").to_owned();
    for id in [output, hash] {
        let job = serde_json::json!({"text": {"class": "File", "location": format!("keep:{id}/upper.txt")}});
        write(dir.path(), "job.json", &job.to_string());
        let (code, object, said) =
            run(&wharf, dir.path(), &["--outdir=again", "upper.cwl", "job.json"]);
        assert_eq!(code, 0, "{said}");
        let path = object["upper"]["path"].as_str().expect("a path");
        assert_eq!(std::fs::read_to_string(path).expect("a file"), "HELLO\n");
    }
    write(
        dir.path(),
        "job.json",
        r#"{"text": {"class": "File", "location": "keep:d41d8cd98f00b204e9800998ecf8427e+0/no"}}"#,
    );
    let (code, _, said) = run(&wharf, dir.path(), &["upper.cwl", "job.json"]);
    assert!(code == 1 && said.contains("there is no such file"), "{said}");
    wharf.finish();
}

#[test]
fn a_secret_goes_to_the_program_alone() {
    let (wharf, dir) = site();
    let tool = "cwlVersion: v1.2
class: CommandLineTool
$namespaces: {cwltool: 'http://commonwl.org/cwltool#'}
hints: {cwltool:Secrets: {secrets: [pw]}}
requirements:
  DockerRequirement: {dockerPull: 'busybox:latest'}
  InitialWorkDirRequirement: {listing: [{entryname: conf, entry: 'password=$(inputs.pw)'}]}
baseCommand: [sh, -c, 'md5sum < conf; ls']
inputs: {pw: string}
stdout: said
outputs: {said: stdout, all: {type: 'File[]', outputBinding: {glob: '*'}}}
";
    write(dir.path(), "secret.cwl", tool);
    write(dir.path(), "job.yml", "pw: opensesame\n");
    let (code, object, said) = run(&wharf, dir.path(), &["--outdir=out", "secret.cwl", "job.yml"]);
    assert_eq!(code, 0, "{said}");
    let text = std::fs::read_to_string(dir.path().join("out/said")).expect("an output");
    assert_eq!(text, "d378907a59f603873bab7f89027f2829  -\nconf\nsaid\n");
    let mut records = format!("{object}{said}{}", wharf.output());
    for kind in ["container_requests", "containers", "collections", "logs"] {
        let path = format!("/arvados/v1/{kind}?limit=1000");
        records.push_str(&wharf.api("GET", &path, None).expect(200).text());
    }
    assert!(!records.contains("opensesame"), "in no record, log or output");
    assert_eq!(object["all"].as_array().map(Vec::len), Some(1), "it is no output: {object}");
    wharf.finish();
}
