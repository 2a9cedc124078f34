//! Services of CWL workflows: steps that use them, their ends, and what is left when their runner is killed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use testkit::{BOUND, Wharf, images, kill, wait_for};

/// Serves a word until it is asked to end; then it writes what it leaves.
const SERVE: &str = r#"cwlVersion: v1.2
class: CommandLineTool
$namespaces: {arv: "http://arvados.org/cwl#", svc: "urn:wharf:cwl#"}
requirements:
  DockerRequirement: {dockerPull: "busybox:latest"}
hints:
  arv:PublishPorts:
    publishPorts: {"8080": {serviceAccess: private, label: Words}}
  svc:Service:
    endpoints: {url: {port: "8080", path: /word}}
    ready: {port: "8080", httpGet: /word}
    LIFETIME
baseCommand: [sh, -c]
arguments:
  - "trap 'echo left > dump.txt; exit 0' TERM; echo hello $0 > word; httpd -f -p 8080 -h . & wait"
  - $(inputs.word)
inputs: {word: {type: string, default: you}}
outputs:
  url: string?
  dump: {type: File?, outputBinding: {glob: dump.txt}}
"#;

/// Fetches what is at an address.
const FETCH: &str = r#"cwlVersion: v1.2
class: CommandLineTool
requirements:
  DockerRequirement: {dockerPull: "busybox:latest"}
baseCommand: [sh, -c, "wget -q -O - $0"]
inputs: {url: {type: string, inputBinding: {position: 1}}}
stdout: got.txt
outputs: {got: stdout}
"#;

const WORKFLOW: &str = "cwlVersion: v1.2
class: Workflow
inputs: {}
outputs:
  got: {type: File, outputSource: use/got}
  dump: {type: File, outputSource: serve/dump}
steps:
  serve: {run: serve.cwl, in: {}, out: [url, dump]}
  use: {run: fetch.cwl, in: {url: serve/url}, out: [got]}
";

struct Site {
    wharf: Wharf,
    dir: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let wharf = Wharf::start();
        wharf.import("busybox.docker.tar");
        let dir = tempfile::TempDir::with_prefix("wharf-cwl-test-").expect("a temporary folder");
        let site = Self { wharf, dir };
        site.write("serve.cwl", &SERVE.replace("    LIFETIME\n", ""));
        site.write("fetch.cwl", FETCH);
        site
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).expect("a file can be written");
    }

    fn read(&self, object: &Value) -> String {
        let path = object["path"].as_str().expect("a file");
        std::fs::read_to_string(path).expect("a file of an output")
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.wharf.command();
        command.args(["cwl", "run", "--outdir=out"]).args(words).current_dir(self.dir.path());
        command
    }

    /// Runs to the end: exit code, output object, remarks.
    fn run(&self, words: &[&str]) -> (i32, Value, String) {
        let output = self.command(words).output().expect("wharf runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let object = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap_or(-1), object, said)
    }

    fn requests(&self) -> Vec<Value> {
        let listed = self.wharf.api("GET", "/arvados/v1/container_requests", None).expect(200);
        listed.json()["items"].as_array().expect("items").clone()
    }

    fn container(&self, request: &Value) -> Value {
        let uuid = request["container_uuid"].as_str().expect("a container");
        self.wharf.api("GET", &format!("/arvados/v1/containers/{uuid}"), None).expect(200).json()
    }

    fn of(&self, name: &str) -> Value {
        let found = self.requests().into_iter().find(|request| request["name"] == name);
        found.unwrap_or_else(|| panic!("no request of {name}"))
    }
}

fn seconds(container: &Value, field: &str) -> f64 {
    let time = container[field].as_str().expect("a time");
    let (clock, fraction) = time[11..].trim_end_matches('Z').split_once('.').expect("a fraction");
    let whole: f64 =
        clock.split(':').fold(0.0, |all, part| all * 60.0 + part.parse::<f64>().unwrap_or(0.0));
    whole + format!("0.{fraction}").parse::<f64>().unwrap_or(0.0)
}

#[test]
fn a_step_uses_a_service_which_ends_within_a_second_of_its_last_user() {
    let site = Site::new();
    site.write("all.cwl", WORKFLOW);
    let (code, object, said) = site.run(&["all.cwl"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(site.read(&object["got"]), "hello you\n");
    assert_eq!(site.read(&object["dump"]), "left\n");
    let (serve, user) = (site.of("serve.cwl"), site.of("fetch.cwl"));
    let (service, user_container) = (site.container(&serve), site.container(&user));
    assert_eq!((&serve["service"], &serve["use_existing"]), (&json!(true), &json!(false)));
    assert_eq!(service["state"], "Cancelled", "a stop is no failure of the run");
    let late = seconds(&service, "finished_at") - seconds(&user_container, "finished_at");
    assert!((0.0..1.0).contains(&late), "it ended {late} s after its last user");
    // Its way there is an address of the user's own loopback, and nothing that opens anything.
    let address = user["command"].as_array().expect("words").last().expect("one").clone();
    assert_eq!(address, "http://127.1.0.1:8080/word");
    let records = format!("{user}{user_container}{said}");
    assert!(!records.contains(site.wharf.token()), "no token is in records or remarks");
    assert!(user_container["runtime_constraints"]["connect"].is_object(), "{user_container}");
    site.wharf.finish();
}

#[test]
fn services_go_through_scatters_expressions_and_workflows() {
    let site = Site::new();
    let inner = "cwlVersion: v1.2
class: Workflow
inputs: {word: string}
outputs: {url: {type: 'string?', outputSource: serve/url}}
steps:
  serve: {run: serve.cwl, in: {word: word}, out: [url]}
";
    let pass = "cwlVersion: v1.2
class: ExpressionTool
requirements: {InlineJavascriptRequirement: {}}
inputs: {urls: 'Any[]'}
outputs: {urls: 'string[]'}
expression: '${return {urls: inputs.urls};}'
";
    let all = "cwlVersion: v1.2
class: Workflow
requirements: {ScatterFeatureRequirement: {}, SubworkflowFeatureRequirement: {}}
inputs: {words: {type: 'string[]', default: [a, b, c]}}
outputs: {got: {type: 'File[]', outputSource: use/got}}
steps:
  serve: {run: inner.cwl, scatter: word, in: {word: words}, out: [url]}
  pass: {run: pass.cwl, in: {urls: serve/url}, out: [urls]}
  use: {run: fetch.cwl, scatter: url, in: {url: pass/urls}, out: [got]}
";
    for (name, text) in [("inner.cwl", inner), ("pass.cwl", pass), ("all.cwl", all)] {
        site.write(name, text);
    }
    let (code, object, said) = site.run(&["all.cwl"]);
    assert_eq!(code, 0, "{said}");
    let got: Vec<String> =
        object["got"].as_array().expect("a list").iter().map(|file| site.read(file)).collect();
    assert_eq!(got, ["hello a\n", "hello b\n", "hello c\n"]);
    let states = site.requests();
    assert!(states.iter().all(|request| request["state"] == "Final"), "{states:?}");
    site.wharf.finish();
}

#[test]
fn a_service_that_ends_before_it_is_ready_or_while_it_is_used_fails_the_run() {
    let site = Site::new();
    site.write("all.cwl", WORKFLOW);
    for (from, to, expected) in [
        ("trap '", "exit 3; trap '", "before it was ready"),
        ("& wait", "& sleep 1; exit 4", "ended by itself with exit code 4"),
        ("httpGet: /word", "httpGet: /none, timeout: 1", "not ready within 1 s"),
    ] {
        let serve = SERVE.replace("    LIFETIME\n", "");
        assert!(serve.contains(from), "{from}");
        site.write("serve.cwl", &serve.replace(from, to));
        site.write("fetch.cwl", &FETCH.replace("wget", "sleep 5; wget"));
        let (code, _, said) = site.run(&["all.cwl"]);
        assert!(code == 1 && said.contains(expected), "{expected}: {code} {said}");
    }
    // An address that would be dead is refused before anything runs.
    let dead = WORKFLOW
        .replace("serve/dump", "serve/url")
        .replace("type: File, outputSource: serve", "type: 'string?', outputSource: serve");
    site.write("dead.cwl", &dead);
    let (code, _, said) = site.run(&["dead.cwl"]);
    assert!(code == 1 && said.contains("lifetime: detached"), "{code} {said}");
    site.wharf.finish();
}

#[test]
fn a_service_lives_as_long_as_its_workflow_or_is_left_to_itself_where_it_says_so() {
    let site = Site::new();
    let of_workflow = SERVE.replace("LIFETIME", "lifetime: workflow");
    site.write("serve.cwl", &of_workflow);
    // Only the service's own log tells of it: nobody uses it.
    let workflow = "cwlVersion: v1.2
class: Workflow
inputs: {}
outputs: {dump: {type: File, outputSource: serve/dump}, word: {type: File, outputSource: other/word}}
steps:
  serve: {run: serve.cwl, in: {}, out: [url, dump]}
  other:
    run:
      class: CommandLineTool
      requirements: {DockerRequirement: {dockerPull: 'busybox:latest'}}
      baseCommand: [sleep, '2']
      inputs: {}
      stdout: word.txt
      outputs: {word: stdout}
    in: {}
    out: [word]
";
    site.write("all.cwl", workflow);
    let (code, object, said) = site.run(&["all.cwl"]);
    assert_eq!((code, site.read(&object["dump"]).as_str()), (0, "left\n"), "{said}");
    let service = site.container(&site.of("serve.cwl"));
    let lived = seconds(&service, "finished_at") - seconds(&service, "started_at");
    assert!(lived >= 1.5, "{lived}");

    let detached = SERVE
        .replace("LIFETIME", "lifetime: detached")
        .replace("path: /word", "path: /word, scope: external");
    site.write("serve.cwl", &detached);
    let workflow = "cwlVersion: v1.2\nclass: Workflow\ninputs: {}\noutputs: {url: {type: 'string?', outputSource: serve/url}}\nsteps:\n  serve: {run: serve.cwl, in: {}, out: [url]}\n";
    site.write("all.cwl", workflow);
    let (code, object, said) = site.run(&["all.cwl"]);
    assert_eq!(code, 0, "{said}");
    let url = object["url"].as_str().expect("an address");
    assert!(url.contains("-8080.") && url.ends_with("/word"), "{url}");
    let left = site.requests().into_iter().find(|request| request["state"] == "Committed");
    let left = left.expect("it goes on");
    assert!(left["expires_at"].is_null(), "{left}");
    let uuid = left["uuid"].as_str().expect("a uuid");
    assert!(said.contains(uuid), "{said}");
    let _stopped = site.wharf.cli(&["stop", uuid]).expect(0);
    site.wharf.finish();
}

#[test]
fn only_who_may_open_a_service_connects_programs_to_it() {
    let site = Site::new();
    let (code, _, said) = {
        let output = site.command(&["--no-wait", "serve.cwl"]).output().expect("wharf runs");
        (output.status.code(), (), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(code, Some(0), "{said}");
    let service = site.of("serve.cwl");
    let container = service["container_uuid"].as_str().expect("a container");
    let (_, stranger) = site.wharf.new_user("stranger");
    let ask = |token: &str, container: &str, port: u16| {
        let request = json!({"container_request": {
            "state": "Committed", "priority": 1, "command": ["true"], "container_image": "busybox:latest",
            "cwd": "/", "output_path": "/out", "mounts": {"/out": {"kind": "tmp", "capacity": 1_000_000}},
            "runtime_constraints": {"ram": 67_108_864, "vcpus": 1,
                "connect": {"127.1.0.1:80": {"container": container, "port": port}}},
        }});
        site.wharf.api_as(token, "POST", "/arvados/v1/container_requests", Some(&request))
    };
    let refused = ask(&stranger, container, 8080).expect(422).text();
    assert!(refused.contains("is no container whose services you may open"), "{refused}");
    let refused = ask(site.wharf.token(), container, 9090).expect(422).text();
    assert!(refused.contains("does not publish port 9090"), "{refused}");
    let refused = ask(site.wharf.token(), "wharf-dz642-aaaaaaaaaaaaaaa", 80).expect(422).text();
    assert!(refused.contains("is no container"), "{refused}");
    let _made = ask(site.wharf.token(), container, 8080).expect(200);
    let uuid = service["uuid"].as_str().expect("a uuid");
    let _stopped = site.wharf.cli(&["stop", uuid]).expect(0);
    let refused = wait_until_over(&site, container, &ask);
    assert!(refused.contains("is over"), "{refused}");
    site.wharf.finish();
}

fn wait_until_over(
    site: &Site,
    container: &str,
    ask: &dyn Fn(&str, &str, u16) -> testkit::http::Reply,
) -> String {
    let path = format!("/arvados/v1/containers/{container}");
    wait_for("the service to end", BOUND, || {
        site.wharf.api("GET", &path, None).expect(200).json()["state"] == "Cancelled"
    });
    ask(site.wharf.token(), container, 8080).expect(422).text()
}

#[test]
fn a_runner_that_was_killed_leaves_nothing_that_runs() {
    let site = Site::new();
    site.write("fetch.cwl", &FETCH.replace("wget", "sleep 1000; wget"));
    site.write("all.cwl", WORKFLOW);
    let mut runner = site
        .command(&["--lease=3s", "all.cwl"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("wharf runs");
    let is_running = |name: &str| {
        let requests = site.requests();
        let found = requests.iter().find(|request| request["name"] == name);
        found.is_some_and(|it| {
            it["container_uuid"].is_string() && site.container(it)["state"] == "Running"
        })
    };
    wait_for("both steps to run", BOUND, || is_running("serve.cwl") && is_running("fetch.cwl"));
    // Longer than a lease: it is renewed.
    let begin = Instant::now();
    wait_for("a lease to be over", BOUND, || {
        assert!(is_running("serve.cwl"), "a runner that lives keeps its services");
        begin.elapsed() > Duration::from_secs(5)
    });
    kill(runner.id());
    let _killed = runner.wait().expect("it ends");
    wait_for("everything to end", BOUND, || {
        site.requests().iter().all(|it| it["state"] == "Final")
    });
    site.wharf.finish();
}

#[test]
fn with_local_a_step_uses_a_service_of_this_machine() {
    let site = Site::new();
    site.write("all.cwl", WORKFLOW);
    let (code, object, said) = site.run(&["--local", "all.cwl"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(site.read(&object["got"]), "hello you\n");
    assert_eq!(site.read(&object["dump"]), "left\n");
    let (code, _, said) = site.run(&["--local", "--no-container", "all.cwl"]);
    assert!(code == 33 && said.contains("container"), "{code} {said}");
    site.write(
        "plain.cwl",
        &SERVE
            .replace("requirements:\n  DockerRequirement", "x:\n  y")
            .replace("x:\n  y: {dockerPull: \"busybox:latest\"}\n", "")
            .replace("    LIFETIME\n", ""),
    );
    site.write("all.cwl", &WORKFLOW.replace("serve.cwl", "plain.cwl"));
    let (code, _, said) = site.run(&["--local", "all.cwl"]);
    assert!(
        code == 33 && said.contains("services and steps that use them run in containers"),
        "{code} {said}"
    );
    site.wharf.finish();
}

#[test]
fn the_example_of_a_service_step_runs() {
    let site = Site::new();
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/cwl/service-step.cwl");
    let (code, object, said) = site.run(&[example, "--words", "one", "--words", "two"]);
    assert_eq!(code, 0, "{said}");
    let answers = object["answers"].as_array().expect("a list");
    let answers: Vec<String> = answers.iter().map(|file| site.read(file)).collect();
    assert_eq!(answers, ["Hello one\n", "Hello two\n"]);
    assert!(site.read(&object["log"]).contains("/cgi-bin/greet"));
    site.wharf.finish();
}

/// They do not know the hint, say so, and go on.
#[test]
fn other_runners_load_the_same_file() {
    let site = Site::new();
    site.write("all.cwl", WORKFLOW);
    for program in ["cwltool", "arvados-cwl-runner"] {
        let mut command = Command::new(images::clients().join("bin").join(program));
        command.args(["--validate", "all.cwl"]).current_dir(site.dir.path());
        command.env("ARVADOS_API_HOST", site.wharf.api_host());
        command.env("ARVADOS_API_TOKEN", site.wharf.token()).env("ARVADOS_API_HOST_INSECURE", "1");
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program}: {said}");
        assert!(said.contains("Unknown hint urn:wharf:cwl#Service"), "{program}: {said}");
    }
    site.wharf.finish();
}

#[test]
fn a_service_is_ready_when_a_command_or_its_log_says_so() {
    let site = Site::new();
    site.write("all.cwl", WORKFLOW);
    let plain = SERVE.replace("    LIFETIME\n", "");
    let late = plain.replace("& wait", "& sleep 1; touch up; echo it is up now; wait");
    for (ready, flags) in [
        ("exec: [test, -e, up]", &[][..]),
        ("logLine: '^it is (up|there) now$'", &[][..]),
        ("exec: [test, -e, up], logLine: 'up now'", &["--local"][..]),
    ] {
        // Who came before would not find the file.
        site.write("serve.cwl", &late.replace("port: \"8080\", httpGet: /word", ready));
        site.write("fetch.cwl", &FETCH.replace("-O - $0", "-O - ${0%/word}/up && echo served"));
        let words: Vec<&str> = flags.iter().copied().chain(["all.cwl"]).collect();
        let (code, object, said) = site.run(&words);
        assert_eq!(code, 0, "{ready}: {said}");
        assert_eq!(site.read(&object["got"]), "served\n", "{ready}");
    }
    site.write(
        "serve.cwl",
        &plain.replace("port: \"8080\", httpGet: /word", "exec: [\"false\"], timeout: 1"),
    );
    for flags in [&["all.cwl"][..], &["--local", "all.cwl"][..]] {
        let (code, _, said) = site.run(flags);
        assert!(code == 1 && said.contains("not ready within 1 s"), "{code} {said}");
    }
    site.wharf.finish();
}

#[test]
fn a_service_that_ends_is_started_again_as_often_as_it_says() {
    let site = Site::new();
    site.write("all.cwl", WORKFLOW);
    // It ends after it served the first half.
    let dying = "trap 'echo left > dump.txt; exit 0' TERM; echo hello $0 > word; httpd -f -p 8080 -h . & n=0; while [ ! -e again ]; do sleep 0.1; n=`expr $n + 1`; if [ $n -gt 10 ]; then touch again; exit 7; fi; done; wait";
    let serve = SERVE
        .replace("LIFETIME", "onExit: {restart: {max: 1}}")
        .replace("trap 'echo left > dump.txt; exit 0' TERM; echo hello $0 > word; httpd -f -p 8080 -h . & wait", dying);
    assert!(serve.contains("touch again"));
    site.write("serve.cwl", &serve);
    let slow = "n=0; until wget -q -O got $0 && [ $n -gt 30 ]; do sleep 0.1; n=`expr $n + 1`; [ $n -lt 300 ] || exit 1; done; cat got #";
    site.write("fetch.cwl", &FETCH.replace("wget", slow));
    let (code, object, said) = site.run(&["--local", "all.cwl"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("started again"), "{said}");
    assert_eq!(site.read(&object["got"]), "hello you\n");
    site.write("serve.cwl", &serve.replace("max: 1", "max: 0"));
    let (code, _, said) = site.run(&["--local", "all.cwl"]);
    assert!(code == 1 && said.contains("ended by itself with exit code 7"), "{code} {said}");
    site.wharf.finish();
}

/// One that holds connections open and says nothing.
const HOLD: &str = "nc -ll -p 8080 -e sleep 1000";

#[test]
fn t37_a_program_is_cut_off_when_the_right_to_open_its_service_is_taken_back() {
    let site = Site::new();
    let wharf = &site.wharf;
    let (user, token) = wharf.new_user("owner");
    let (other, _) = wharf.new_user("other");
    let submit = |more: Value| {
        let mut request = json!({
            "state": "Committed", "priority": 1, "container_image": "busybox:latest", "cwd": "/out",
            "output_path": "/out", "mounts": {"/out": {"kind": "tmp", "capacity": 1_000_000}},
            "use_existing": false,
        });
        for (key, value) in more.as_object().expect("fields") {
            request[key] = value.clone();
        }
        let body = json!({ "container_request": request });
        let path = "/arvados/v1/container_requests";
        wharf.api_as(&token, "POST", path, Some(&body)).expect(200).json()
    };
    let state = |request: &Value| site.container(request)["state"].clone();
    let service = submit(json!({
        "command": ["sh", "-c", HOLD], "service": true,
        "published_ports": {"8080": {"access": "private", "label": "Hold", "initial_path": ""}},
        "runtime_constraints": {"ram": 67_108_864, "vcpus": 1},
    }));
    let to = json!({"container": service["container_uuid"], "port": 8080});
    // It ends when its connection does, and then finds the way shut.
    let user_of = || {
        let script = "mkfifo /tmp/f; sleep 1000 > /tmp/f & touch ready; nc 127.1.0.1 80 < /tmp/f; nc 127.1.0.1 80 < /dev/null && echo cut > end";
        submit(json!({
            "command": ["sh", "-c", script],
            "runtime_constraints": {"ram": 67_108_864, "vcpus": 1, "connect": {"127.1.0.1:80": to}},
        }))
    };
    wait_for("the service to be ready", BOUND, || {
        site.container(&service)["published_ports"]["8080"]["ready"] == true
    });
    let give = |owner: &str| {
        let uuid = service["uuid"].as_str().expect("a uuid");
        let body = json!({"container_request": {"owner_uuid": owner}});
        let path = format!("/arvados/v1/container_requests/{uuid}");
        let _given = wharf.api("PATCH", &path, Some(&body)).expect(200);
    };
    let activate = |is_active: bool| {
        let body = json!({"user": {"is_active": is_active}});
        let _user =
            wharf.api("PATCH", &format!("/arvados/v1/users/{user}"), Some(&body)).expect(200);
    };
    for is_given_away in [true, false] {
        let program = user_of();
        wait_for("the program to run", BOUND, || {
            let folder =
                site.container(&program)["uuid"].as_str().map(|it| wharf.container_folder(it));
            state(&program) == "Running" && folder.is_some_and(|it| it.join("tmp/0/ready").exists())
        });
        // Connected, it stays while nothing changes.
        let begun = Instant::now();
        wait_for("some time", BOUND, || {
            assert_eq!(state(&program), "Running");
            begun.elapsed() > Duration::from_millis(700)
        });
        let begun = Instant::now();
        if is_given_away {
            give(&other)
        } else {
            activate(false)
        }
        wait_for("the program to be cut off", BOUND, || state(&program) == "Complete");
        let late = begun.elapsed();
        // With its end and what it left to be saved.
        assert!(late < Duration::from_secs(3), "{late:?}");
        if is_given_away { give(&user) } else { activate(true) }
    }
    let _stopped = wharf.cli(&["stop", service["uuid"].as_str().expect("a uuid")]).expect(0);
    site.wharf.finish();
}

#[test]
fn steps_that_start_after_a_restart_use_the_new_container() {
    let site = Site::new();
    // It ends when it is asked to; each container has files of its own.
    let script = "mkdir cgi-bin; echo '#!/bin/sh' > cgi-bin/die; echo 'touch ../die; echo; echo bye' >> cgi-bin/die; chmod +x cgi-bin/die; echo hello $0 > word; httpd -p 8080 -h .; while [ ! -e die ]; do sleep 0.1; done; exit 7";
    let serve = SERVE
        .replace("LIFETIME", "onExit: restart")
        .replace("path: /word", "path: ''")
        .replace("trap 'echo left > dump.txt; exit 0' TERM; echo hello $0 > word; httpd -f -p 8080 -h . & wait", &script.replace('"', "\\\""));
    assert!(serve.contains("cgi-bin"));
    site.write(
        "serve.cwl",
        &serve.replace("  dump: {type: File?, outputBinding: {glob: dump.txt}}\n", ""),
    );
    let step = |command: &str| {
        let inputs = "inputs: {url: {type: string, inputBinding: {position: 1}}, after: File?}";
        let tool = FETCH.replace("wget -q -O - $0", command);
        tool.replace("inputs: {url: {type: string, inputBinding: {position: 1}}}", inputs)
    };
    site.write("end.cwl", &step("wget -q -O - $0/cgi-bin/die; sleep 3"));
    site.write("use.cwl", &step("wget -q -O - $0/word"));
    let workflow = "cwlVersion: v1.2
class: Workflow
inputs: {}
outputs: {got: {type: File, outputSource: two/got}}
steps:
  serve: {run: serve.cwl, in: {}, out: [url]}
  one: {run: end.cwl, in: {url: serve/url}, out: [got]}
  two: {run: use.cwl, in: {url: serve/url, after: one/got}, out: [got]}
";
    site.write("all.cwl", workflow);
    let (code, object, said) = site.run(&["all.cwl"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("it is started again"), "{said}");
    assert_eq!(site.read(&object["got"]), "hello you\n");
    let services = site.requests().into_iter().filter(|request| request["name"] == "serve.cwl");
    assert_eq!(services.count(), 2, "{said}");
    site.wharf.finish();
}
