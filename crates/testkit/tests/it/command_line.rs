//! The command line as a user types it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testkit::{Wharf, wait_for};

fn with_image() -> Wharf {
    let wharf = Wharf::start();
    wharf.import("testapp.docker.tar");
    wharf
}

/// Runs the test server as a service named `name`; waits until it is ready.
fn run_service(wharf: &Wharf, name: &str, more: &[&str]) -> String {
    let mut words = vec![
        "run",
        "--name",
        name,
        "--publish",
        "8080:private:App",
        "--image",
        "testapp",
        "--wait",
    ];
    words.extend(more);
    words.extend(["--", "testkit-app"]);
    wharf.cli(&words).expect(0).stdout
}

#[test]
fn run_ps_show_url_and_stop() {
    let wharf = with_image();
    let said = run_service(&wharf, "my-app", &[]);
    assert!(said.contains("http://") && said.contains(".containers.localhost:"), "{said}");
    assert!(!said.contains("api_token=v2"), "{said}");
    let listed = wharf.cli(&["ps"]).expect(0).stdout;
    assert!(listed.contains("my-app") && listed.contains("8080"), "{listed}");
    let json: Value =
        serde_json::from_str(&wharf.cli(&["ps", "--json"]).expect(0).stdout).expect("JSON");
    assert!(json.to_string().contains("my-app"), "{json}");
    let shown = wharf.cli(&["show", "my-app"]).expect(0).stdout;
    assert!(shown.contains("App") && shown.contains("8080"), "{shown}");
    let url = wharf.cli(&["url", "my-app"]).expect(0).line().to_owned();
    assert!(url.starts_with("http://") && !url.contains("v2"), "{url}");
    let with_port = wharf.cli(&["url", "my-app", "8080"]).expect(0).line().to_owned();
    assert_eq!(url, with_port);
    let _stopped = wharf.cli(&["stop", "my-app"]).expect(0);
    wait_for("the service to be gone from the list", testkit::BOUND, || {
        !wharf.cli(&["ps"]).expect(0).stdout.contains("my-app")
    });
    let all = wharf.cli(&["ps", "-a"]).expect(0).stdout;
    assert!(all.contains("my-app"), "{all}");
    wharf.finish();
}

#[test]
fn an_id_may_be_a_uuid_a_unique_prefix_a_name_or_a_hostname() {
    let wharf = with_image();
    let _said = run_service(&wharf, "ada", &["--hostname", "lab"]);
    let json: Value =
        serde_json::from_str(&wharf.cli(&["ps", "--json"]).expect(0).stdout).expect("JSON");
    let text = json.to_string();
    let at = text.find("-xvhdp-").expect("a request uuid") - 5;
    let uuid = text[at..at + 27].to_owned();
    let prefix = &uuid[..18];
    let urls: Vec<String> = [uuid.as_str(), prefix, "ada", "lab"]
        .iter()
        .map(|id| wharf.cli(&["url", id]).expect(0).line().to_owned())
        .collect();
    assert!(urls.iter().all(|url| *url == urls[0]), "{urls:?}");
    assert!(urls[0].contains("lab.containers.localhost"), "the name where there is one: {urls:?}");
    let _second = run_service(&wharf, "ada", &[]);
    let ambiguous = wharf.cli(&["show", "ada"]);
    assert_eq!(ambiguous.code, Some(1), "{}", ambiguous.stdout);
    assert!(ambiguous.stderr.contains(&uuid[12..]), "lists the choices: {}", ambiguous.stderr);
    wharf.finish();
}

#[test]
fn batch_returns_the_programs_exit_code_and_output() {
    let wharf = with_image();
    for code in [0, 3, 42] {
        let script = format!("echo out-{code}; echo err-{code} >&2; exit {code}");
        let words = ["run", "--batch", "--image", "testapp:latest", "--", "sh", "-c", &script];
        let done = wharf.cli(&words);
        assert_eq!(done.code, Some(code), "{} {}", done.stdout, done.stderr);
        assert!(done.stdout.contains(&format!("out-{code}")), "{} {}", done.stdout, done.stderr);
    }
    let words = [
        "run",
        "--batch",
        "--image",
        "testapp",
        "--env",
        "A=b c",
        "--",
        "sh",
        "-c",
        "echo \"[$A]\"",
    ];
    assert!(wharf.cli(&words).expect(0).stdout.contains("[b c]"));
    let missing = wharf.cli(&["run", "--batch", "--image", "testapp", "--", "no-such-program"]);
    assert_ne!(missing.code, Some(0));
    assert!(missing.stderr.contains("no-such-program"), "{}", missing.stderr);
    wharf.finish();
}

#[test]
fn open_prints_a_link_with_a_single_use_code() {
    let wharf = with_image();
    let _said = run_service(&wharf, "app", &[]);
    // There is no browser to start here: the link is printed, and why.
    let said = wharf.cli(&["open", "app"]);
    assert!(
        said.stderr.contains("Not opened in a browser: there is no display"),
        "{}",
        said.stderr
    );
    let printed = format!("{}{}", said.stdout, said.stderr);
    let at = printed.find("http://").unwrap_or_else(|| panic!("no link in {printed}"));
    let url = printed[at..].split_whitespace().next().unwrap_or_default();
    assert!(url.contains("api_token=wc1_") && !url.contains("v2"), "{url}");
    let rest = url.trim_start_matches("http://");
    let (host, target) = rest.split_at(rest.find('/').expect("a path"));
    let opened = wharf.request(host, "GET", target).navigating().send().expect(303);
    assert!(opened.header("Set-Cookie").is_some_and(|cookie| cookie.contains("wharf_session=")));
    wharf.finish();
}

#[test]
fn logs_follow_a_running_service() {
    let wharf = with_image();
    let script = "echo first; while true; do echo tick; sleep 0.1; done";
    let _said = wharf
        .cli(&["run", "--name", "chatty", "--image", "testapp", "--", "sh", "-c", script])
        .expect(0);
    wait_for("a first line", testkit::BOUND, || {
        wharf.cli(&["logs", "chatty"]).stdout.contains("tick")
    });
    let mut command = wharf.command();
    let mut follow = command
        .args(["logs", "-f", "chatty"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("wharf runs");
    let mut lines = BufReader::new(follow.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("more lines").expect("text");
    // What happened to the container comes first.
    while !next().contains("first") {}
    // A word of the supervisor may stand between the lines of the program.
    let n_ticks = (0..30).filter(|_| next().contains("tick")).count();
    assert!(n_ticks >= 20, "{n_ticks} of 30 lines");
    let _stopped = wharf.cli(&["stop", "chatty"]).expect(0);
    // Following ends with the container.
    wait_for("logs -f to end", testkit::BOUND, || {
        follow.try_wait().expect("our child").is_some_and(|status| status.success())
    });
    wharf.finish();
}

#[test]
fn hostnames_are_set_listed_moved_and_removed() {
    let wharf = with_image();
    let _first = run_service(&wharf, "one", &[]);
    let _second = run_service(&wharf, "two", &[]);
    let _set = wharf.cli(&["hostname", "set", "lab", "one", "8080"]).expect(0);
    let listed = wharf.cli(&["hostname", "list"]).expect(0).stdout;
    assert!(listed.contains("lab") && listed.contains("8080"), "{listed}");
    let ask = || wharf.request(&wharf.host("lab"), "GET", "/").bearer(wharf.token()).send();
    let _served = ask().expect(200);
    let _moved = wharf.cli(&["hostname", "set", "lab", "two", "8080"]).expect(0);
    let _served = ask().expect(200);
    let _removed = wharf.cli(&["hostname", "rm", "lab"]).expect(0);
    let _gone = ask().expect(404);
    assert!(!wharf.cli(&["hostname", "list"]).expect(0).stdout.contains("lab"));
    let refused = wharf.cli(&["hostname", "set", "www", "one", "8080"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("reserved"), "{}", refused.stderr);
    wharf.finish();
}

#[test]
fn env_and_token_serve_other_clients() {
    let wharf = Wharf::start();
    let exports = wharf.cli(&["env"]).expect(0).stdout;
    for name in ["ARVADOS_API_HOST", "ARVADOS_API_TOKEN", "ARVADOS_API_HOST_INSECURE"] {
        assert!(exports.contains(name), "{exports}");
    }
    // A shell that evaluates them can talk to us with curl and with our own client.
    let script = format!(
        "{exports}\ncurl --silent --insecure -H \"Authorization: OAuth2 $ARVADOS_API_TOKEN\" \
         https://$ARVADOS_API_HOST/arvados/v1/users/current"
    );
    let output = Command::new("sh").args(["-c", &script]).output().expect("a shell");
    let user = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        user.contains("\"is_admin\":true"),
        "{user} {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let made = wharf.cli(&["token", "create", "--expires", "1h"]).expect(0);
    let token = made.stdout.split_whitespace().find(|word| word.starts_with("v2/"));
    let token = token.unwrap_or_else(|| panic!("no token in {}", made.stdout)).to_owned();
    let current = "/arvados/v1/users/current";
    let _user = wharf.api_as(&token, "GET", current, None).expect(200);
    let uuid = token.split('/').nth(1).expect("v2/UUID/SECRET");
    let listed = wharf.cli(&["token", "list"]).expect(0).stdout;
    assert!(listed.contains(uuid) && !listed.contains(&token), "{listed}");
    let _revoked = wharf.cli(&["token", "revoke", uuid]).expect(0);
    let _refused = wharf.api_as(&token, "GET", current, None).expect(401);
    wharf.finish();
}

#[test]
fn users_are_made_and_sign_in_with_their_passwords() {
    let wharf = Wharf::start();
    let piped = |words: &[&str], input: &str| {
        let mut child = wharf
            .command()
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("running wharf");
        let mut stdin = child.stdin.take().expect("a pipe");
        stdin.write_all(input.as_bytes()).expect("wharf reads");
        drop(stdin);
        let output = child.wait_with_output().expect("wharf ends");
        assert!(output.status.success(), "{words:?}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    };
    let made =
        piped(&["user", "create", "ada", "--first-name", "Ada", "--password"], "correct horse\n");
    assert!(wharf.cli(&["user", "list"]).expect(0).stdout.contains(&made));
    let sign_in = |password: &str| {
        let body = json!({"username": "ada", "password": password});
        let path = "/arvados/v1/users/authenticate";
        wharf.request(&wharf.api_host(), "POST", path).json(&body).send()
    };
    let token = sign_in("correct horse").expect(200).json();
    assert_eq!(token["owner_uuid"], made.as_str());
    let _none = piped(&["user", "passwd", "ada"], "another horse\n");
    let _refused = sign_in("correct horse").expect(401);
    let _accepted = sign_in("another horse").expect(200);
    wharf.finish();
}

#[test]
fn doctor_explains_the_machine() {
    let wharf = Wharf::start();
    let done = wharf.cli(&["doctor"]).expect(0);
    let said = done.stdout.to_lowercase();
    for word in ["namespace", "overlay", "limits", "seccomp", "disk"] {
        assert!(said.contains(word), "{word} in {said}");
    }
    wharf.finish();
}

#[test]
fn every_command_has_help_with_an_example() {
    let binary = testkit::images::wharf_binary();
    let commands: [&[&str]; 25] = [
        &[],
        &["up"],
        &["demo"],
        &["env"],
        &["image", "import"],
        &["image", "list"],
        &["image", "rm"],
        &["run"],
        &["ps"],
        &["show"],
        &["logs"],
        &["stop"],
        &["open"],
        &["url"],
        &["hostname", "set"],
        &["hostname", "list"],
        &["hostname", "rm"],
        &["token", "create"],
        &["token", "list"],
        &["token", "revoke"],
        &["node", "list"],
        &["node", "cordon"],
        &["node", "uncordon"],
        &["config", "check"],
        &["doctor"],
    ];
    for command in commands {
        let output =
            Command::new(&binary).args(command).arg("--help").output().expect("wharf runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{command:?}");
        assert!(
            said.contains("wharf ") && said.to_lowercase().contains("example"),
            "{command:?}: {said}"
        );
    }
}

#[test]
fn mounts_and_limits_of_run_reach_the_container() {
    let wharf = Wharf::start_configured(&format!(
        "Containers: {{BindMounts: [{}]}}\n",
        std::env::temp_dir().display()
    ));
    wharf.import("testapp.docker.tar");
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("in.txt"), "from the host").expect("a file");
    let mount = format!("{}:/data:rw", folder.path().display());
    let script = "cat /data/in.txt; echo 'from inside' > /data/out.txt";
    let words =
        ["run", "--batch", "--image", "testapp", "--mount", &mount, "--", "sh", "-c", script];
    let done = wharf.cli(&words).expect(0);
    assert!(done.stdout.contains("from the host"), "{}", done.stdout);
    let out = std::fs::read_to_string(folder.path().join("out.txt")).expect("written inside");
    assert_eq!(out, "from inside\n");
    let mount = format!("{}:/data:ro", folder.path().display());
    let words =
        ["run", "--batch", "--image", "testapp", "--mount", &mount, "--", "touch", "/data/x"];
    assert_ne!(wharf.cli(&words).code, Some(0));
    wharf.finish();
}
