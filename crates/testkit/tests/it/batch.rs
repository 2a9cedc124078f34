//! Batch containers: what they are given, what they leave, and what becomes of it when something dies.

use std::fmt::Write as _;
use std::path::Path;

use manifest::BlockHash;
use serde_json::{Value, json};
use testkit::http::Request;
use testkit::{BOUND, Launch, Service, Wharf, kill, wait_for, wait_for_some};

const RUN: &str = "/arvados/v1/container_requests";

/// A Wharf with a small image.
fn wharf() -> Wharf {
    let wharf = Wharf::start();
    wharf.import("busybox.docker.tar");
    wharf
}

/// A shell script in busybox, once through, with `/out` as its output.
fn batch(script: &str, more: &Value) -> Launch {
    let mut all = json!({
        "service": false, "use_existing": false, "cwd": "/out",
        "mounts": {"/out": {"kind": "tmp", "capacity": 1 << 20}},
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        match (name.as_str(), value) {
            ("mounts", Value::Object(mounts)) => {
                for (target, mount) in mounts {
                    all["mounts"][target] = mount.clone();
                }
            }
            _ => all[name] = value.clone(),
        }
    }
    Launch {
        image: "busybox:latest".to_owned(),
        command: ["sh", "-ec", script].map(str::to_owned).to_vec(),
        ports: Vec::new(),
        more: all,
        token: None,
    }
}

/// A collection of these files; its portable data hash.
fn collection(wharf: &Wharf, files: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (path, content) in files {
        let hash = BlockHash::of(content.as_bytes());
        let reply = Request::new(wharf.port(), &wharf.api_host(), "PUT", &format!("/{hash}"))
            .bearer(wharf.token())
            .body(*content)
            .send()
            .expect(200);
        let (folder, name) = path
            .rsplit_once('/')
            .map_or((".".to_owned(), *path), |(folder, name)| (format!("./{folder}"), name));
        let locator = reply.text().trim().to_owned();
        writeln!(text, "{folder} {locator} 0:{}:{name}", content.len()).expect("it is text");
    }
    let body = json!({"collection": {"manifest_text": text}});
    let made = wharf.api("POST", "/arvados/v1/collections", Some(&body)).expect(200).json();
    made["portable_data_hash"].as_str().expect("a hash").to_owned()
}

/// The files of a collection with their sizes, `path=size`.
fn files_of(wharf: &Wharf, uuid: &Value) -> Vec<String> {
    let record = collection_record(wharf, uuid);
    let text = record["manifest_text"].as_str().expect("a manifest");
    let manifest = manifest::Manifest::parse(text).expect("a sound manifest");
    manifest.files().map(|file| format!("{}={}", file.path, file.size)).collect()
}

fn collection_record(wharf: &Wharf, uuid: &Value) -> Value {
    let uuid = uuid.as_str().unwrap_or_else(|| panic!("no collection: {uuid}"));
    wharf.api("GET", &format!("/arvados/v1/collections/{uuid}"), None).expect(200).json()
}

fn read_log(wharf: &Wharf, service: &Service, name: &str) -> String {
    let path = format!("{RUN}/{}/log/{}/{name}", service.request, service.container);
    wharf.api("GET", &path, None).expect(200).text()
}

/// A log without its times.
fn log_lines(wharf: &Wharf, service: &Service, name: &str) -> String {
    let text = read_log(wharf, service, name);
    text.lines().map(|line| &line[31..]).collect::<Vec<_>>().join("\n")
}

#[track_caller]
fn completes(wharf: &Wharf, service: &Service) -> Value {
    let record = service.wait_over(wharf);
    assert_eq!(
        (&record["state"], &record["exit_code"]),
        (&json!("Complete"), &json!(0)),
        "{record}\n{}",
        service.logs(wharf)
    );
    record
}

#[test]
fn every_kind_of_mount_is_there_and_only_what_may_be_written_can_be() {
    let wharf = wharf();
    let hash = collection(&wharf, &[("a.txt", "alpha"), ("sub/b.txt", "beta"), ("sub/c.txt", "c")]);
    let script = "
        cat /keep/all/a.txt; echo; cat /keep/all/sub/b.txt; echo
        cat /one; echo; cat; echo
        cat /conf.json; echo; cat /conf.txt; echo
        cat /keep/all/sub/over; echo
        cat given/b.txt; echo; echo changed > given/b.txt
        echo more >> note.txt; cat note.txt
        if touch /keep/all/a.txt || echo x > /keep/all/a.txt || rm /one || touch ro.txt; then exit 9; fi 2>/dev/null
        touch /scratch/x
        echo to the log >&2";
    let tmp = json!({"kind": "tmp", "capacity": 1 << 20});
    let mount =
        |path: &str| json!({"kind": "collection", "portable_data_hash": hash, "path": path});
    let mut given = mount("sub");
    given["writable"] = true.into();
    let launch = batch(
        script,
        &json!({"mounts": {
            "/keep/all": mount(""), "/one": mount("sub/b.txt"), "stdin": mount("a.txt"),
            "/keep/all/sub/over": {"kind": "text", "content": "nested"},
            "/conf.json": {"kind": "json", "content": {"k": [1, 2]}},
            "/conf.txt": {"kind": "text", "content": "plain"},
            "/out/note.txt": {"kind": "text", "content": "note\n"},
            "/out/given": given, "/out/ro.txt": mount("a.txt"),
            "/scratch": tmp,
            "stdout": {"kind": "file", "path": "/out/logs/stdout.txt"},
        }}),
    );
    let service = wharf.submit(&launch);
    completes(&wharf, &service);
    let request = service.request_record(&wharf);
    assert_eq!(request["state"], "Final");
    let files = files_of(&wharf, &request["output_uuid"]);
    let expected = ["note.txt=10", "ro.txt=5", "given/b.txt=8", "given/c.txt=1"];
    for file in expected {
        assert!(files.iter().any(|it| it == file), "{file}: {files:?}");
    }
    let said = wharf.cli(&["logs", &service.request]).expect(0);
    let _logs = said.line();
    assert_eq!(log_lines(&wharf, &service, "stderr.txt"), "to the log");
    let stdout = output_file(&wharf, &request["output_uuid"], "logs/stdout.txt");
    let expected = "alpha\nbeta\nbeta\nalpha\n{\"k\":[1,2]}\nplain\nnested\nbeta\nnote\nmore\n";
    assert_eq!(stdout, expected);
    wharf.finish();
}

/// The content of one file of a collection, by its blocks.
fn output_file(wharf: &Wharf, uuid: &Value, path: &str) -> String {
    let record = collection_record(wharf, uuid);
    let text = record["manifest_text"].as_str().expect("a manifest");
    let manifest = manifest::Manifest::parse(text).expect("a sound manifest");
    let file = manifest.file(path).unwrap_or_else(|| panic!("no {path} in {text}"));
    let mut content = String::new();
    for segment in file.segments {
        let block =
            Request::new(wharf.port(), &wharf.api_host(), "GET", &format!("/{}", segment.locator))
                .bearer(wharf.token())
                .send()
                .expect(200)
                .text();
        let at = |n: u64| usize::try_from(n).expect("a block fits in memory");
        let (from, to) = (at(segment.offset), at(segment.offset + segment.len));
        content += &block[from..to];
    }
    content
}

#[test]
fn output_and_logs_are_collections_of_the_request() {
    let wharf = wharf();
    let script = "mkdir sub empty; echo hi > sub/a.txt; echo no > b.tmp; ln -s sub/a.txt link; \
                  echo said; echo moaned >&2";
    let launch = batch(
        script,
        &json!({
            "output_name": "my output", "output_properties": {"p": 1}, "output_ttl": 3600,
            "output_glob": ["sub/**", "link"],
        }),
    );
    let service = wharf.submit(&launch);
    let container = completes(&wharf, &service);
    let request = service.request_record(&wharf);
    assert_eq!(files_of(&wharf, &request["output_uuid"]), ["link=3", "sub/a.txt=3"]);
    let output = collection_record(&wharf, &request["output_uuid"]);
    assert_eq!(output["name"], "my output");
    assert_eq!(output["portable_data_hash"], container["output"]);
    let properties = json!({"type": "output", "container_request": service.request, "p": 1});
    assert_eq!(output["properties"], properties);
    assert!(output["trash_at"].is_string(), "{output}");
    let log = collection_record(&wharf, &request["log_uuid"]);
    assert_eq!(log["name"], format!("Container log for request {}", service.request));
    let files = files_of(&wharf, &request["log_uuid"]);
    for name in ["crunch-run.txt", "stderr.txt", "stdout.txt", "node.json", "container.json"] {
        let begins =
            |prefix: &str| files.iter().any(|it| it.starts_with(&format!("{prefix}{name}=")));
        let again = format!("log for container {}/", service.container);
        assert!(begins("") && begins(&again), "{name}: {files:?}");
    }
    assert_eq!(log_lines(&wharf, &service, "stdout.txt"), "said");
    assert_eq!(log_lines(&wharf, &service, "stderr.txt"), "moaned");
    for line in read_log(&wharf, &service, "crunch-run.txt").lines() {
        assert!(line.as_bytes().get(29) == Some(&b'Z') && line.as_bytes()[30] == b' ', "{line}");
    }
    wharf.finish();
}

#[test]
fn logs_can_be_read_while_it_runs_and_the_request_has_a_collection_for_them() {
    let wharf = wharf();
    let script = "echo first; while [ ! -e /out/go ]; do sleep 0.05; done; echo last";
    let service = wharf.submit(&batch(script, &json!({})));
    service.wait_running(&wharf);
    assert!(service.request_record(&wharf)["log_uuid"].is_string());
    wait_for("the first line", BOUND, || {
        let folder = format!("{RUN}/{}/log/{}/", service.request, service.container);
        let listed = wharf.api("PROPFIND", &folder, None).expect(207).text();
        listed.contains("stdout.txt") && log_lines(&wharf, &service, "stdout.txt") == "first"
    });
    let folder = wharf.container_folder(&service.container);
    std::fs::write(folder.join("tmp/0/go"), "").expect("the output directory is there");
    completes(&wharf, &service);
    assert_eq!(log_lines(&wharf, &service, "stdout.txt"), "first\nlast");
    wharf.finish();
}

#[test]
fn an_equal_request_gets_the_finished_container_at_once_with_collections_of_its_own() {
    let wharf = wharf();
    let launch = batch("echo result > result.txt", &json!({"use_existing": true}));
    let first = wharf.submit(&launch);
    completes(&wharf, &first);
    let body = launch.request();
    let second = wharf.api("POST", RUN, Some(&body)).expect(200).json();
    assert_eq!(
        (&second["state"], &second["container_uuid"]),
        (&json!("Final"), &json!(first.container))
    );
    let firsts = first.request_record(&wharf);
    assert_ne!(second["output_uuid"], firsts["output_uuid"]);
    assert_eq!(files_of(&wharf, &second["output_uuid"]), ["result.txt=7"]);
    assert!(!files_of(&wharf, &second["log_uuid"]).is_empty());
    let other = batch(
        "echo result > result.txt",
        &json!({"use_existing": true, "environment": {"A": "b"}}),
    );
    assert_ne!(wharf.submit(&other).container, first.container);
    wharf.finish();
}

/// Whether a file below this folder holds the text.
fn is_on_disk(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).into_iter().flatten().flatten().any(|entry| {
        let path = entry.path();
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            return is_on_disk(&path, text);
        }
        let content =
            if kind.is_file() { std::fs::read(&path).unwrap_or_default() } else { Vec::new() };
        content.windows(text.len()).any(|window| window == text.as_bytes())
    })
}

#[test]
fn secret_mounts_are_read_by_the_program_and_lie_in_no_file_of_its_folder() {
    let wharf = wharf();
    let script = "[ $(cat /run/secret) = opensesame ]; [ $(cat) = opensesame ]; \
                  while [ ! -e /out/go ]; do sleep 0.05; done";
    let secret = json!({"kind": "text", "content": "opensesame"});
    let more = json!({
        "secret_mounts": {"/run/secret": secret, "stdin": secret, "/out/hidden": secret},
    });
    let mut launch = batch(script, &more);
    // The script itself names it; its folder holds the specification with the script.
    launch.command[2] = launch.command[2].replace("opensesame", "$(printf 'open%s' sesame)");
    let service = wharf.submit(&launch);
    service.wait_running(&wharf);
    let folder = wharf.container_folder(&service.container);
    assert!(!is_on_disk(&folder, "opensesame"), "the secret is on disk");
    let request = service.request_record(&wharf);
    assert!(request.get("secret_mounts").is_none());
    std::fs::write(folder.join("tmp/0/go"), "").expect("the output directory is there");
    completes(&wharf, &service);
    assert_eq!(files_of(&wharf, &service.request_record(&wharf)["output_uuid"]), ["go=0"]);
    wharf.finish();
}

#[test]
fn a_program_reaches_the_api_by_its_own_token_while_it_runs() {
    let wharf = wharf();
    let script = "
        ask() { wget -qO- --header \"Authorization: Bearer $ARVADOS_API_TOKEN\" \"http://$ARVADOS_API_HOST/arvados/v1/$1\"; }
        ask containers/current > current.json
        echo $ARVADOS_API_TOKEN > token
        if wget -qO- http://$ARVADOS_API_HOST/arvados/v1/users/current; then exit 9; fi";
    let constraints = json!({"vcpus": 1, "ram": 1 << 28, "API": true});
    let service = wharf.submit(&batch(script, &json!({"runtime_constraints": constraints})));
    completes(&wharf, &service);
    let output = service.request_record(&wharf)["output_uuid"].clone();
    let current: Value =
        serde_json::from_str(&output_file(&wharf, &output, "current.json")).expect("JSON");
    assert_eq!(current["uuid"], service.container.as_str());
    let token = output_file(&wharf, &output, "token");
    assert!(token.trim().ends_with(&service.container), "the fourth part names the container");
    let refused = wharf.api_as(token.trim(), "GET", "/arvados/v1/users/current", None);
    assert_eq!(refused.status(), 401, "it went with the container");
    wharf.finish();
}

#[test]
fn a_supervisor_killed_while_it_saves_the_output_leaves_nothing_half_done_and_another_container_does_it()
 {
    let wharf = wharf();
    let script = "dd if=/dev/urandom of=big bs=1M count=300 2>/dev/null; echo whole > mark";
    let service = wharf.submit(&batch(script, &json!({})));
    let log = wharf.container_folder(&service.container).join("log/crunch-run.txt");
    let saving =
        |log: &Path| std::fs::read_to_string(log).is_ok_and(|it| it.contains("saving the output"));
    wait_for_some("the output to be saved", BOUND, || saving(&log).then_some(()));
    kill(wharf.supervisor_pid(&service.container).expect("a supervisor"));
    let second = wait_for_some("another container", BOUND, || {
        let request = service.request_record(&wharf);
        let container = request["container_uuid"].as_str().map(str::to_owned);
        container.filter(|uuid| *uuid != service.container)
    });
    let lost = service.record(&wharf);
    assert_eq!((&lost["state"], &lost["output"]), (&json!("Cancelled"), &Value::Null), "{lost}");
    let again = service.in_container(second);
    completes(&wharf, &again);
    let request = service.request_record(&wharf);
    assert_eq!((&request["state"], &request["container_count"]), (&json!("Final"), &json!(2)));
    let files = files_of(&wharf, &request["output_uuid"]);
    assert_eq!(files, [format!("big={}", 300 << 20), "mark=6".to_owned()]);
    let logs = files_of(&wharf, &request["log_uuid"]);
    let of_lost = format!("log for container {}/crunch-run.txt=", service.container);
    assert!(logs.iter().any(|file| file.starts_with(&of_lost)), "{logs:?}");
    wharf.finish();
}

#[test]
fn a_service_whose_supervisor_dies_is_started_again_with_its_ports() {
    let wharf = Wharf::start();
    let service = wharf.app();
    kill(wharf.supervisor_pid(&service.container).expect("a supervisor"));
    let second = wait_for_some("another container", BOUND, || {
        let container =
            service.request_record(&wharf)["container_uuid"].as_str().map(str::to_owned);
        container.filter(|uuid| *uuid != service.container)
    });
    let again = service.in_container(second);
    again.wait_ready(&wharf);
    let _served = service.get("/").expect(200);
    again.cancel(&wharf);
    let _over = again.wait_over(&wharf);
    wharf.finish();
}

#[test]
fn inputs_are_put_together_once_and_then_linked() {
    let wharf = wharf();
    let content = "0123456789abcdef".repeat(1 << 12);
    let hash = collection(&wharf, &[("data.bin", &content)]);
    let mounts = json!({"/in": {"kind": "collection", "portable_data_hash": hash}});
    let script = "wc -c < /in/data.bin > size; while [ ! -e /out/go ]; do sleep 0.05; done";
    let two: Vec<Service> =
        (0..2).map(|_| wharf.submit(&batch(script, &json!({"mounts": mounts})))).collect();
    let inode = |service: &Service| {
        use std::os::unix::fs::MetadataExt as _;
        let shown = wharf.container_folder(&service.container).join("tmp/shown");
        let mount =
            std::fs::read_dir(shown).expect("inputs").next().expect("one").expect("readable");
        std::fs::metadata(mount.path().join("data.bin")).expect("the file").ino()
    };
    for service in &two {
        service.wait_running(&wharf);
    }
    assert_eq!(inode(&two[0]), inode(&two[1]));
    for service in &two {
        let folder = wharf.container_folder(&service.container);
        std::fs::write(folder.join("tmp/0/go"), "").expect("the output directory is there");
        completes(&wharf, service);
        let output = &service.request_record(&wharf)["output_uuid"];
        assert_eq!(output_file(&wharf, output, "size").trim(), content.len().to_string());
    }
    wharf.finish();
}
