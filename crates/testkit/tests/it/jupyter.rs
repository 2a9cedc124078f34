//! JupyterLab, a real application: kernels, terminals and files through the service host.

use std::io::Write;
use std::process::Command;

use serde_json::json;
use testkit::pattern::{self, Digest};
use testkit::{Launch, Service, Wharf, images};

/// Our own proof, for machines without the outside one: a cell over the kernel's WebSocket and a
/// terminal. Arguments: port, host, then header lines.
const PROOF: &str = include_str!("jupyter_proof.py");

fn jupyter(wharf: &Wharf) -> Service {
    wharf.import("jupyterlab.docker.tar");
    // The proxy is its door: a login of its own behind it would only be in the way.
    let command = [
        "jupyter",
        "lab",
        "--no-browser",
        "--ip=127.0.0.1",
        "--port=8888",
        "--IdentityProvider.token=",
        "--ServerApp.disable_check_xsrf=True",
        "--ServerApp.allow_remote_access=True",
    ];
    let service = wharf.submit(&Launch {
        image: "jupyterlab".to_owned(),
        command: command.map(str::to_owned).to_vec(),
        ports: vec![(8888, "private", "lab")],
        more: json!({"cwd": "/home/user",
            "runtime_constraints": {"vcpus": 1, "ram": 1_073_741_824}}),
        token: None,
    });
    let _record = testkit::wait_for_some("JupyterLab to be ready", testkit::BOUND * 3, || {
        let record = service.record(wharf);
        let over = matches!(record["state"].as_str(), Some("Complete" | "Cancelled"));
        assert!(!over, "{record}\n{}", service.logs(wharf));
        (record["published_ports"]["8888"]["ready"] == true).then_some(record)
    });
    service
}

fn prove(command: &mut Command) {
    let output = command.output().expect("python runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    for word in ["kernel over websocket: cell 42", "terminal over websocket ok"] {
        assert!(said.contains(word), "{word} in:\n{said}");
    }
}

fn prove_with(wharf: &Wharf, service: &Service, headers: &[String]) {
    let base = format!("http://127.0.0.1:{}", wharf.port());
    if let Some(folder) = images::acceptance() {
        let mut outside = Command::new("python3");
        outside.arg(folder.join("prove_jupyter.py")).args([&base, ""]);
        // Nothing is written beside it.
        outside.env("PYTHONDONTWRITEBYTECODE", "1");
        prove(outside.arg(format!("Host: {}", service.host())).args(headers));
    }
    let mut own = Command::new(images::python());
    prove(own.args(["-c", PROOF, &wharf.port().to_string(), &service.host()]).args(headers));
}

#[test]
fn jupyterlab_runs_cells_and_terminals_with_a_bearer_and_with_a_cookie() {
    let wharf = Wharf::start();
    let service = jupyter(&wharf);
    prove_with(&wharf, &service, &[format!("Authorization: Bearer {}", wharf.token())]);
    let cookie = service.sign_in();
    let origin = format!("Origin: http://{}", service.host());
    prove_with(&wharf, &service, &[format!("Cookie: {cookie}"), origin]);
    let page = service.ask("GET", "/lab").send().expect(200);
    assert!(page.text().contains("JupyterLab"), "{}", page.text());
    wharf.finish();
}

#[test]
#[ignore = "takes minutes: cargo xtask test --slow"]
fn jupyter_files_of_one_gib_arrive_whole_both_ways() {
    const N_BYTES: u64 = 1 << 30;
    let wharf = Wharf::start();
    let service = jupyter(&wharf);
    // Up: through the contents API, in chunks as JupyterLab's own upload sends them.
    let mut number = 0_u64;
    let (mut piece, mut sent) = (Vec::new(), 0_u64);
    let piece_bytes = 32 * 1024 * 1024;
    pattern::each_block(N_BYTES, |bytes| -> Result<(), std::convert::Infallible> {
        piece.extend_from_slice(bytes);
        sent += bytes.len() as u64;
        if piece.len() >= piece_bytes || sent == N_BYTES {
            number += 1;
            let chunk = if sent == N_BYTES { -1 } else { i64::try_from(number).unwrap_or(1) };
            let model = json!({"type": "file", "format": "base64", "name": "big", "path": "big",
                "chunk": chunk, "content": base64(&piece)});
            let reply = service.ask("PUT", "/api/contents/big").json(&model).send();
            assert!(matches!(reply.status(), 200 | 201), "chunk {number}: {}", reply.text());
            piece.clear();
        }
        Ok(())
    })
    .unwrap_or_else(|never| match never {});
    // Down: as a browser downloads it.
    let mut connection = service.ask("GET", "/files/big?download=1").start();
    let head = connection.read_head();
    assert_eq!(head.status, 200);
    let (mut digest, mut n_read) = (Digest::new(), 0);
    if head.header("Content-Length").is_some() {
        while n_read < N_BYTES {
            let bytes = connection.read_some().expect("the body goes on");
            assert!(!bytes.is_empty(), "cut off after {n_read} bytes");
            n_read += bytes.len() as u64;
            digest.update(&bytes);
        }
    } else {
        while let Some(bytes) = connection.read_chunk().expect("the body goes on") {
            n_read += bytes.len() as u64;
            digest.update(&bytes);
        }
    }
    assert_eq!((n_read, digest.hex()), (N_BYTES, pattern::digest(N_BYTES)));
    wharf.finish();
}

/// Base64 with padding, by the tool that is there: a megabyte at a time costs nothing.
fn base64(bytes: &[u8]) -> String {
    let mut child = Command::new("base64")
        .arg("--wrap=0")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("base64 is there");
    let mut input = child.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || input.write_all(&bytes));
    let output = child.wait_with_output().expect("base64 ends");
    writer.join().expect("no panic").expect("base64 reads");
    String::from_utf8(output.stdout).expect("base64 is ASCII")
}
