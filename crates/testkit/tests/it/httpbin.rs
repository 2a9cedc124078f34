//! httpbin, asked the same directly and through the proxy: in tests/protocols, some hundred requests of all shapes.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use testkit::{Launch, Wharf, images};

fn compare(wharf: &Wharf, host: &str, socket: &Path, token: Option<&str>) {
    let script = images::protocols().join("httpbin_compare.py");
    let mut command = Command::new(images::python());
    command.arg(script).args([&wharf.port().to_string(), host]).arg(socket).args(token);
    let output = command.env("PYTHONDONTWRITEBYTECODE", "1").output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}{errors}");
}

#[test]
fn httpbin_answers_the_same_directly_and_through_the_proxy() {
    let shared = tempfile::tempdir().expect("a temporary folder");
    // The app's user makes its Unix socket there: the direct way to the very same server.
    std::fs::set_permissions(shared.path(), PermissionsExt::from_mode(0o777))
        .expect("our own folder");
    let wharf = Wharf::start_configured(&format!(
        "Containers: {{BindMounts: [{}]}}\n",
        shared.path().display()
    ));
    wharf.import("python.docker.tar");
    let command = "gunicorn --bind 127.0.0.1:8000 --bind 127.0.0.1:8001 --bind unix:/shared/httpbin.sock \
        --worker-class gthread --threads 8 --keep-alive 75 --limit-request-line 8190 --worker-tmp-dir /tmp httpbin:app";
    let service = wharf.launch(&Launch {
        image: "python:latest".to_owned(),
        command: command.split_whitespace().map(str::to_owned).collect(),
        ports: vec![(8000, "public", ""), (8001, "private", "")],
        more: json!({"cwd": "/home/user", "mounts": {
            "/out": {"kind": "tmp", "capacity": 1_048_576},
            "/shared": {"kind": "bind", "path": shared.path(), "writable": true},
        }}),
        token: None,
    });
    let socket = shared.path().join("httpbin.sock");
    compare(&wharf, &service.host_of(8000), &socket, None);
    compare(&wharf, &service.host_of(8001), &socket, Some(wharf.token()));
    wharf.finish();
}
