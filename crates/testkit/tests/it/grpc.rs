//! gRPC with its own Python client and server: in tests/protocols, where each check has a name.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::{Launch, Service, Wharf, images};

const SERVER: &str = include_str!("../../../../tests/protocols/grpc_server.py");
const CLIENT: &str = include_str!("../../../../tests/protocols/grpc_client.py");
/// Opens a stream, says so, waits for its end and prints its status.
const WATCHER: &str = r#"
import sys, grpc
port, host, token = sys.argv[1:4]
channel = grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.default_authority", host)])
answers = channel.unary_stream("/wharf.Test/UntilCancelled")(b"x", metadata=(("authorization", f"Bearer {token}"),))
next(answers)
print("open", flush=True)
try:
    next(answers)
except grpc.RpcError as error:
    print(error.code().name, flush=True)
"#;

fn server(wharf: &Wharf, token: Option<String>) -> Service {
    wharf.import("python.docker.tar");
    wharf.launch(&Launch {
        image: "python:latest".to_owned(),
        command: ["python3", "-c", SERVER].map(str::to_owned).to_vec(),
        ports: vec![(50051, "private", "")],
        more: json!({"cwd": "/home/user"}),
        token,
    })
}

fn python(script: &str, wharf: &Wharf, service: &Service) -> Command {
    let mut command = Command::new(images::python());
    command.args(["-c", script, &wharf.port().to_string(), &service.host(), service.token()]);
    command
}

fn passes(mut command: Command) {
    let output = command.output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.contains("checks passed"), "{said}{errors}");
}

#[test]
fn grpcs_own_client_and_server_agree_through_the_proxy_plain_and_with_tls() {
    let wharf = Wharf::start();
    let service = server(&wharf, None);
    passes(python(CLIENT, &wharf, &service));
    let mut secure = python(CLIENT, &wharf, &service);
    secure.arg(wharf.data().join("ca.pem"));
    passes(secure);
    wharf.finish();
}

#[test]
fn withdrawn_access_ends_a_call_within_a_second() {
    use std::io::{BufRead, BufReader};
    let wharf = Wharf::start();
    let (_, token) = wharf.new_user("alice");
    let service = server(&wharf, Some(token.clone()));
    let mut watcher = python(WATCHER, &wharf, &service);
    let mut child = watcher.stdout(std::process::Stdio::piped()).spawn().expect("python runs");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let mut next = || lines.next().expect("a line").expect("UTF-8");
    assert_eq!(next(), "open");
    let uuid = token.split('/').nth(1).expect("a token of form v2").to_owned();
    let path = format!("/arvados/v1/api_client_authorizations/{uuid}");
    let _deleted = wharf.api("DELETE", &path, None).expect(200);
    let since = Instant::now();
    assert_eq!(next(), "INTERNAL", "the code that gRPC gives to a reset");
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    assert!(child.wait().expect("python ends").success());
    wharf.finish();
}
