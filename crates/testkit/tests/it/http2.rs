//! HTTP/2 from clients that are not ours: curl and h2load.

use std::process::Command;

use testkit::{Service, Wharf, pattern};

/// curl with a `Host` of its own; returns its output.
fn curl(arguments: &[&str]) -> String {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30"]).args(arguments);
    let output = command.output().expect("curl runs");
    assert!(output.status.success(), "curl: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn http2_and_tls_on_the_same_port() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let bearer = format!("Authorization: Bearer {}", wharf.token());
    let label = service.host();
    let name = label.split(':').next().unwrap_or_default().to_owned();
    let resolve = format!("{label}:127.0.0.1");
    let authority = wharf.data().join("ca.pem");
    let authority = authority.to_string_lossy().into_owned();
    let plain = format!("http://{label}/plain");
    let out = curl(&["--http2-prior-knowledge", "--resolve", &resolve, "-H", &bearer, &plain]);
    assert!(out.starts_with("GET /plain HTTP/1.1\r\n"), "{out}");
    assert!(out.to_ascii_lowercase().contains(&format!("host: {label}")), "{out}");
    let secure = format!("https://{label}/secure");
    for version in ["--http1.1", "--http2"] {
        let out =
            curl(&[version, "--resolve", &resolve, "--cacert", &authority, "-H", &bearer, &secure]);
        assert!(out.starts_with("GET /secure HTTP/1.1\r\n"), "{version}: {out}");
        assert!(out.to_ascii_lowercase().contains("x-forwarded-proto: https"), "{out}");
    }
    let upload = curl(&[
        "--http2-prior-knowledge",
        "--resolve",
        &resolve,
        "-H",
        &bearer,
        "--data-binary",
        "hello",
        &format!("http://{label}/upload"),
    ]);
    assert!(upload.contains("\"bytes\":5"), "{upload}");
    // The dashboard and the API are on that port too.
    let api = format!("https://localhost:{}/arvados/v1/users/current", wharf.port());
    let user = curl(&["--cacert", &authority, "-H", &bearer, &api]);
    assert!(user.contains("\"is_admin\":true"), "{user} ({name})");
    wharf.finish();
}

#[test]
fn curls_parallel_transfers_share_one_connection() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let host = service.host();
    let authority = wharf.data().join("ca.pem").to_string_lossy().into_owned();
    let bearer = format!("Authorization: Bearer {}", wharf.token());
    let resolve = format!("{host}:127.0.0.1");
    let common =
        ["--http2", "--resolve", &resolve, "--cacert", &authority, "-H", &bearer, "--compressed"];
    let mut arguments = common.to_vec();
    arguments.extend(["--parallel", "--write-out", "%{num_connects}/%{size_download} "]);
    let urls: Vec<String> =
        (0..20).map(|n| format!("https://{host}/download?bytes=300000&n={n}")).collect();
    let discard = wharf.home().join("discard").to_string_lossy().into_owned();
    for url in &urls {
        arguments.extend(["--output", &discard, url]);
    }
    let out = curl(&arguments);
    let count = |word: &str| out.split_whitespace().filter(|found| *found == word).count();
    assert_eq!((count("1/300000"), count("0/300000")), (1, urls.len() - 1), "{out}");
    // HEAD, a range, a status without a body, a body that waits to be asked for.
    let url = |path: &str| format!("https://{host}{path}");
    let more = |extra: &[&str]| curl(&[&common[..], extra].concat());
    let head = more(&["--head", &url("/x")]);
    assert!(head.starts_with("HTTP/2 200") && head.contains("content-length: "), "{head}");
    assert_eq!(more(&["--range", "8-12", &url("/range")]), "89012");
    let waits = ["-H", "Expect: 100-continue", "--data-binary", "hello"];
    assert!(more(&[&waits[..], &[&url("/upload")]].concat()).contains("\"bytes\":5"));
    // An offer of h2c over HTTP/1.1 is no more than an offer.
    let plain = ["--http2", "--resolve", &resolve, "-H", &bearer, "--write-out", "%{http_version}"];
    let out = curl(&[&plain[..], &[&format!("http://{host}/offer")]].concat());
    assert!(out.starts_with("GET /offer HTTP/1.1") && out.ends_with("1.1"), "{out}");
    assert!(!out.to_ascii_lowercase().contains("http2-settings"), "{out}");
    wharf.finish();
}

/// h2load over four connections with 32 streams each; fails unless every answer is a 2xx over HTTP/2.
fn h2load(wharf: &Wharf, service: &Service, url: &str, n_requests: u32, more: &[&str]) {
    let mut command = Command::new("h2load");
    command.args(["-n", &n_requests.to_string(), "-c", "4", "-m", "32", "-N", "30"]).args(more);
    command.arg(format!("--connect-to=127.0.0.1:{}", wharf.port()));
    command.arg(format!("--header=Authorization: Bearer {}", service.token()));
    let output = command.arg(url).output().expect("h2load runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        format!("{n_requests} succeeded, 0 failed, 0 errored, 0 timeout"),
        format!("status codes: {n_requests} 2xx"),
        "Application protocol: h2".to_owned(),
    ] {
        assert!(output.status.success() && said.contains(&line), "{line} in:\n{said}");
    }
}

#[test]
fn many_streams_of_few_connections_all_get_their_answers() {
    let wharf = Wharf::start();
    let service = wharf.app();
    let host = service.host();
    h2load(&wharf, &service, &format!("http://{host}/plain"), 2000, &[]);
    h2load(&wharf, &service, &format!("https://{host}/secure"), 2000, &[]);
    let body = wharf.home().join("body");
    std::fs::write(&body, pattern::block(0)).expect("a file of our own");
    let body = format!("--data={}", body.display());
    h2load(&wharf, &service, &format!("https://{host}/upload"), 400, &[&body]);
    wharf.finish();
}
